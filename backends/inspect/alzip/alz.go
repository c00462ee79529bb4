package alzip

import (
	"bytes"
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// ALZ recognises the ALZ archives of ALZip, as unalz reads them.
type ALZ struct{}

const (
	alzSignature = "ALZ\x01"
	alzFile      = "BLZ\x01"
	alzEnd       = "CLZ\x01"
)

// Match implements [walk.Detector].
func (ALZ) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(alzSignature)) && len(s.Head) > 12 && string(s.Head[8:12]) == alzFile
}

// Look implements [walk.Detector].
func (ALZ) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const fixed, more, encrypted, stored = 13, 6, 1, 0
	for at := int64(8); at+fixed <= s.Size; {
		var h [fixed + more + 8]byte
		n := min(int64(len(h)), s.Size-at)
		if err := walk.ReadFull(s, h[:n], at); err != nil {
			return nil, err
		}
		if string(h[:4]) != alzFile {
			if string(h[:4]) != alzEnd {
				archive.Damaged(w, "alz")
			}
			return nil, nil
		}
		length, descriptor := int64(binary.LittleEndian.Uint16(h[4:])), h[11]
		name := at + fixed
		packed := uint64(0)
		if width := int64(descriptor >> 4); width > 0 {
			if width > 8 {
				archive.Damaged(w, "alz")
				return nil, nil
			}
			packed = binary.LittleEndian.Uint64(h[fixed+more:]) & (1<<(8*width) - 1)
			name += more + 2*width
		}
		if name+length > s.Size {
			return nil, nil
		}
		if descriptor&encrypted != 0 {
			return walk.NewSighting(walk.FindingALZ, "alz", walk.ReadName(s, name, length), "ZipCrypto"), nil
		}
		m := archive.Member{Name: walk.ReadName(s, name, length), Offset: name + length, Size: int64(min(packed, 1<<62))}
		if seen, err := archive.LookStored(ctx, w, s, "alz", m, h[fixed] == stored); seen != nil || err != nil {
			return seen, err
		}
		if m.Size > s.Size {
			return nil, nil
		}
		at = m.Offset + m.Size
	}
	return nil, nil
}
