// Package magic recognises wholly encrypted formats by their first bytes: volumes,
// password databases, and encrypted files. The signatures are from the formats'
// specifications and from file(1).
package magic

import (
	"bytes"
	"context"

	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises wholly encrypted files.
type Detector struct{}

var magics = []struct {
	at              int
	bytes           string
	smallest        int64
	finding, detail string
}{
	{0, "LUKS\xba\xbe", 592, "LUKS", "luks: encrypted volume"},
	{3, "-FVE-FS-", 512, "BitLocker", "bitlocker: encrypted volume"},
	{0, "encrcdsa\x00\x00\x00\x02", 128, "DMG", "dmg: encrypted image"},
	{0, "\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5", 64, "KeePass", "keepass: password database"},
	{0, "\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5", 64, "KeePass", "keepass: password database"},
	{0, "PWS3", 232, "PasswordSafe", "password safe: password database"},
	{0, "\x76\xe8\x04\x60\xc4\x11\xe3\x86", 64, "RPMSG", "rpmsg: rights management"}, // [MS-OXORMMS] 2.1.2
	{0, "age-encryption.org/v1\n", 64, "Age", "age: encrypted file"},
	{0, "Salted__", 32, "OpenSSL", "openssl: encrypted with a password"},
	{0, "AES\x01\x00", 64, "AESCrypt", "aescrypt: encrypted file"},
	{0, "AES\x02\x00", 64, "AESCrypt", "aescrypt: encrypted file"},
	{0, "AES\x03\x00", 64, "AESCrypt", "aescrypt: encrypted file"},
}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return findMagic(s.Head) >= 0 || s.ReaderAt != nil && isOldImage(s)
}

// isOldImage recognises version 1 of Apple's encrypted disk images, which end with their
// header.
func isOldImage(s *walk.Section) bool {
	const signature, smallest = "cdsaencr", 1 << 10
	var b [len(signature)]byte
	return s.Size >= smallest && walk.ReadFull(s, b[:], s.Size-int64(len(b))) == nil && string(b[:]) == signature
}

func findMagic(head []byte) int {
	for i, m := range magics {
		if len(head) > m.at && bytes.HasPrefix(head[m.at:], []byte(m.bytes)) {
			return i
		}
	}
	return -1
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	i := findMagic(s.Head)
	if i < 0 && isOldImage(s) {
		return &walk.Sighting{Name: walk.FindingPrefix + "DMG", Detail: "dmg: encrypted image, version 1"}, nil
	}
	if i < 0 || s.Size < magics[i].smallest {
		return nil, nil
	}
	return &walk.Sighting{Name: walk.FindingPrefix + magics[i].finding, Detail: magics[i].detail}, nil
}
