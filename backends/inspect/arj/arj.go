// Package arj recognises ARJ archives and inspects their stored members. A file is
// encrypted if the "garbled" flag in its header is set (ARJ's TECHNOTE.TXT). No Go
// library exists, and an archive's headers are a simple list.
package arj

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises ARJ archives.
type Detector struct{}

const signature = "\x60\xea"

// Match implements [walk.Detector]. The main header must be valid.
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	_, ok := cutHeader(s.Head)
	return ok
}

// cutHeader extracts a header from b and verifies its checksum.
func cutHeader(b []byte) ([]byte, bool) {
	const largest, smallest = 2600, 30
	if len(b) < 4 || string(b[:2]) != signature {
		return nil, false
	}
	size := int(binary.LittleEndian.Uint16(b[2:]))
	if size < smallest || size > largest || len(b) < 4+size+4 {
		return nil, false
	}
	h := b[4 : 4+size]
	return h, int(h[0]) <= size && h[0] >= smallest && crc32.ChecksumIEEE(h) == binary.LittleEndian.Uint32(b[4+size:])
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const largest, garbled, mainHeader, stored = 4 + 2600 + 4 + 2, 1, 2, 0
	for at := int64(0); at < s.Size; {
		b := w.Buffer(min(largest, s.Size-at))
		if err := walk.ReadFull(s, b, at); err != nil {
			return nil, err
		}
		h, ok := cutHeader(b)
		if !ok {
			if !bytes.HasPrefix(b, []byte(signature+"\x00\x00")) {
				archive.Damaged(w, "arj")
			}
			return nil, nil
		}
		m := archive.Member{Name: archive.Name(h[h[0]:]), Size: int64(binary.LittleEndian.Uint32(h[12:]))}
		kind, method := h[6], h[5]
		if h[4]&garbled != 0 && kind != mainHeader {
			return walk.NewSighting(walk.FindingARJ, "arj", m.Name, "garbled"), nil
		}
		at += 4 + int64(len(h)) + 4
		// Extended headers, each with a checksum; an empty one ends the list.
		for at+2 <= s.Size {
			var n [2]byte
			if err := walk.ReadFull(s, n[:], at); err != nil {
				return nil, err
			}
			at += 2
			size := int64(binary.LittleEndian.Uint16(n[:]))
			if size == 0 {
				break
			}
			at += size + 4
		}
		if kind == mainHeader {
			continue
		}
		m.Offset = at
		if seen, err := archive.LookStored(ctx, w, s, "arj", m, method == stored); seen != nil || err != nil {
			return seen, err
		}
		at += m.Size
	}
	return nil, nil
}
