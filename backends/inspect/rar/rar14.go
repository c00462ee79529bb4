package rar

import (
	"bytes"
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Old recognises archives of RAR 1.4 and older. Only unrar still unpacks their compressed
// members.
type Old struct{}

const oldSignature = "RE\x7e\x5e"

// Match implements [walk.Detector].
func (Old) Match(w *walk.Walk, s *walk.Section) bool {
	const mainHeader = 7
	return bytes.HasPrefix(s.Head, []byte(oldSignature)) && len(s.Head) > mainHeader &&
		binary.LittleEndian.Uint16(s.Head[4:]) >= mainHeader
}

// Look implements [walk.Detector].
func (Old) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const fixed, encrypted, newest, stored = 21, 0x04, 2, 0
	for at := int64(binary.LittleEndian.Uint16(s.Head[4:])); at+fixed <= s.Size; {
		var h [fixed]byte
		if err := walk.ReadFull(s, h[:], at); err != nil {
			return nil, err
		}
		packed, size := int64(binary.LittleEndian.Uint32(h[:])), int64(binary.LittleEndian.Uint16(h[10:]))
		nameSize, method := int64(h[19]), h[20]
		if size < fixed+nameSize || h[18] == 0 || h[18] > newest || method > 5 || at+size > s.Size {
			archive.Damaged(w, "rar")
			return nil, nil
		}
		name := walk.ReadName(s, at+fixed, nameSize)
		if h[17]&encrypted != 0 {
			return walk.NewSighting(walk.FindingRAR, "rar", name, "RAR 1.4 encryption"), nil
		}
		m := archive.Member{Name: name, Offset: at + size, Size: packed}
		if seen, err := archive.LookStored(ctx, w, s, "rar", m, method == stored); seen != nil || err != nil {
			return seen, err
		}
		at = m.Offset + m.Size
	}
	return nil, nil
}
