package inspect

import (
	"bytes"
	"context"
	"encoding/binary"
)

// eggDetector knows the EGG archives of ALZip, as libclamav's egg.c describes
// them: a chain of headers, each with a magic number.
type eggDetector struct{}

// The magic numbers.
const (
	eggSignature = "EGGA"
	eggStart     = 14 // bytes before the first of them
	eggFile      = 0x0a8590e3
	eggBlock     = 0x02b50c13
	eggEncrypted = 0x08d1470f
	eggName      = 0x0a8591ac
	eggComment   = 0x04c63672
	eggWindows   = 0x2c86950b
	eggPosix     = 0x1ee922e5
	eggDummy     = 0x07463307
	eggSplit     = 0x24f5a262
	eggSolid     = 0x24e5a060
	eggEnd       = 0x08e28222
)

// eggMethods are the kinds of encryption.
var eggMethods = map[byte]string{0: "XOR", 1: "AES-128", 2: "AES-256", 0x10: "LEA-128", 0x20: "LEA-256"}

// match implements detector.
func (eggDetector) match(w *walk, s *section) bool {
	return bytes.HasPrefix(s.head, []byte(eggSignature+"\x00\x01"))
}

// look implements detector.
func (eggDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	name, data := "", int64(0)
	for at := int64(eggStart); at+4 <= s.size; {
		b := w.scratch.local[:min(32, s.size-at)]
		if err := readFull(s, b, at); err != nil {
			return nil, err
		}
		switch magic := binary.LittleEndian.Uint32(b); magic {
		case eggEnd:
			at += 4 + data
			data = 0
		case eggFile:
			at += 16
			name = ""
		case eggBlock:
			if len(b) < 18 {
				return nil, nil
			}
			data = int64(binary.LittleEndian.Uint32(b[10:]))
			at += 18
		case eggEncrypted, eggName, eggComment, eggWindows, eggPosix, eggDummy, eggSplit, eggSolid:
			body, size, ok := eggField(b)
			if !ok {
				return nil, nil
			}
			if magic == eggEncrypted && size > 0 && body < len(b) {
				how := eggMethods[b[body]]
				if how == "" {
					how = "encrypted"
				}
				return newSighting(findingEGG, "egg", name, how), nil
			}
			if magic == eggName && b[4]&0x1c == 0 { // UTF-8
				name = readName(s, at+int64(body), size)
			}
			at += int64(body) + size
		default:
			return nil, nil
		}
	}
	return nil, nil
}

// eggField finds the body of a field: its flags say how wide its size is.
func eggField(b []byte) (body int, size int64, ok bool) {
	switch {
	case len(b) < 7:
		return 0, 0, false
	case b[4]&1 == 0:
		return 7, int64(binary.LittleEndian.Uint16(b[5:])), true
	case len(b) < 9:
		return 0, 0, false
	}
	return 9, int64(binary.LittleEndian.Uint32(b[5:])), true
}

// readName reads a name, cut.
func readName(s *section, at, size int64) string {
	b := make([]byte, max(0, min(size, maxName, s.size-at)))
	if readFull(s, b, at) != nil {
		return ""
	}
	return string(b)
}

// alzDetector knows the ALZ archives of ALZip, as unalz reads them.
type alzDetector struct{}

const (
	alzSignature = "ALZ\x01"
	alzFile      = "BLZ\x01"
)

// match implements detector.
func (alzDetector) match(w *walk, s *section) bool {
	return bytes.HasPrefix(s.head, []byte(alzSignature)) && len(s.head) > 12 && string(s.head[8:12]) == alzFile
}

// look implements detector.
func (alzDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	const fixed, more, password, encrypted = 13, 6, 12, 1
	for at := int64(8); at+fixed <= s.size; {
		var h [fixed + more + 8]byte
		n := min(int64(len(h)), s.size-at)
		if err := readFull(s, h[:n], at); err != nil {
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
		if name+length > s.size {
			return nil, nil
		}
		if descriptor&encrypted != 0 {
			return newSighting(findingALZ, "alz", readName(s, name, length), "ZipCrypto"), nil
		}
		if packed > uint64(s.size) {
			return nil, nil
		}
		at = name + length + int64(packed)
	}
	return nil, nil
}
