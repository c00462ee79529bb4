package build

// DER encodes an element.
func DER(tag byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	n := len(body)
	header := []byte{tag, byte(n)}
	switch {
	case n > 0xffff:
		header = []byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}
	case n > 0xff:
		header = []byte{tag, 0x82, byte(n >> 8), byte(n)}
	case n > 0x7f:
		header = []byte{tag, 0x81, byte(n)}
	}
	return append(header, body...)
}

// BER encodes an element of indefinite length.
func BER(tag byte, parts ...[]byte) []byte {
	b := []byte{tag, 0x80}
	for _, p := range parts {
		b = append(b, p...)
	}
	return append(b, 0, 0)
}

var (
	oidSigned     = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
	oidData       = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
	oidCompressed = []byte("\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09")
	oidEnveloped  = []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03")
)

// Signed returns signed data with content, without signatures.
func Signed(content []byte) []byte {
	return DER(0x30, oidSigned, DER(0xa0, DER(0x30, []byte{2, 1, 1}, DER(0x31),
		DER(0x30, oidData, DER(0xa0, DER(0x04, content))), DER(0x31))))
}

// SignedBER returns signed data as streaming programs write it, in BER with content in
// parts of 100 bytes.
func SignedBER(content []byte) []byte {
	var parts [][]byte
	for len(content) > 0 {
		n := min(100, len(content))
		parts = append(parts, DER(0x04, content[:n]))
		content = content[n:]
	}
	return BER(0x30, oidSigned, BER(0xa0, BER(0x30, []byte{2, 1, 1}, BER(0x31),
		BER(0x30, oidData, BER(0xa0, BER(0x24, parts...))), BER(0x31))))
}

// Compressed returns compressed data with bytes packed by zlib.
func Compressed(packed []byte) []byte {
	return DER(0x30, oidCompressed, DER(0xa0, DER(0x30, []byte{2, 1, 0}, DER(0x30, oidData),
		DER(0x30, oidData, DER(0xa0, DER(0x04, packed))))))
}

// Enveloped returns the beginning of enveloped data.
func Enveloped() []byte {
	return DER(0x30, oidEnveloped, DER(0xa0, DER(0x30, []byte{2, 1, 0}, make([]byte, 100))))
}
