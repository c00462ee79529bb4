package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"mime/quotedprintable"
	"strings"
	"testing"
)

// MailPart is a part of a mail. With Parts it is a multipart.
type MailPart struct {
	Kind     string // value of the Content-Type field
	Encoding string
	Name     string
	Data     []byte
	Parts    []MailPart
}

// write writes a part with its header. Boundaries depend on the depth.
func (p MailPart) write(b *bytes.Buffer, depth int) {
	boundary := fmt.Sprintf("=_part_%d", depth)
	if p.Kind != "" {
		fmt.Fprintf(b, "Content-Type: %s", p.Kind)
		if p.Parts != nil {
			fmt.Fprintf(b, ";\r\n\tboundary=\"%s\"", boundary)
		}
		b.WriteString("\r\n")
	}
	if p.Encoding != "" {
		fmt.Fprintf(b, "Content-Transfer-Encoding: %s\r\n", p.Encoding)
	}
	if p.Name != "" {
		fmt.Fprintf(b, "Content-Disposition: attachment; filename=\"%s\"\r\n", p.Name)
	}
	b.WriteString("\r\n")
	if p.Parts != nil {
		b.WriteString("This is a multi-part message in MIME format.\r\n")
		for _, inner := range p.Parts {
			fmt.Fprintf(b, "\r\n--%s\r\n", boundary)
			inner.write(b, depth+1)
		}
		fmt.Fprintf(b, "\r\n--%s--\r\n", boundary)
		return
	}
	switch p.Encoding {
	case "base64":
		text := base64.StdEncoding.EncodeToString(p.Data)
		for ; len(text) > 76; text = text[76:] {
			b.WriteString(text[:76] + "\r\n")
		}
		b.WriteString(text + "\r\n")
	case "quoted-printable":
		w := quotedprintable.NewWriter(b)
		w.Binary = true
		w.Write(p.Data)
		w.Close()
	case "x-uuencode":
		b.Write(UUEncode(p.Name, p.Data))
	default:
		b.Write(p.Data)
	}
}

// Mail returns a complete mail.
func Mail(p MailPart) []byte {
	var b bytes.Buffer
	b.WriteString("Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\nFrom: a@example.org\r\nTo: b@example.org\r\nSubject: a\r\n test\r\nMIME-Version: 1.0\r\n")
	p.write(&b, 0)
	return b.Bytes()
}

// Attach returns a mail with a text and a base64 attachment.
func Attach(name string, data []byte) []byte {
	return Mail(MailPart{Kind: "multipart/mixed", Parts: []MailPart{
		{Kind: "text/plain; charset=utf-8", Encoding: "quoted-printable", Data: []byte("Please see the attachment.\n")},
		{Kind: "application/octet-stream", Encoding: "base64", Name: name, Data: data},
	}})
}

// UUEncode encodes data as uuencode does.
func UUEncode(name string, data []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "begin 644 %s\n", name)
	char := func(v byte) byte {
		if v == 0 {
			return '`'
		}
		return v + ' '
	}
	for len(data) > 0 {
		n := min(45, len(data))
		line := append(bytes.Clone(data[:n]), 0, 0)
		b.WriteByte(char(byte(n)))
		for i := 0; i < n; i += 3 {
			b.Write([]byte{char(line[i] >> 2), char(line[i]<<4&0x30 | line[i+1]>>4), char(line[i+1]<<2&0x3c | line[i+2]>>6), char(line[i+2] & 0x3f)})
		}
		b.WriteByte('\n')
		data = data[n:]
	}
	b.WriteString("`\nend\n")
	return b.Bytes()
}

