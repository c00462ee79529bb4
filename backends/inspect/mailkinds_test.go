package inspect

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// mailKinds are mails, texts and messages.
func mailKinds(tb testing.TB) []sample {
	tb.Helper()
	archive, plain := lockedZip(tb), plainZip(tb)
	b64 := base64.StdEncoding.EncodeToString(archive)
	const header = "From: a@example.org\nTo: b@example.org\n"
	entity := func(data []byte) []byte {
		return []byte("Content-Type: application/zip; name=z.zip\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(data) + "\n")
	}
	pkcs7 := func(kind string, der []byte) []byte {
		return build.Mail(build.MailPart{Kind: "application/pkcs7-mime; smime-type=" + kind, Encoding: "base64", Name: "smime.p7m", Data: der})
	}
	message := func(data []byte) string {
		return string(build.Mail(build.MailPart{Kind: "application/zip", Encoding: "base64", Name: "z.zip", Data: data}))
	}
	armor := string(build.PGPArmor(build.NewPacket(build.PGPPassword, []byte{4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 96})))
	const fromLine = "From a@example.org Mon Jan  1 00:00:00 2024\n"
	sed := build.OldPacket(build.PGPEncrypted, bytes.Repeat([]byte{0x5d}, 200))
	return []sample{
		{"signed, opaque", pkcs7("signed-data", build.Signed(entity(archive))), walk.FindingZip, lockedX},
		{"signed, opaque, BER", pkcs7("signed-data", build.SignedBER(entity(archive))), walk.FindingZip, lockedX},
		{"signed, opaque, clean", pkcs7("signed-data", build.SignedBER(entity(plain))), "", ""},
		{"signed twice", pkcs7("signed-data", build.Signed(pkcs7("signed-data", build.SignedBER(entity(archive))))), walk.FindingZip, lockedX},
		{"triple wrapped", pkcs7("signed-data", build.Signed(pkcs7("enveloped-data", build.Enveloped()))), walk.FindingSMIME, "enveloped"},
		{"signed, bare", build.Signed(entity(archive)), walk.FindingZip, lockedX},
		{"signed, PEM", []byte("-----BEGIN PKCS7-----\n" + base64.StdEncoding.EncodeToString(build.Signed(entity(archive))) + "\n-----END PKCS7-----\n"), walk.FindingZip, lockedX},
		{"compressed", pkcs7("compressed-data", build.Compressed(deflated(entity(archive)))), walk.FindingZip, lockedX},
		{"second mail", []byte(fromLine + header + "\nhello\n\n" + fromLine + message(archive)), walk.FindingZip, lockedX},
		{"mail after a multipart", []byte(fromLine + header + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n\n" + fromLine + message(archive)), walk.FindingZip, lockedX},
		{"no second mail", []byte(fromLine + header + "\nhello\n\nFrom here on all is well.\n\n" + message(archive)), "", ""},
		{"comment after an encoding", []byte(header + "Content-Type: application/zip\nContent-Transfer-Encoding: base64 (so (it \\) is))\n\n" + b64), walk.FindingZip, lockedX},
		{"comment before an encoding", []byte(header + "Content-Type: application/zip\nContent-Transfer-Encoding: (so)\n base64\n\n" + b64), walk.FindingZip, lockedX},
		{"quoted encoding", []byte(header + "Content-Type: application/zip\nContent-Transfer-Encoding: \"base64\"\n\n" + b64), walk.FindingZip, lockedX},
		{"comment after a boundary", []byte(header + "Content-Type: multipart/mixed; boundary=b (comment)\n\n--b\n" + string(entity(archive)) + "--b--\n"), walk.FindingZip, lockedX},
		{"comment before a boundary", []byte(header + "Content-Type: multipart/(what)mixed;\n (one)\n boundary (two) = (three) \"b;(\" (four)\n\n--b;(\n" + string(entity(archive)) + "--b;(--\n"), walk.FindingZip, lockedX},
		{"broken field with a quoted boundary", []byte(header + "Content-Type: multipart/mixed; =; boundary=\"a;b\"\n\n--a;b\n" + string(entity(archive)) + "--a;b--\n"), walk.FindingZip, lockedX},
		{"late armor", []byte(build.Paragraphs(5000) + armor), walk.FindingPGP, "pgp armor"},
		{"late armor, attached", build.Attach("t.bin", []byte(build.Paragraphs(5000)+armor)), walk.FindingPGP, "pgp armor"},
		{"armor after a BOM", []byte("\xef\xbb\xbf" + armor), walk.FindingPGP, "pgp armor"},
		{"armor in HTML", build.Mail(build.MailPart{Kind: "text/html", Data: []byte("<html><body><pre>" + strings.ReplaceAll(armor, "\n", "<br>\n") + "</pre>")}), walk.FindingPGP, "pgp armor"},
		{"armor in prose", []byte(build.Paragraphs(5000) + "It begins with -----BEGIN PGP MESSAGE-----\nas you know\n"), "", ""},
		{"data without a session key", sed, walk.FindingPGP, "without a session key"},
		{"data without a session key, and more", append(bytes.Clone(sed), 0), "", ""},
		{"message in TNEF", build.Attach("winmail.dat", build.TNEFMessage(build.TNEF("z.zip", archive))), walk.FindingZip, lockedX},
	}
}
