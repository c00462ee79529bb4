package inspect

import (
	"bytes"
	"compress/zlib"
	"crypto/rc4"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// kinds returns samples of less usual formats. A finding without walk.FindingPrefix is that
// of a partial result; an empty one means clean.
func kinds(tb testing.TB) []sample {
	archive := build.Zip(tb, build.Text("a"), build.Locked("x"))
	plain := build.Zip(tb, build.Text("a"))
	b64 := base64.StdEncoding.EncodeToString(archive)
	const zip = `member "x" in zip: ZipCrypto`
	header := "From: a@example.org\nTo: b@example.org\n"
	entity := func(data []byte) []byte {
		return []byte("Content-Type: application/zip; name=z.zip\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(data) + "\n")
	}
	pkcs7 := func(kind string, der []byte) []byte {
		return build.Mail(build.MailPart{Kind: "application/pkcs7-mime; smime-type=" + kind, Encoding: "base64", Name: "smime.p7m", Data: der})
	}
	deflated := func(data []byte) []byte {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		w.Write(data)
		w.Close()
		return b.Bytes()
	}
	message := func(data []byte) string {
		return string(build.Mail(build.MailPart{Kind: "application/zip", Encoding: "base64", Name: "z.zip", Data: data}))
	}
	armor := string(build.PGPArmor(build.NewPacket(build.PGPPassword, []byte{4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 96})))
	const fromLine = "From a@example.org Mon Jan  1 00:00:00 2024\n"
	excel := func(name string) []byte {
		return build.OLE(9, build.Stream{Name: name, Data: build.BIFF(bof8, "\x2f\x00\x01\x00\x01\x00\x01\x00")})
	}
	attachedPDF := func(filter, dict string, data []byte) []byte {
		p := newPDF("")
		p.object(1, "<< /Type /Catalog /Names << /EmbeddedFiles << /Kids [<< /Names [(n) 6 0 R] >>] >> >> >>")
		p.object(6, "<< /Type /Filespec /F (in.zip) /EF << /F 7 0 R >> "+dict+" >>")
		p.object(7, fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", filter, len(data), data))
		return p.table("")
	}
	wrapped := `/AFRelationship /EncryptedPayload /EP << /Type /EncryptedPayload /Subtype /MicrosoftIRMServices >>`
	annotated := newPDF("")
	annotated.object(7, fmt.Sprintf("<< /Type /EmbeddedFile /Length %d >>\nstream\n%s\nendstream", len(archive), archive))
	safe := append(append([]byte("PWS3"), make([]byte, 300)...), "PWS3-EOFPWS3-EOF"...)
	epub := func(algorithm string) []byte {
		return build.Zip(tb, build.File{Name: "mimetype", Data: []byte("application/epub+zip"), Stored: true},
			build.File{Name: "META-INF/encryption.xml", Data: []byte(`<encryption><enc:EncryptedData><enc:EncryptionMethod Algorithm="` + algorithm + `"/></enc:EncryptedData></encryption>`)})
	}
	database := func(key uint32) []byte {
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
	agile := database(0)
	copy(agile[0x299:], "\x1f\x04\x04\x00\x04\x00\x40\x00\x00\x00<?xml")
	sed := build.OldPacket(build.PGPEncrypted, bytes.Repeat([]byte{0x5d}, 200))
	return []sample{
		{"signed, opaque", pkcs7("signed-data", build.Signed(entity(archive))), walk.FindingZip, zip},
		{"signed, opaque, BER", pkcs7("signed-data", build.SignedBER(entity(archive))), walk.FindingZip, zip},
		{"signed, opaque, clean", pkcs7("signed-data", build.SignedBER(entity(plain))), "", ""},
		{"signed twice", pkcs7("signed-data", build.Signed(pkcs7("signed-data", build.SignedBER(entity(archive))))), walk.FindingZip, zip},
		{"triple wrapped", pkcs7("signed-data", build.Signed(pkcs7("enveloped-data", build.Enveloped()))), walk.FindingSMIME, "enveloped"},
		{"signed, bare", build.Signed(entity(archive)), walk.FindingZip, zip},
		{"signed, PEM", []byte("-----BEGIN PKCS7-----\n" + base64.StdEncoding.EncodeToString(build.Signed(entity(archive))) + "\n-----END PKCS7-----\n"), walk.FindingZip, zip},
		{"compressed", pkcs7("compressed-data", build.Compressed(deflated(entity(archive)))), walk.FindingZip, zip},
		{"second mail", []byte(fromLine + header + "\nhello\n\n" + fromLine + message(archive)), walk.FindingZip, zip},
		{"mail after a multipart", []byte(fromLine + header + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n\n" + fromLine + message(archive)), walk.FindingZip, zip},
		{"no second mail", []byte(fromLine + header + "\nhello\n\nFrom here on all is well.\n\n" + message(archive)), "", ""},
		{"comment after an encoding", []byte(header + "Content-Type: application/zip\nContent-Transfer-Encoding: base64 (so (it \\) is))\n\n" + b64), walk.FindingZip, zip},
		{"comment before an encoding", []byte(header + "Content-Type: application/zip\nContent-Transfer-Encoding: (so)\n base64\n\n" + b64), walk.FindingZip, zip},
		{"quoted encoding", []byte(header + "Content-Type: application/zip\nContent-Transfer-Encoding: \"base64\"\n\n" + b64), walk.FindingZip, zip},
		{"comment after a boundary", []byte(header + "Content-Type: multipart/mixed; boundary=b (comment)\n\n--b\n" + string(entity(archive)) + "--b--\n"), walk.FindingZip, zip},
		{"comment before a boundary", []byte(header + "Content-Type: multipart/(what)mixed;\n (one)\n boundary (two) = (three) \"b;(\" (four)\n\n--b;(\n" + string(entity(archive)) + "--b;(--\n"), walk.FindingZip, zip},
		{"broken field with a quoted boundary", []byte(header + "Content-Type: multipart/mixed; =; boundary=\"a;b\"\n\n--a;b\n" + string(entity(archive)) + "--a;b--\n"), walk.FindingZip, zip},
		{"late armor", []byte(build.Paragraphs(5000) + armor), walk.FindingPGP, "pgp armor"},
		{"late armor, attached", build.Attach("t.bin", []byte(build.Paragraphs(5000)+armor)), walk.FindingPGP, "pgp armor"},
		{"armor after a BOM", []byte("\xef\xbb\xbf" + armor), walk.FindingPGP, "pgp armor"},
		{"armor in HTML", build.Mail(build.MailPart{Kind: "text/html", Data: []byte("<html><body><pre>" + strings.ReplaceAll(armor, "\n", "<br>\n") + "</pre>")}), walk.FindingPGP, "pgp armor"},
		{"armor in prose", []byte(build.Paragraphs(5000) + "It begins with -----BEGIN PGP MESSAGE-----\nas you know\n"), "", ""},
		{"data without a session key", sed, walk.FindingPGP, "without a session key"},
		{"data without a session key, and more", append(bytes.Clone(sed), 0), "", ""},
		{"message in TNEF", build.Attach("winmail.dat", build.TNEFMessage(build.TNEF("z.zip", archive))), walk.FindingZip, zip},
		{"names in lower case", excel("workbook"), walk.FindingOLE, "RC4"},
		{"names in upper case", build.OLE(9, build.Stream{Name: "ENCRYPTIONINFO", Data: []byte{4, 0, 4, 0, 0x40, 0}}, build.Stream{Name: "encryptedpackage", Data: make([]byte, 9000)}), walk.FindingOLE, "encrypted package, agile"},
		{"inserted file", build.OLE(9, build.Stream{Name: "\x01Ole10Native", Data: build.Native(build.Package("z.zip", archive))}), walk.FindingZip, zip},
		{"inserted file of a program", build.OLE(9, build.Stream{Name: "\x01OLE10nATIVE", Data: build.Native(archive)}), walk.FindingZip, zip},
		{"inserted file in OOXML", build.Zip(tb, build.Text("word/document.xml"), build.Inner("word/embeddings/oleObject1.bin", build.OLE(9, build.Stream{Name: "\x01Ole10Native", Data: build.Native(build.Package("z.zip", archive))}), false)), walk.FindingZip, zip},
		{"inserted file in a presentation", build.OLE(9, build.Stream{Name: "PowerPoint Document", Data: build.Presentation(deflated(build.OLE(9, build.Stream{Name: "\x01Ole10Native", Data: build.Native(build.Package("z.zip", archive))})))}), walk.FindingZip, zip},
		{"RTF", build.RTF("Package", build.Package("z.zip", archive)), walk.FindingZip, zip},
		{"RTF with a document", build.RTF("Excel.Sheet.8", excel("Workbook")), walk.FindingOLE, "RC4"},
		{"RTF, plain", build.RTF("Package", build.Package("z.zip", plain)), "", ""},
		{"PDF, attached", attachedPDF("", "", archive), walk.FindingZip, `member "in.zip" in pdf: ` + zip},
		{"PDF, attached, deflated", attachedPDF("/Filter /FlateDecode", "", deflated(archive)), walk.FindingZip, zip},
		{"PDF, attached, plain", attachedPDF("", "", plain), "", ""},
		{"PDF, attached, other filter", attachedPDF("/Filter /LZWDecode", "", bytes.Repeat([]byte("x"), 100)), walk.UnscannedMethod, "filter"},
		{"PDF, attached to an annotation", annotated.table(""), walk.FindingZip, zip},
		{"PDF, wrapper", attachedPDF("", wrapped, plain), walk.FindingPDF, "encrypted payload, MicrosoftIRMServices"},
		{"PDF, attached to one with an empty password", bytes.Replace(attachedPDF("", "", bytes.Repeat([]byte("x"), 100)), []byte("/Root"), []byte("/Encrypt "+openPDF+" /Root"), 1), walk.UnscannedMethod, "not decrypted"},
		{"rights-managed message", append([]byte("\x76\xe8\x04\x60\xc4\x11\xe3\x86"), make([]byte, 100)...), walk.FindingPrefix + "RPMSG", "rights management"},
		{"iWork", build.Zip(tb, build.Text("index.zip"), build.Text(".iwpv2")), walk.FindingPrefix + "IWork", "password"},
		{"iWork 2009", build.Zip(tb, build.File{Name: "index.xml", Raw: true, Method: 0x636c, Data: make([]byte, 50)}), walk.FindingPrefix + "IWork", "2009"},
		{"Access", database(0x12345678), walk.FindingPrefix + "Access", "RC4"},
		{"Access, agile", agile, walk.FindingPrefix + "Access", "agile"},
		{"Access, plain", database(0), "", ""},
		{"disk image, version 1", append(bytes.Repeat([]byte{0xe1}, 2000), "cdsaencr"...), walk.FindingPrefix + "DMG", "version 1"},
		{"Password Safe", safe, walk.FindingPrefix + "PasswordSafe", "password database"},
		{"RAR 1.4", build.OldRAR("s.txt", make([]byte, 50), true, 0), walk.FindingRAR, `member "s.txt" in rar: RAR 1.4 encryption`},
		{"RAR 1.4, stored", build.OldRAR("z.zip", archive, false, 0), walk.FindingZip, zip},
		{"RAR 1.4, packed", build.OldRAR("s.txt", make([]byte, 50), false, 3), walk.UnscannedMethod, "s.txt"},
		{"EPUB with rights", epub("http://www.w3.org/2001/04/xmlenc#aes256-cbc"), walk.FindingPrefix + "EPUB", "aes256-cbc"},
		{"EPUB with fonts", epub("http://www.idpf.org/2008/embedding"), "", ""},
		{"ODF without a namespace", build.Zip(tb, build.File{Name: "META-INF/manifest.xml", Data: []byte(`<manifest:manifest><manifest:file-entry manifest:full-path="a"><manifest:encryption-data/>`)}), walk.FindingODF, "encrypted"},
		{"7z, truncated", build.Seven(build.SevenStored("a", archive))[:60], walk.UnscannedCutOff, "7z"},
		{"gzip, truncated", build.Gzip(tb, "z", plain)[:100], walk.UnscannedCutOff, ""},
	}
}

// TestKinds scans each of the kinds.
func TestKinds(t *testing.T) {
	b := open(t, nil)
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			r := scan(t, b, k.data)
			category := backends.Encrypted
			switch {
			case k.finding == "":
				category = backends.OK
			case !strings.HasPrefix(k.finding, walk.FindingPrefix):
				category = backends.Partial
			}
			wantFinding(t, r, category, k.finding)
			if !strings.Contains(r.Detail, k.detail) {
				t.Errorf("detail %q, want %q in it", r.Detail, k.detail)
			}
		})
	}
}
