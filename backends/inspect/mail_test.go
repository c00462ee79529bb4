package inspect

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// TestMail scans mails of many kinds with an encrypted archive.
func TestMail(t *testing.T) {
	archive := build.Zip(t, build.Text("a"), build.Locked("x"))
	b64 := base64.StdEncoding.EncodeToString(archive)
	in := func(name string) string { return `member "` + name + `" in mail: member "x" in zip: ZipCrypto` }
	part := build.MailPart{Kind: "application/zip", Encoding: "base64", Name: "z.zip", Data: archive}
	with := func(p build.MailPart) []byte {
		return build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "text/plain", Data: []byte("See.\r\n")}, p}})
	}
	encoded := func(how string) []byte { p := part; p.Encoding = how; return with(p) }
	header := "From: a@example.org\nTo: b@example.org\n"
	for _, c := range []struct {
		name, detail string
		data         []byte
	}{
		{"base64", in("z.zip"), with(part)},
		{"quoted-printable", in("z.zip"), encoded("quoted-printable")},
		{"uuencode", in("z.zip"), encoded("x-uuencode")},
		{"binary", in("z.zip"), encoded("binary")},
		{"8bit", in("z.zip"), encoded("8bit")},
		{"not a multipart", in("z.zip"), build.Mail(part)},
		{"called text", in("z.zip"), func() []byte { p := part; p.Kind = "text/plain"; return with(p) }()},
		{"no type", in("z.zip"), func() []byte { p := part; p.Kind = ""; return with(p) }()},
		{"deep", in("z.zip"), build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "multipart/related", Parts: []build.MailPart{{Kind: "multipart/alternative", Parts: []build.MailPart{{Kind: "text/plain", Data: []byte("a")}}}, part}}}})},
		{"after a nested multipart", in("z.zip"), build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "multipart/alternative", Parts: []build.MailPart{{Kind: "text/plain", Data: []byte("a")}}}, part}})},
		{"forwarded", `mail: ` + in("z.zip"), build.Mail(build.MailPart{Kind: "message/rfc822", Data: with(part)})},
		{"forwarded as attachment", `member "m.eml" in mail: ` + in("z.zip"), build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "message/rfc822", Name: "m.eml", Data: with(part)}}})},
		{"forwarded in base64", `member "m.eml" in mail: ` + in("z.zip"), with(build.MailPart{Kind: "message/rfc822", Encoding: "base64", Name: "m.eml", Data: with(part)})},
		{"after a forwarded mail", in("z.zip"), build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "message/rfc822", Data: with(build.MailPart{Kind: "text/plain", Data: []byte("x")})}, part}})},
		{"newlines only", in("z.zip"), bytes.ReplaceAll(with(part), []byte("\r\n"), []byte("\n"))},
		{"mixed newlines", in("z.zip"), bytes.Replace(bytes.ReplaceAll(with(part), []byte("\r\n"), []byte("\n")), []byte("\n--="), []byte("\r\n--="), 1)},
		{"mailbox", in("z.zip"), append([]byte("From a@example.org Mon Jan  1 00:00:00 2024\n"), with(part)...)},
		{"one line of base64", in("z.zip"), []byte(header + "Content-Type: application/zip; name=z.zip\nContent-Transfer-Encoding: base64\n\n" + b64)},
		{"base64 with noise", in("z.zip"), []byte(header + "Content-Type: application/zip; name=z.zip\nContent-Transfer-Encoding: BASE64 \n\n" + strings.Join(strings.Split(b64[:80], ""), "-\n!") + b64[80:])},
		{"padding in the middle", in("z.zip"), []byte(header + "Content-Type: application/zip; name=z.zip\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(archive[:100]) + "\n" + base64.StdEncoding.EncodeToString(archive[100:]))},
		{"no end", in("z.zip"), bytes.TrimSuffix(with(part), []byte("\r\n--=_part_0--\r\n"))},
		{"broken type", in("z.zip"), []byte(header + "Content-Type: multipart/mixed; boundary=\"b\"; name=a b; ; =\n\n--b\nContent-Type: a/b; name=\"z.zip\ncontent-disposition: attachment; filename=z.zip\nContent-Transfer-Encoding: base64\n\n" + b64 + "\n--b--\n")},
		{"folded", in("z.zip"), []byte(header + "Content-Type:\n multipart/mixed;\n\tboundary=\n b\n\n--b\nContent-Disposition: attachment;\n filename=\"z.zip\"\nContent-Transfer-Encoding:\n base64\n\n" + b64 + "\n--b--\n")},
		{"encoded name", in("ä.zip"), []byte(header + "Content-Type: application/zip; name=\"=?utf-8?q?=C3=A4.zip?=\"\nContent-Transfer-Encoding: base64\n\n" + b64)},
		{"extended name", in("ä.zip"), []byte(header + "Content-Disposition: attachment; filename*=utf-8''%C3%A4.zip\nContent-Transfer-Encoding: base64\n\n" + b64)},
		{"boundary before a longer one", in("z.zip"), []byte(header + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bb\nnot one\n--b \nContent-Type: a/b; name=z.zip\nContent-Transfer-Encoding: base64\n\n" + b64 + "\n--b--\n")},
		{"uuencode in a text", `mail: member "z.zip" in uuencode: member "x" in zip: ZipCrypto`, []byte(header + "Subject: x\n\n" + build.Paragraphs(9000) + string(build.UUEncode("z.zip", archive)))},
		{"second uuencode", `mail: member "z.zip" in uuencode: member "x" in zip: ZipCrypto`, []byte(header + "\nhi\n" + string(build.UUEncode("y.zip", build.Zip(t, build.Text("y")))) + string(build.UUEncode("z.zip", archive)))},
		{"only a header field and a body", in("z.zip"), []byte("Content-Type: application/zip; name=z.zip\nContent-Transfer-Encoding: base64\n\n" + b64)},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDetail(t, scan(t, open(t, nil), c.data), encryptedZip, c.detail)
		})
	}
}

