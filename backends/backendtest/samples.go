package backendtest

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
)

// EICAR is the test file that every engine must find, 68 bytes. It is put
// together here so that no scanner stumbles over this source file.
func EICAR() []byte {
	return []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`)
}

// EncryptedZip is a ZIP archive of about 180 bytes with one harmless member,
// hello.txt, encrypted the traditional way with the password "polyclam".
func EncryptedZip() []byte {
	plain := []byte("hello, world\n")
	sum := crc32.ChecksumIEEE(plain)
	// The last of the twelve random bytes in front must be the CRC's high byte;
	// fixed ones will do here.
	body := append([]byte("random-seed"), byte(sum>>24))
	body = ZipCrypto("polyclam", append(body, plain...))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	m, err := w.CreateRaw(&zip.FileHeader{
		Name: "hello.txt", Flags: 1, Method: zip.Store, CRC32: sum,
		CompressedSize64: uint64(len(body)), UncompressedSize64: uint64(len(plain)),
	})
	if err == nil {
		_, err = m.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // cannot be: constants into memory
	}
	return b.Bytes()
}

// ZipCrypto encrypts data, twelve random bytes and a member's compressed bytes,
// as PKWARE's APPNOTE.TXT 6.1 tells for the traditional encryption.
func ZipCrypto(password string, data []byte) []byte {
	k0, k1, k2 := uint32(0x12345678), uint32(0x23456789), uint32(0x34567890)
	crc := func(c uint32, b byte) uint32 { return crc32.IEEETable[byte(c)^b] ^ c>>8 }
	update := func(b byte) {
		k0 = crc(k0, b)
		k1 = (k1+k0&0xff)*134775813 + 1
		k2 = crc(k2, byte(k1>>24))
	}
	for i := range len(password) {
		update(password[i])
	}
	out := make([]byte, len(data))
	for i, b := range data {
		t := uint16(k2) | 2
		out[i] = b ^ byte((uint32(t)*uint32(t^1))>>8)
		update(b)
	}
	return out
}