// Tar returns a tar archive.
func Tar(tb testing.TB, files ...File) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.Name, Size: int64(len(f.Data)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(f.Data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// Gzip returns a gzip file with a name in its header.
func Gzip(tb testing.TB, name string, data []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = name
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// ODF returns an OpenDocument with this manifest.
func ODF(tb testing.TB, manifest string) []byte {
	tb.Helper()
	return Zip(tb,
		File{Name: "mimetype", Data: []byte("application/vnd.oasis.opendocument.text"), Raw: true},
		File{Name: "content.xml", Data: bytes.Repeat([]byte{0x9a, 0x11, 0xfe}, 100), Raw: true},
		File{Name: ODFManifest, Data: []byte(manifest)})
}

// ODFManifestText returns a manifest with one member; body is the content of its element.
func ODFManifestText(member, body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><manifest:manifest xmlns:manifest="` + ODFNamespace + `" manifest:version="1.3">` +
		`<manifest:file-entry manifest:full-path="/" manifest:media-type="application/vnd.oasis.opendocument.text"/>` +
		`<manifest:file-entry manifest:full-path="` + member + `" manifest:media-type="text/xml" manifest:size="300">` + body + `</manifest:file-entry></manifest:manifest>`
}

// ODFEncryption is the element that marks a member as encrypted.
const ODFEncryption = `<manifest:encryption-data manifest:checksum-type="SHA256/1K" manifest:checksum="x"><manifest:algorithm manifest:algorithm-name="AES256-CBC" manifest:initialisation-vector="y"/></manifest:encryption-data>`

// EGG returns an archive of one stored file. It is marked as encrypted unless method is
// negative.
func EGG(name string, data []byte, method int) []byte {
	le32, le16 := binary.LittleEndian.AppendUint32, binary.LittleEndian.AppendUint16
	b := append([]byte(EGGSignature+"\x00\x01"), 1, 2, 3, 4, 0, 0, 0, 0)
	b = le32(b, EGGEnd)
	b = le32(b, EGGFile)
	b = append(b, 1, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = append(le16(append(le32(b, EGGName), 0), uint16(len(name))), name...)
	b = append(le16(append(le32(b, EGGWindows), 0), 9), make([]byte, 9)...)
	if method >= 0 {
		b = append(append(le16(append(le32(b, EGGEncrypted), 0), 29), byte(method)), make([]byte, 28)...)
	}
	b = le32(b, EGGEnd)
	b = append(le32(b, EGGBlock), 0, 0)
	b = le32(le32(le32(b, uint32(len(data))), uint32(len(data))), crc32.ChecksumIEEE(data))
	b = le32(b, EGGEnd)
	return le32(append(b, data...), EGGEnd)
}

// ALZ returns an archive of stored files, the last of them optionally marked as encrypted.
func ALZ(encrypted bool, names ...string) []byte {
	b := []byte(ALZSignature + "\x0a\x00\x00\x00")
	for i, name := range names {
		descriptor, data := byte(0x20), []byte("some bytes of data")
		last := i == len(names)-1
		if encrypted && last {
			descriptor |= 1
		}
		b = binary.LittleEndian.AppendUint16(append(b, ALZFile...), uint16(len(name)))
		b = append(b, 0x20, 0, 0, 0, 0, descriptor, 0, 0, 0, 1, 2, 3, 4)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
		b = append(b, name...)
		if descriptor&1 != 0 {
			b = append(b, make([]byte, 12)...)
		}
		b = append(b, data...)
	}
	return append(b, "CLZ\x01\x00\x00\x00\x00\x00\x00\x00\x00CLZ\x02"...)
}

// ARJ returns an archive of stored files, the last of them optionally marked as garbled.
func ARJ(encrypted bool, names ...string) []byte {
	header := func(kind, flags byte, size int, name string) []byte {
		h := make([]byte, 30)
		h[0], h[1], h[2], h[3], h[4], h[6] = 30, 11, 1, 2, flags, kind
		binary.LittleEndian.PutUint32(h[12:], uint32(size))
		binary.LittleEndian.PutUint32(h[16:], uint32(size))
		h = append(append(h, name...), 0, 0)
		b := binary.LittleEndian.AppendUint16([]byte(ARJSignature), uint16(len(h)))
		return append(binary.LittleEndian.AppendUint32(append(b, h...), crc32.ChecksumIEEE(h)), 0, 0)
	}
	b := header(2, 0, 0, "a.arj")
	for i, name := range names {
		flags := byte(0)
		if encrypted && i == len(names)-1 {
			flags = 1
		}
		data := []byte("some bytes of data")
		b = append(append(b, header(0, flags, len(data), name)...), data...)
	}
	return append(b, ARJSignature+"\x00\x00"...)
}

// ACE returns an archive of stored files, the last of them optionally marked as encrypted.
func ACE(encrypted bool, names ...string) []byte {
	block := func(kind byte, flags uint16, body []byte) []byte {
		h := binary.LittleEndian.AppendUint16([]byte{kind}, flags)
		h = append(h, body...)
		b := binary.LittleEndian.AppendUint16(nil, uint16(^crc32.ChecksumIEEE(h)))
		return append(binary.LittleEndian.AppendUint16(b, uint16(len(h))), h...)
	}
	b := block(0, 0x9000, append([]byte("**ACE**"), make([]byte, 20)...))
	for i, name := range names {
		flags := uint16(0x8001)
		if encrypted && i == len(names)-1 {
			flags |= 0x4000
		}
		body := make([]byte, 26)
		binary.LittleEndian.PutUint32(body, 18)
		binary.LittleEndian.PutUint32(body[4:], 18)
		body = append(binary.LittleEndian.AppendUint16(body, uint16(len(name))), name...)
		b = append(append(b, block(1, flags, body)...), "some bytes of data"...)
	}
	return b
}

// TNEF returns a winmail.dat with one attachment.
func TNEF(name string, data []byte) []byte {
	attribute := func(level byte, id uint32, data []byte) []byte {
		b := binary.LittleEndian.AppendUint32([]byte{level}, id)
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(data))), data...)
		sum := uint16(0)
		for _, c := range data {
			sum += uint16(c)
		}
		return binary.LittleEndian.AppendUint16(b, sum)
	}
	b := append([]byte("\x78\x9f\x3e\x22\x01\x00"), attribute(1, 0x00089006, []byte{0, 0, 1, 0})...)
	b = append(b, attribute(1, 0x00078008, []byte("IPM.Microsoft Mail.Note\x00"))...)
	b = append(b, attribute(2, 0x00018010, append([]byte(name), 0))...)
	return append(b, attribute(2, 0x0006800f, data)...)
}

// OldPacket returns an OpenPGP packet with an old-format header.
func OldPacket(tag byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x80 | tag<<2 | 1}, uint16(len(body)))
	return append(b, body...)
}

// NewPacket returns an OpenPGP packet with a new-format header.
func NewPacket(tag byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0xc0 | tag, 0xff}, uint32(len(body)))
	return append(b, body...)
}

// PGPArmor encodes a message in ASCII armor.
func PGPArmor(data []byte) []byte {
	return []byte("-----BEGIN PGP MESSAGE-----\nVersion: x\nComment: y\n\n" + base64.StdEncoding.EncodeToString(data) + "\n=abcd\n-----END PGP MESSAGE-----\n")
}

// Paragraphs returns a text of about n bytes.
func Paragraphs(n int) string {
	const line = "Lorem ipsum dolor sit amet, consectetur adipiscing elit: sed do.\r\n"
	return strings.Repeat(line, n/len(line)+1)
}
