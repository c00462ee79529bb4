package mail

import (
	"bytes"
	"io"
)

// isWide reports whether head begins UTF-16 text: it has a byte order mark, or every
// other byte is 0, as in Outlook's messages.
func isWide(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	const enough = 16
	if len(head) < enough {
		return false
	}
	for i := range enough / 2 {
		if head[2*i] == 0 || head[2*i+1] != 0 {
			return false
		}
	}
	return true
}

// narrow reads UTF-16 as ASCII, which is enough for the lines of interest.
type narrow struct{ from io.Reader }

// Read implements [io.Reader].
func (n narrow) Read(p []byte) (int, error) {
	for {
		read, err := n.from.Read(p)
		if rest := len(narrowed(p[:read])); rest > 0 || read == 0 || err != nil {
			return rest, err
		}
	}
}

// narrowed removes zeros and the byte order mark.
func narrowed(b []byte) []byte {
	out := b[:0]
	for _, c := range b {
		if c != 0 && c != 0xff && c != 0xfe {
			out = append(out, c)
		}
	}
	return out
}
