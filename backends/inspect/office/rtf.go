package office

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// RTF inspects the objects embedded in Rich Text Format 1.9 documents: hexadecimal data
// after the control word \objdata.
type RTF struct{}

// Match implements [walk.Detector]. Word opens anything that begins with {\rt.
func (RTF) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(bytes.TrimLeft(s.Head, " \t\r\n"), []byte("{\\rt"))
}

// Look implements [walk.Detector].
func (RTF) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	r := bufio.NewReader(io.NewSectionReader(s, 0, s.Size))
	for {
		if err := seekWord(r, "objdata"); err != nil {
			return nil, w.Stopped()
		}
		inner, err := w.Unpacked(s, w.Decoder(ctx, objectData(&rtfHex{from: r})), -1)
		if w.Stopped() != nil {
			return nil, w.Stopped()
		}
		if err == nil {
			if seen := w.Look(ctx, inner); seen != nil {
				return seen.Within("rtf", ""), nil
			}
		}
	}
}

// seekWord reads up to and including a control word.
func seekWord(r *bufio.Reader, word string) error {
	for {
		if _, err := r.ReadSlice('\\'); err != nil {
			if err == bufio.ErrBufferFull {
				continue
			}
			return err
		}
		b, err := r.Peek(len(word))
		if err != nil {
			return err
		}
		if string(b) == word {
			_, err = r.Discard(len(word))
			return err
		}
	}
}

// objectData returns the data of an embedded object ([MS-OLEDS] 2.2.5), which follows the
// version, the format, and three names.
func objectData(from io.Reader) io.Reader {
	const embedded, maxName = 2, 1 << 10
	r := bufio.NewReaderSize(from, packageHeader)
	var h [8]byte
	if _, err := io.ReadFull(r, h[:]); err != nil || binary.LittleEndian.Uint32(h[4:]) != embedded {
		return r
	}
	class := ""
	for i := range 3 {
		var n [4]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return r
		}
		size := binary.LittleEndian.Uint32(n[:])
		if size > maxName {
			return r
		}
		name := make([]byte, size)
		if _, err := io.ReadFull(r, name); err != nil {
			return r
		}
		if i == 0 {
			class = string(bytes.TrimRight(name, "\x00"))
		}
	}
	r.Discard(4) // the size, which Word does not trust either
	if class == "Package" {
		return packageData(r)
	}
	return r
}

// rtfHex decodes hexadecimal up to the end of its group. Like Word, it skips white space,
// other control words, and nested groups.
type rtfHex struct {
	from  *bufio.Reader
	depth int
	done  bool
}

// Read implements [io.Reader].
func (h *rtfHex) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !h.done {
		high, ok := h.digit()
		if !ok {
			break
		}
		low, ok := h.digit()
		if !ok {
			break
		}
		p[n] = high<<4 | low
		n++
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// digit returns the next digit.
func (h *rtfHex) digit() (byte, bool) {
	for {
		c, err := h.from.ReadByte()
		if err != nil {
			h.done = true
			return 0, false
		}
		switch {
		case c >= '0' && c <= '9' && h.depth == 0:
			return c - '0', true
		case c|0x20 >= 'a' && c|0x20 <= 'f' && h.depth == 0:
			return c | 0x20 - 'a' + 10, true
		case c == '{':
			h.depth++
		case c == '}':
			if h.depth--; h.depth < 0 {
				h.from.UnreadByte()
				h.done = true
				return 0, false
			}
		case c == '\\':
			h.skipWord()
		}
	}
}

// skipWord skips a control word with its number, or a control symbol.
func (h *rtfHex) skipWord() {
	for first := true; ; first = false {
		c, err := h.from.ReadByte()
		if err != nil {
			return
		}
		if c|0x20 >= 'a' && c|0x20 <= 'z' || !first && (c >= '0' && c <= '9' || c == '-') {
			continue
		}
		if !first && c != ' ' {
			h.from.UnreadByte()
		}
		return
	}
}
