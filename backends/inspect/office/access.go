package office

import (
	"bytes"
	"context"
	"crypto/rc4"
	"encoding/binary"

	"polyclam/backends/inspect/internal/walk"
)

// Access recognises Microsoft Access databases. In databases older than 2007 a password
// encrypts nothing; only the option called encoding does.
type Access struct{}

const accessSignature = "\x00\x01\x00\x00Standard "

// Match implements [walk.Detector].
func (Access) Match(w *walk.Walk, s *walk.Section) bool {
	rest, ok := bytes.CutPrefix(s.Head, []byte(accessSignature))
	return ok && (bytes.HasPrefix(rest, []byte("Jet DB\x00")) || bytes.HasPrefix(rest, []byte("ACE DB\x00")))
}

// Look implements [walk.Detector]. The first page has a key that is 0 unless the database
// is encrypted. Newer databases store an EncryptionInfo there, as other documents do
// ([MS-OFFCRYPTO] 2.3.4).
func (Access) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const masked, maskedSize, key, info = 0x18, 126, 0x3e, 0x29b
	if len(s.Head) < info+4 {
		return nil, nil
	}
	major, minor := binary.LittleEndian.Uint16(s.Head[info:]), binary.LittleEndian.Uint16(s.Head[info+2:])
	if how := encryptionKind(major, minor); how != "" && binary.LittleEndian.Uint16(s.Head[info-2:]) > 0 {
		return walk.NewSighting(walk.FindingPrefix+"Access", "access", "", how), nil
	}
	// All databases use the same mask.
	c, err := rc4.NewCipher([]byte{0xc7, 0xda, 0x39, 0x6b})
	if err != nil {
		return nil, err
	}
	header := make([]byte, maskedSize)
	c.XORKeyStream(header, s.Head[masked:masked+maskedSize])
	if binary.LittleEndian.Uint32(header[key-masked:]) != 0 {
		return walk.NewSighting(walk.FindingPrefix+"Access", "access", "", "RC4"), nil
	}
	return nil, nil
}

// encryptionKind returns the kind of EncryptionInfo for a version.
func encryptionKind(major, minor uint16) string {
	switch {
	case major == 4 && minor == 4:
		return "agile"
	case major >= 2 && major <= 4 && minor == 2:
		return "standard"
	case major >= 3 && major <= 4 && minor == 3:
		return "extensible"
	}
	return ""
}
