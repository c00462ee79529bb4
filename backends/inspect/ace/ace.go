// Package ace recognises ACE archives and inspects their stored members. An entry is
// encrypted if its header flag 0x4000 is set. The layout follows acefile and other
// unpackers, because no specification is public. No Go library exists, and an archive's
// headers are a simple list.
package ace

import (
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises ACE archives.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return len(s.Head) > 14 && string(s.Head[7:14]) == "**ACE**"
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const fixed, file, hasData, encrypted, stored = 35, 1, 0x0001, 0x4000, 0
	for at := int64(0); at+7 <= s.Size; {
		var h [fixed]byte
		if err := walk.ReadFull(s, h[:min(fixed, s.Size-at)], at); err != nil {
			return nil, err
		}
		size, kind := int64(binary.LittleEndian.Uint16(h[2:])), h[4]
		flags := binary.LittleEndian.Uint16(h[5:])
		if size < 3 || kind > 5 {
			if size > 0 || kind > 0 { // not padding
				archive.Damaged(w, "ace")
			}
			return nil, nil
		}
		data := int64(0)
		if flags&hasData != 0 {
			data = int64(binary.LittleEndian.Uint32(h[7:]))
		}
		if kind == file && size >= fixed-4 {
			name := walk.ReadName(s, at+fixed, int64(binary.LittleEndian.Uint16(h[33:])))
			if flags&encrypted != 0 {
				return walk.NewSighting(walk.FindingACE, "ace", name, "Blowfish"), nil
			}
			m := archive.Member{Name: name, Offset: at + 4 + size, Size: data}
			if seen, err := archive.LookStored(ctx, w, s, "ace", m, h[27] == stored); seen != nil || err != nil {
				return seen, err
			}
		}
		at += 4 + size + data
	}
	return nil, nil
}