// TestMailText scans texts with encrypted messages.
func TestMailText(t *testing.T) {
	files := sampleFiles(t)
	for name, want := range map[string]string{
		"pgp/password.asc": walk.FindingPGP, "pgp/key.asc": walk.FindingPGP, "pgp/key-signed.asc": walk.FindingPGP, "cms/enveloped.pem": walk.FindingSMIME,
		"pgp/signed.asc": "", "pgp/clear.asc": "", "pgp/stored.asc": "", "cms/signed.pem": "", "pgp/publickey.asc": "",
	} {
		body := append([]byte(build.Paragraphs(5000)), files[name]...)
		for how, data := range map[string][]byte{
			"7bit":   build.Mail(build.MailPart{Kind: "text/plain", Data: body}),
			"base64": build.Mail(build.MailPart{Kind: "text/plain", Encoding: "base64", Data: body}),
			"quoted": build.Mail(build.MailPart{Kind: "text/plain; charset=x-unknown", Encoding: "quoted-printable", Data: body}),
			"part":   build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "text/plain", Data: body}}}),
			"after":  build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "text/plain", Data: []byte("a\r\n-----BEGIN PGP MESSAGE-----\r\n")}, {Kind: "text/plain", Data: body}}}),
		} {
			r := scan(t, open(t, nil), data)
			category := backends.Encrypted
			if want == "" {
				category = backends.OK
			}
			if wantFinding(t, r, category, want); t.Failed() {
				t.Fatal(name, how)
			}
		}
	}
}

// TestMailPlain checks that harmless mails give no false alarm.
func TestMailPlain(t *testing.T) {
	b := open(t, nil)
	plain := build.Zip(t, build.Text("a"))
	for name, data := range map[string][]byte{
		"attachment":     build.Attach("z.zip", plain),
		"empty":          []byte("From: a@example.org\n\n"),
		"header only":    []byte("From: a@example.org\nSubject: -----BEGIN PGP MESSAGE-----"),
		"talk of it":     []byte("From: a@example.org\n\nIt begins with\n> -----BEGIN PGP MESSAGE-----\nas you know.\n-----BEGIN PGP MESSAGE-----\n\nand so on\n"),
		"begin a line":   []byte("From: a@example.org\n\nbegin 644 words\nand end\nend\n"),
		"no boundary":    []byte("From: a@example.org\nContent-Type: multipart/mixed\n\n--\n\nx\n----\n"),
		"signed":         []byte("From: a@example.org\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\n\nwnUEARYK\n--b--\n"),
		"smime signed":   []byte("From: a@example.org\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n\nMIIB\n"),
		"not a mail":     []byte("Name: value\nOther: value\n\nContent-Type: multipart/encrypted\n"),
		"header in text": []byte("Dear reader,\nContent-Type: multipart/encrypted; boundary=x\n\n--x\n"),
	} {
		if wantFinding(t, scan(t, b, data), backends.OK, ""); t.Failed() {
			t.Fatal(name)
		}
	}
	// A truncated mail causes no failure and no finding,
	data := build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "message/rfc822", Data: build.Attach("z.zip", plain)}, {Kind: "text/html", Encoding: "quoted-printable", Data: []byte("<p>ä=")}}})
	for n := range data {
		// except that the archive may be cut off.
		if r := scan(t, b, data[:n]); r.Category != backends.OK && !isCutOff(r) {
			t.Fatalf("%d of %d bytes: %+v", n, len(data), r)
		}
	}
}

