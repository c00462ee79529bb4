package inspect

import (
	"bytes"

	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is something to scan, and what it must give: nothing if finding is
// empty.
type sample struct {
	name            string
	data            []byte
	finding, detail string
}

// fileSamples are those of testdata; what is not named here is plain.
var fileSamples = map[string][2]string{
	"7z/copy-headers.7z":          {findingSeven, "7z: headers encrypted, AES-256"},
	"7z/copy-rawheader.7z":        {findingSeven, `member "hello.txt" in 7z: AES-256`},
	"7z/copy.7z":                  {findingSeven, `member "hello.txt" in 7z: AES-256`},
	"7z/data.7z":                  {findingSeven, `member "hello.txt" in 7z: AES-256`},
	"7z/headers.7z":               {findingSeven, "7z: headers encrypted, AES-256"},
	"7z/mixed.7z":                 {findingSeven, `member "numbers.txt" in 7z: AES-256`},
	"7z/nested-BZip2.7z":          {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-Copy.7z":           {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-Deflate.7z":        {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-LZMA.7z":           {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-LZMA2.7z":          {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-PPMd.7z":           {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-bcj.7z":            {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-delta.7z":          {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-nonsolid.7z":       {findingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"pdf/user-r2.pdf":             {findingPDF, "pdf: RC4 40 bit, revision 2"},
	"pdf/user-r3.pdf":             {findingPDF, "pdf: RC4 128 bit, revision 3"},
	"pdf/user-r4-rc4.pdf":         {findingPDF, "pdf: RC4 128 bit, revision 4"},
	"pdf/user-r4.pdf":             {findingPDF, "pdf: AES-128, revision 4"},
	"pdf/user-r4-metadata.pdf":    {findingPDF, "pdf: AES-128, revision 4"},
	"pdf/user-r4-objects.pdf":     {findingPDF, "pdf: AES-128, revision 4"},
	"pdf/user-r5.pdf":             {findingPDF, "pdf: AES-256, revision 5"},
	"pdf/user-r6.pdf":             {findingPDF, "pdf: AES-256, revision 6"},
	"pdf/user-r6-objects.pdf":     {findingPDF, "pdf: AES-256, revision 6"},
	"pdf/user-r6-linear.pdf":      {findingPDF, "pdf: AES-256, revision 6"},
	"pgp/password.gpg":            {findingPGP, "pgp: encrypted with a password"},
	"pgp/password.asc":            {findingPGP, "pgp armor: encrypted with a password"},
	"pgp/key.gpg":                 {findingPGP, "pgp: encrypted for a key"},
	"pgp/key.asc":                 {findingPGP, "pgp armor: encrypted for a key"},
	"pgp/two-keys.gpg":            {findingPGP, "pgp: encrypted for a key"},
	"pgp/key-signed.asc":          {findingPGP, "pgp armor: encrypted for a key"},
	"pgp/hidden-and-password.gpg": {findingPGP, "pgp: encrypted with a password"},
	"cms/enveloped.der":           {findingSMIME, "smime: enveloped data"},
	"cms/enveloped-ber.der":       {findingSMIME, "smime: enveloped data"},
	"cms/enveloped.pem":           {findingSMIME, "smime pem: enveloped data"},
	"cms/enveloped-pkcs7.pem":     {findingSMIME, "smime pem: enveloped data"},
	"cms/enveloped.eml":           {findingSMIME, `member "smime.p7m" in mail: enveloped-data`},
	"cms/auth.der":                {findingSMIME, "smime: authenticated enveloped data"},
	"cms/encrypteddata.der":       {findingSMIME, "smime: encrypted data"},
	"cms/salted.enc":              {findingPrefix + "OpenSSL", "openssl: encrypted with a password"},
}

// composed are the samples that no program here makes.
func composed(tb testing.TB) []sample {
	tb.Helper()
	secret := rarFile{name: "s.txt", data: make([]byte, 64), encrypted: true}
	plain := rarFile{name: "s.txt", data: make([]byte, 64)}
	word := func(flags uint16) []byte {
		return makeOLE(9, oleStreamFile{"WordDocument", wordStream(0xa5ec, flags, 5000)})
	}
	excel := func(r string) []byte { return makeOLE(9, oleStreamFile{"Workbook", biff(bof8, r)}) }
	point := func(n uint32) []byte { return makeOLE(9, oleStreamFile{"Current User", currentUser(n)}) }
	magic := func(s string) []byte { return append([]byte(s), bytes.Repeat([]byte{0xe1}, 1000)...) }
	return []sample{
		{"rar 4", makeRAR4(0, secret), findingRAR, `member "s.txt" in rar: AES-128`},
		{"rar 4 plain", makeRAR4(0, plain), "", ""},
		{"rar 4 headers", makeRAR4(rar4MainEncrypted), findingRAR, "rar: headers encrypted, AES-128"},
		{"rar 5", makeRAR5(secret), findingRAR, `member "s.txt" in rar: AES-256`},
		{"rar 5 plain", makeRAR5(plain), "", ""},
		{"rar 5 headers", makeRAR5Locked(), findingRAR, "rar: headers encrypted, AES-256"},
		{"doc", word(0x0100), findingOLE, `member "WordDocument" in ole2: RC4`},
		{"doc plain", word(0), "", ""},
		{"xls", excel("\x2f\x00\x01\x00\x01\x00\x01\x00"), findingOLE, `member "Workbook" in ole2: RC4`},
		{"xls plain", excel("\x86\x00"), "", ""},
		{"ppt", point(0xf3d1c4df), findingOLE, `member "Current User" in ole2: RC4`},
		{"ppt plain", point(0xe391c05f), "", ""},
		{"docx", makeOLE(9, oleStreamFile{"EncryptionInfo", []byte{4, 0, 4, 0, 0x40, 0}}, oleStreamFile{"EncryptedPackage", make([]byte, 9000)}), findingOLE, `member "EncryptedPackage" in ole2: encrypted package, agile`},
		{"docx plain", makeZip(tb, text("[Content_Types].xml"), text("word/document.xml")), "", ""},
		{"odf", makeODF(tb, odfManifestText("content.xml", odfEncryption)), findingODF, `member "content.xml" in odf: AES256-CBC`},
		{"odf whole", makeODF(tb, odfManifestText("encrypted-package", odfEncryption)), findingODF, `member "encrypted-package" in odf: AES256-CBC`},
		{"odf plain", makeODF(tb, odfManifestText("content.xml", "")), "", ""},
		{"egg", makeEGG("s.txt", make([]byte, 50), 2), findingEGG, `member "s.txt" in egg: AES-256`},
		{"egg plain", makeEGG("s.txt", make([]byte, 50), -1), "", ""},
		{"alz", makeALZ(true, "a.txt", "s.txt"), findingALZ, `member "s.txt" in alz: ZipCrypto`},
		{"alz plain", makeALZ(false, "a.txt", "s.txt"), "", ""},
		{"arj", makeARJ(true, "a.txt", "s.txt"), findingARJ, `member "s.txt" in arj: garbled`},
		{"arj plain", makeARJ(false, "a.txt", "s.txt"), "", ""},
		{"ace", makeACE(true, "a.txt", "s.txt"), findingACE, `member "s.txt" in ace: Blowfish`},
		{"ace plain", makeACE(false, "a.txt", "s.txt"), "", ""},
		{"luks", magic("LUKS\xba\xbe"), findingPrefix + "LUKS", "luks: encrypted volume"},
		{"bitlocker", magic("\xeb\x58\x90-FVE-FS-"), findingPrefix + "BitLocker", "bitlocker: encrypted volume"},
		{"dmg", magic("encrcdsa\x00\x00\x00\x02"), findingPrefix + "DMG", "dmg: encrypted image"},
		{"keepass", magic("\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"), findingPrefix + "KeePass", "keepass: password database"},
		{"age", magic("age-encryption.org/v1\n-> X25519 x\n"), findingPrefix + "Age", "age: encrypted file"},
		{"age armored", []byte("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"), findingPrefix + "Age", "age: encrypted file, armored"},
		{"aescrypt", magic("AES\x02\x00"), findingPrefix + "AESCrypt", "aescrypt: encrypted file"},
		{"pgp/mime", makeMail(mailPart{kind: `multipart/encrypted; protocol="application/pgp-encrypted"`, parts: []mailPart{{kind: "application/pgp-encrypted", data: []byte("Version: 1\r\n")}}}), findingPGP, "mail: multipart/encrypted"},
		{"other multipart/encrypted", makeMail(mailPart{kind: `multipart/encrypted; protocol="application/x"`, parts: []mailPart{{kind: "application/x", data: []byte("x")}}}), findingMail, "mail: multipart/encrypted"},
	}
}

// wrappers put something into something else.
func wrappers(tb testing.TB) map[string]func(data []byte) []byte {
	tb.Helper()
	return map[string]func(data []byte) []byte{
		"zip stored":   func(d []byte) []byte { return makeZip(tb, text("a"), inner("w", d, true)) },
		"zip deflated": func(d []byte) []byte { return makeZip(tb, text("a"), inner("w", d, false)) },
		"tar":          func(d []byte) []byte { return makeTar(tb, text("a"), file{name: "w", data: d}) },
		"tar.gz":       func(d []byte) []byte { return makeGzip(tb, "t.tar", makeTar(tb, text("a"), file{name: "w", data: d})) },
		"gzip":         func(d []byte) []byte { return makeGzip(tb, "w", d) },
		"rar 4":        func(d []byte) []byte { return makeRAR4(0, rarText("a"), rarFile{name: "w", data: d}) },
		"rar 4 packed": func(d []byte) []byte { return makeRAR4(0, rarText("a"), rarFile{name: "w", data: d, packed: true}) },
		"rar 5":        func(d []byte) []byte { return makeRAR5(rarText("a"), rarFile{name: "w", data: d}) },
		"rar 5 packed": func(d []byte) []byte { return makeRAR5(rarText("a"), rarFile{name: "w", data: d, packed: true}) },
		"7z copy":      func(d []byte) []byte { return makeSeven(sevenStored("a", text("a").data), sevenStored("w", d)) },
		"mail":         func(d []byte) []byte { return attach("w", d) },
		"mail in mail": func(d []byte) []byte {
			return makeMail(mailPart{kind: "multipart/mixed", parts: []mailPart{{kind: "message/rfc822", data: attach("w", d)}}})
		},
		"mail in zip": func(d []byte) []byte { return makeZip(tb, inner("m.eml", attach("w", d), false)) },
		"zip in mail": func(d []byte) []byte { return attach("z.zip", makeZip(tb, text("a"), inner("w", d, false))) },
		"uuencode":    func(d []byte) []byte { return append([]byte("See below.\n\n"), uuencode("w", d)...) },
		"tnef mail":   func(d []byte) []byte { return attach("winmail.dat", makeTNEF("w", d)) },
		"ole2":        func(d []byte) []byte { return makeOLE(9, oleStreamFile{"w", d}) },
	}
}

// packing are the wrappers in which programs are not looked into as archives that
// unpack themselves.
var packing = map[string]bool{"zip deflated": true, "zip in mail": true, "gzip": true, "rar 4 packed": true, "rar 5 packed": true}

// allSamples are all, bare.
func allSamples(tb testing.TB) []sample {
	tb.Helper()
	var all []sample
	files := sampleFiles(tb)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s := sample{name: name, data: files[name]}
		if want, ok := fileSamples[name]; ok {
			s.finding, s.detail = want[0], want[1]
		} else if detail := samples[name]; detail != "" {
			s.finding, s.detail = findingZip, detail
		}
		all = append(all, s)
	}
	return append(all, composed(tb)...)
}

// TestTable scans every sample bare and in every other container. Its lines that
// begin with "table: " are for reading.
func TestTable(t *testing.T) {
	b := open(t, nil)
	around := wrappers(t)
	wrong, scans := 0, 0
	for _, s := range allSamples(t) {
		// The detail of the bare one must be exact.
		begin := time.Now()
		r := scan(t, b, s.data)
		took := time.Since(begin)
		got := ""
		if len(r.Findings) == 1 {
			got = r.Findings[0].Name
		}
		t.Logf("table: %-30s want %-32s got %-32s %6d us  %s", s.name, dash(s.finding), dash(got), took.Microseconds(), r.Detail)
		if got != s.finding || r.Detail != s.detail {
			t.Errorf("%s: %+v, want %q, detail %q", s.name, r, s.finding, s.detail)
		}
		for _, how := range slices.Sorted(maps.Keys(around)) {
			if isProgram(s.data) && packing[how] {
				continue
			}
			scans++
			r := scan(t, b, around[how](s.data))
			got := ""
			if len(r.Findings) == 1 {
				got = r.Findings[0].Name
			}
			if got != s.finding || !wrappedDetail(r.Detail, s) {
				wrong++
				t.Errorf("%s in %s: %+v, want %q, detail %q", s.name, how, r, s.finding, s.detail)
			}
		}
	}
	t.Logf("table: %d scans of samples in containers, %d wrong", scans, wrong)
}

func wrappedDetail(detail string, s sample) bool {
	return s.detail == "" && detail == "" || s.detail != "" && strings.Contains(detail, s.detail)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
