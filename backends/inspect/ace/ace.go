// Package ace knows ACE archives.
package ace

import (
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/walk"
)

// Detector knows ACE archives, as acefile and other unpackers read them.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return len(s.Head) > 14 && string(s.Head[7:14]) == "**ACE**"
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const fixed, file, hasData, encrypted = 35, 1, 0x0001, 0x4000
	for at := int64(0); at+7 <= s.Size; {
		var h [fixed]byte
		if err := walk.ReadFull(s, h[:min(fixed, s.Size-at)], at); err != nil {
			return nil, err
		}
		size, kind := int64(binary.LittleEndian.Uint16(h[2:])), h[4]
		flags := binary.LittleEndian.Uint16(h[5:])
		if size < 3 || kind > 5 {
			return nil, nil
		}
		if kind == file && flags&encrypted != 0 && size >= fixed-4 {
			name := walk.ReadName(s, at+fixed, int64(binary.LittleEndian.Uint16(h[33:])))
			return walk.NewSighting(walk.FindingACE, "ace", name, "Blowfish"), nil
		}
		at += 4 + size
		if flags&hasData != 0 {
			at += int64(binary.LittleEndian.Uint32(h[7:]))
		}
	}
	return nil, nil
}