// TestMailLimits scans mails that attack the budgets.
func TestMailLimits(t *testing.T) {
	header := "From: a@example.org\nTo: b@example.org\n"
	nested := func(n int, last string) []byte {
		var s strings.Builder
		s.WriteString(header)
		for i := range n {
			fmt.Fprintf(&s, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return []byte(s.String() + last)
	}
	forwarded := func(n int) []byte {
		return []byte(header + strings.Repeat("Content-Type: message/rfc822\n\n"+header, n) + "\ntext\n")
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
		most uint64
	}{
		{"multiparts", nested(30, "\nx"), "", 1 << 20},
		{"too many multiparts", nested(1000, "\nx"), "MaxDepth", 1 << 20},
		{"forwarded", forwarded(6), "", 1 << 20},
		{"forwarded too often", forwarded(10_000), "MaxDepth", 1 << 20},
		{"many parts", append(nested(1, ""), strings.Repeat("\nx\n--b0\n", 20_000)...), "MaxMembers", 70 << 20},
		{"many fields", []byte(header + strings.Repeat("a:\n", 1_000_000) + "\ntext"), "", 1 << 20},
		{"long field", []byte(header + "Content-Type: " + strings.Repeat("a/b; ", 1_000_000) + "\n\ntext"), "Broken", 2 << 20},
		{"long folded field", []byte(header + "Content-Type: a" + strings.Repeat("\n b", 1_000_000) + "\n\ntext"), "Broken", 2 << 20},
		{"many types", []byte(header + strings.Repeat("Content-Type: a/b; c=d\n", 100_000) + "\ntext"), "", 2 << 20},
		{"long lines", []byte(header + "\n" + strings.Repeat("x", 9_000_000)), "", 1 << 20},
		{"boundaries only", append(nested(1, ""), strings.Repeat("--b0\n", 9000)...), "", 60 << 20},
		{"base64 of nothing", []byte(header + "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("=\n", 1_000_000)), "", 1 << 20},
		{"large attachment", build.Mail(build.MailPart{Kind: "application/zip", Encoding: "base64", Data: append([]byte(build.ZipLocal), make([]byte, 4<<20)...)}), "", 8 << 20},
		{"larger than the budget", build.Mail(build.MailPart{Kind: "application/zip", Encoding: "base64", Data: append([]byte(build.ZipLocal), make([]byte, 16<<20)...)}), "MaxBytes", 20 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, bytes := allocated(t, open(t, func(c *Config) { c.MaxBytes = 16 << 20 }), c.data)
			t.Logf("table: memory: mail %-24s %9d bytes allocated, %v", c.name, bytes, r.Category)
			if bytes > c.most {
				t.Errorf("%d bytes allocated, want %d at most", bytes, c.most)
			}
			if c.want == "" {
				wantFinding(t, r, backends.OK, "")
				return
			}
			wantFinding(t, r, backends.Partial, exceeded+c.want)
		})
	}
}

// FuzzMail scans arbitrary bytes after a mail header.
func FuzzMail(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\nUEsDBA==\n--b--\n"))
	f.Add([]byte("Content-Type: message/rfc822\n\nFrom: x\n\nbegin 644 x\n#86%B\nend\n"))
	f.Add([]byte("Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain\n\n=50=4b=\n=03=04"))
	f.Add(build.Attach("z.zip", build.Zip(f, build.Locked("x"))))
	f.Add(append([]byte("\n"), sampleFiles(f)["pgp/key.asc"]...))
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzScan(t, b, append([]byte("From: a@example.org\nDate: today\n"), data...))
	})
}
