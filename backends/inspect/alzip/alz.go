package alzip

import (
	"bytes"
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/walk"
)

// ALZ knows the ALZ archives of ALZip, as unalz reads them.
type ALZ struct{}

const (
	alzSignature = "ALZ\x01"
	alzFile      = "BLZ\x01"
)

// Match implements [walk.Detector].
func (ALZ) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(alzSignature)) && len(s.Head) > 12 && string(s.Head[8:12]) == alzFile
}

// Look implements [walk.Detector].
func (ALZ) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const fixed, more, password, encrypted = 13, 6, 12, 1
	for at := int64(8); at+fixed <= s.Size; {
		var h [fixed + more + 8]byte
		n := min(int64(len(h)), s.Size-at)
		if err := walk.ReadFull(s, h[:n], at); err != nil {
			return nil, err
		}
		if string(h[:4]) != alzFile {
			return nil, nil
		}
		length, descriptor := int64(binary.LittleEndian.Uint16(h[4:])), h[11]
		name := at + fixed
		packed := uint64(0)
		if width := int64(descriptor >> 4); width > 0 {
			if width > 8 {
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
		if packed > uint64(s.Size) {
			return nil, nil
		}
		at = name + length + int64(packed)
	}
	return nil, nil
}
