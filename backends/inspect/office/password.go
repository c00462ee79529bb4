package office

import (
	"bytes"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/binary"
	"unicode/utf16"
)

// excelPassword is the password that Excel tries before it asks for one.
var excelPassword = func() []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune("VelvetSweatshop")) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}()

// opensRC4 reports whether Excel's built-in password matches the verifier in b
// ([MS-OFFCRYPTO] 2.3.6.1).
func opensRC4(b []byte) bool {
	const salt, verifier, hash = 16, 16, 16
	if len(b) < salt+verifier+hash {
		return false
	}
	first := md5.Sum(excelPassword)
	h := md5.New()
	for range 16 {
		h.Write(first[:5])
		h.Write(b[:salt])
	}
	key := md5.Sum(append(h.Sum(nil)[:5:5], 0, 0, 0, 0)) // block 0
	plain, ok := decryptRC4(key[:], b[salt:salt+verifier+hash])
	sum := md5.Sum(plain[:min(len(plain), verifier)])
	return ok && bytes.Equal(sum[:], plain[verifier:])
}

// opensCryptoAPI is opensRC4 for the verifier that follows the header of [MS-OFFCRYPTO]
// 2.3.5.1.
func opensCryptoAPI(b []byte) bool {
	const keySize, salt, verifier, hash = 16, 16, 16, 20
	if len(b) < 8 {
		return false
	}
	header := b[8:]
	size := binary.LittleEndian.Uint32(b[4:])
	if size < keySize+4 || uint64(size)+4+salt+verifier+4+hash > uint64(len(header)) {
		return false
	}
	bits := binary.LittleEndian.Uint32(header[keySize:])
	if bits == 0 {
		bits = 40
	}
	v := header[size:]
	if bits > 128 || bits%8 != 0 || binary.LittleEndian.Uint32(v) != salt {
		return false
	}
	v = v[4:]
	first := sha1.Sum(append(bytes.Clone(v[:salt]), excelPassword...))
	second := sha1.Sum(append(first[:], 0, 0, 0, 0)) // of block 0
	key := second[:bits/8]
	if bits == 40 {
		key = append(key[:5:5], make([]byte, 11)...)
	}
	v = v[salt:]
	encrypted := append(bytes.Clone(v[:verifier]), v[verifier+4:verifier+4+hash]...)
	plain, ok := decryptRC4(key, encrypted)
	sum := sha1.Sum(plain[:min(len(plain), verifier)])
	return ok && bytes.Equal(sum[:], plain[verifier:])
}

func decryptRC4(key, b []byte) (plain []byte, ok bool) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		return b, false
	}
	plain = make([]byte, len(b))
	c.XORKeyStream(plain, b)
	return plain, true
}
