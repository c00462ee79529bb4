package wire

import (
	"encoding/base64"
	"fmt"
	"io"

	"polyclam/backends"
)

// chunk is how much of a content is read at once: a multiple of three, for base64.
const chunk = 48 << 10

// Body is what goes to an engine behind the head of a request: Before, the content,
// After.
type Body struct {
	Before, After string
	Content       io.ReaderAt // nil: none
	Size          int64       // of the content
	Base64        bool        // how the content is written
}

// Of is the body that is nothing but the content.
func Of(c backends.Content) Body { return Body{Content: c, Size: c.Size()} }

// Len is the exact number of bytes that WriteTo writes.
func (b *Body) Len() int64 {
	n := b.Size
	if b.Base64 {
		n = (n + 2) / 3 * 4
	}
	return int64(len(b.Before)) + n + int64(len(b.After))
}

// WriteTo writes all of it to w. A content that cannot be read, or is shorter than
// its size, is a *[backends.Failure]; every other error is w's.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	total := int64(0)
	write := func(p []byte) error {
		n, err := w.Write(p)
		total += int64(n)
		return err
	}
	if err := write([]byte(b.Before)); err != nil {
		return total, err
	}
	buffer := make([]byte, min(b.Size, chunk))
	for off := int64(0); off < b.Size; {
		p := buffer[:min(b.Size-off, chunk)]
		n, err := b.Content.ReadAt(p, off)
		if n < len(p) {
			if err == nil || err == io.EOF {
				err = fmt.Errorf("it ends after %d of %d bytes", off+int64(n), b.Size)
			}
			return total, Ours("content", err)
		}
		off += int64(n)
		if b.Base64 {
			p = base64.StdEncoding.AppendEncode(nil, p)
		}
		if err := write(p); err != nil {
			return total, err
		}
	}
	return total, write([]byte(b.After))
}
