package inspect

import (
	"bytes"
	"crypto/rc4"
	"encoding/binary"
	"fmt"
	"testing"

	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// documentKinds are documents with encryption, or with files embedded in them.
func documentKinds(tb testing.TB) []sample {
	tb.Helper()
	archive, plain := lockedZip(tb), plainZip(tb)
	excel := func(name string) []byte {
		return build.OLE(9, build.Stream{Name: name, Data: build.BIFF(bof8, "\x2f\x00\x01\x00\x01\x00\x01\x00")})
	}
	wrapped := `/AFRelationship /EncryptedPayload /EP << /Type /EncryptedPayload /Subtype /MicrosoftIRMServices >>`
	annotated := newPDF("")
	annotated.object(7, fmt.Sprintf("<< /Type /EmbeddedFile /Length %d >>\nstream\n%s\nendstream", len(archive), archive))
	epub := func(algorithm string) []byte {
		return build.Zip(tb, build.File{Name: "mimetype", Data: []byte("application/epub+zip"), Stored: true},
			build.File{Name: "META-INF/encryption.xml", Data: []byte(`<encryption><enc:EncryptedData><enc:EncryptionMethod Algorithm="` + algorithm + `"/></enc:EncryptedData></encryption>`)})
	}
	agile := accessDatabase(tb, 0)
	copy(agile[0x299:], "\x1f\x04\x04\x00\x04\x00\x40\x00\x00\x00<?xml")
	return []sample{
		{"names in lower case", excel("workbook"), walk.FindingOLE, "RC4"},
		{"names in upper case", build.OLE(9, build.Stream{Name: "ENCRYPTIONINFO", Data: []byte{4, 0, 4, 0, 0x40, 0}}, build.Stream{Name: "encryptedpackage", Data: make([]byte, 9000)}), walk.FindingOLE, "encrypted package, agile"},
		{"inserted file", build.OLE(9, build.Stream{Name: "\x01Ole10Native", Data: build.Native(build.Package("z.zip", archive))}), walk.FindingZip, lockedX},
		{"inserted file of a program", build.OLE(9, build.Stream{Name: "\x01OLE10nATIVE", Data: build.Native(archive)}), walk.FindingZip, lockedX},
		{"inserted file in OOXML", build.Zip(tb, build.Text("word/document.xml"), build.Inner("word/embeddings/oleObject1.bin", build.OLE(9, build.Stream{Name: "\x01Ole10Native", Data: build.Native(build.Package("z.zip", archive))}), false)), walk.FindingZip, lockedX},
		{"inserted file in a presentation", build.OLE(9, build.Stream{Name: "PowerPoint Document", Data: build.Presentation(deflated(build.OLE(9, build.Stream{Name: "\x01Ole10Native", Data: build.Native(build.Package("z.zip", archive))})))}), walk.FindingZip, lockedX},
		{"RTF", build.RTF("Package", build.Package("z.zip", archive)), walk.FindingZip, lockedX},
		{"RTF with a document", build.RTF("Excel.Sheet.8", excel("Workbook")), walk.FindingOLE, "RC4"},
		{"RTF, plain", build.RTF("Package", build.Package("z.zip", plain)), "", ""},
		{"PDF, attached", attachedPDF("", "", archive), walk.FindingZip, `member "in.zip" in pdf: ` + lockedX},
		{"PDF, attached, deflated", attachedPDF("/Filter /FlateDecode", "", deflated(archive)), walk.FindingZip, lockedX},
		{"PDF, attached, plain", attachedPDF("", "", plain), "", ""},
		{"PDF, attached, other filter", attachedPDF("/Filter /LZWDecode", "", bytes.Repeat([]byte("x"), 100)), walk.UnscannedMethod, "filter"},
		{"PDF, attached to an annotation", annotated.table(""), walk.FindingZip, lockedX},
		{"PDF, wrapper", attachedPDF("", wrapped, plain), walk.FindingPDF, "encrypted payload, MicrosoftIRMServices"},
		{"PDF, attached to one with an empty password", bytes.Replace(attachedPDF("", "", bytes.Repeat([]byte("x"), 100)), []byte("/Root"), []byte("/Encrypt "+openPDF+" /Root"), 1), walk.UnscannedMethod, "not decrypted"},
		{"iWork", build.Zip(tb, build.Text("index.zip"), build.Text(".iwpv2")), walk.FindingPrefix + "IWork", "password"},
		{"iWork 2009", build.Zip(tb, build.File{Name: "index.xml", Raw: true, Method: 0x636c, Data: make([]byte, 50)}), walk.FindingPrefix + "IWork", "2009"},
		{"Access", accessDatabase(tb, 0x12345678), walk.FindingPrefix + "Access", "RC4"},
		{"Access, agile", agile, walk.FindingPrefix + "Access", "agile"},
		{"Access, plain", accessDatabase(tb, 0), "", ""},
		{"EPUB with rights", epub("http://www.w3.org/2001/04/xmlenc#aes256-cbc"), walk.FindingPrefix + "EPUB", "aes256-cbc"},
		{"EPUB with fonts", epub("http://www.idpf.org/2008/embedding"), "", ""},
		{"ODF without a namespace", build.Zip(tb, build.File{Name: "META-INF/manifest.xml", Data: []byte(`<manifest:manifest><manifest:file-entry manifest:full-path="a"><manifest:encryption-data/>`)}), walk.FindingODF, "encrypted"},
	}
}

// attachedPDF returns a document with an attached file in.zip.
func attachedPDF(filter, dict string, data []byte) []byte {
	p := newPDF("")
	p.object(1, "<< /Type /Catalog /Names << /EmbeddedFiles << /Kids [<< /Names [(n) 6 0 R] >>] >> >> >>")
	p.object(6, "<< /Type /Filespec /F (in.zip) /EF << /F 7 0 R >> "+dict+" >>")
	p.object(7, fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", filter, len(data), data))
	return p.table("")
}

// accessDatabase returns the beginning of a database with this key.
func accessDatabase(tb testing.TB, key uint32) []byte {
	tb.Helper()
	b := append([]byte("\x00\x01\x00\x00Standard Jet DB\x00\x01\x00\x00\x00"), make([]byte, 4096)...)
	// Access masks the header with this key.
	c, err := rc4.NewCipher([]byte{0xc7, 0xda, 0x39, 0x6b})
	if err != nil {
		tb.Fatal(err)
	}
	binary.LittleEndian.PutUint32(b[0x3e:], key)
	c.XORKeyStream(b[0x18:0x18+126], b[0x18:0x18+126])
	return b
}
