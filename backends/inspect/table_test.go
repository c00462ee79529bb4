package inspect

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// sample is something to scan and the expected finding, empty for a clean one.
type sample struct {
	name            string
	data            []byte
	finding, detail string
}

// fileSamples has the expected findings for the files of testdata; files that are not
// listed are plain.
var fileSamples = map[string][2]string{
	"7z/copy-headers.7z":          {walk.FindingSeven, "7z: headers encrypted, AES-256"},
	"7z/copy-rawheader.7z":        {walk.FindingSeven, `member "hello.txt" in 7z: AES-256`},
	"7z/copy.7z":                  {walk.FindingSeven, `member "hello.txt" in 7z: AES-256`},
	"7z/data.7z":                  {walk.FindingSeven, `member "hello.txt" in 7z: AES-256`},
	"7z/headers.7z":               {walk.FindingSeven, "7z: headers encrypted, AES-256"},
	"7z/mixed.7z":                 {walk.FindingSeven, `member "numbers.txt" in 7z: AES-256`},
	"7z/nested-BZip2.7z":          {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-Copy.7z":           {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-Deflate.7z":        {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-LZMA.7z":           {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-LZMA2.7z":          {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-PPMd.7z":           {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-bcj.7z":            {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-delta.7z":          {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"7z/nested-nonsolid.7z":       {walk.FindingZip, `member "inner.zip" in 7z: member "hello.txt" in zip: ZipCrypto`},
	"pdf/user-r2.pdf":             {walk.FindingPDF, "pdf: RC4 40 bit, revision 2"},
	"pdf/user-r3.pdf":             {walk.FindingPDF, "pdf: RC4 128 bit, revision 3"},
	"pdf/user-r4-rc4.pdf":         {walk.FindingPDF, "pdf: RC4 128 bit, revision 4"},
	"pdf/user-r4.pdf":             {walk.FindingPDF, "pdf: AES-128, revision 4"},
	"pdf/user-r4-metadata.pdf":    {walk.FindingPDF, "pdf: AES-128, revision 4"},
	"pdf/user-r4-objects.pdf":     {walk.FindingPDF, "pdf: AES-128, revision 4"},
	"pdf/user-r5.pdf":             {walk.FindingPDF, "pdf: AES-256, revision 5"},
	"pdf/user-r6.pdf":             {walk.FindingPDF, "pdf: AES-256, revision 6"},
	"pdf/user-r6-objects.pdf":     {walk.FindingPDF, "pdf: AES-256, revision 6"},
	"pdf/user-r6-linear.pdf":      {walk.FindingPDF, "pdf: AES-256, revision 6"},
	"pgp/password.gpg":            {walk.FindingPGP, "pgp: encrypted with a password"},
	"pgp/password.asc":            {walk.FindingPGP, "pgp armor: encrypted with a password"},
	"pgp/key.gpg":                 {walk.FindingPGP, "pgp: encrypted for a key"},
	"pgp/key.asc":                 {walk.FindingPGP, "pgp armor: encrypted for a key"},
	"pgp/two-keys.gpg":            {walk.FindingPGP, "pgp: encrypted for a key"},
	"pgp/key-signed.asc":          {walk.FindingPGP, "pgp armor: encrypted for a key"},
	"pgp/hidden-and-password.gpg": {walk.FindingPGP, "pgp: encrypted with a password"},
	"cms/enveloped.der":           {walk.FindingSMIME, "smime: enveloped data"},
	"cms/enveloped-ber.der":       {walk.FindingSMIME, "smime: enveloped data"},
	"cms/enveloped.pem":           {walk.FindingSMIME, "smime pem: enveloped data"},
	"cms/enveloped-pkcs7.pem":     {walk.FindingSMIME, "smime pem: enveloped data"},
	"cms/enveloped.eml":           {walk.FindingSMIME, `member "smime.p7m" in mail: enveloped-data`},
	"cms/auth.der":                {walk.FindingSMIME, "smime: authenticated enveloped data"},
	"cms/encrypteddata.der":       {walk.FindingSMIME, "smime: encrypted data"},
	"cms/salted.enc":              {walk.FindingPrefix + "OpenSSL", "openssl: encrypted with a password"},
}

// composed returns samples built by the tests, because no program for them is available.
func composed(tb testing.TB) []sample {
	tb.Helper()
	secret := build.RARFile{Name: "s.txt", Data: make([]byte, 64), Encrypted: true}
	plain := build.RARFile{Name: "s.txt", Data: make([]byte, 64)}
	word := func(flags uint16) []byte {
		return build.OLE(9, build.Stream{Name: "WordDocument", Data: build.WordStream(0xa5ec, flags, 5000)})
	}
	excel := func(r string) []byte { return build.OLE(9, build.Stream{Name: "Workbook", Data: build.BIFF(bof8, r)}) }
	point := func(n uint32) []byte {
		return build.OLE(9, build.Stream{Name: "Current User", Data: build.CurrentUser(n)})
	}
	magic := func(s string) []byte { return append([]byte(s), bytes.Repeat([]byte{0xe1}, 1000)...) }
	return []sample{
		{"rar 4", build.RAR4(0, secret), walk.FindingRAR, `member "s.txt" in rar: AES-128`},
		{"rar 4 plain", build.RAR4(0, plain), "", ""},
		{"rar 4 headers", build.RAR4(build.RAR4MainEncrypted), walk.FindingRAR, "rar: headers encrypted, AES-128"},
		{"rar 5", build.RAR5(secret), walk.FindingRAR, `member "s.txt" in rar: AES-256`},
		{"rar 5 plain", build.RAR5(plain), "", ""},
		{"rar 5 headers", build.RAR5Locked(), walk.FindingRAR, "rar: headers encrypted, AES-256"},
		{"doc", word(0x0100), walk.FindingOLE, `member "WordDocument" in ole2: RC4`},
		{"doc plain", word(0), "", ""},
		{"xls", excel("\x2f\x00\x01\x00\x01\x00\x01\x00"), walk.FindingOLE, `member "Workbook" in ole2: RC4`},
		{"xls plain", excel("\x86\x00"), "", ""},
		{"ppt", point(0xf3d1c4df), walk.FindingOLE, `member "Current User" in ole2: RC4`},
		{"ppt plain", point(0xe391c05f), "", ""},
		{"docx", build.OLE(9, build.Stream{Name: "EncryptionInfo", Data: []byte{4, 0, 4, 0, 0x40, 0}}, build.Stream{Name: "EncryptedPackage", Data: make([]byte, 9000)}), walk.FindingOLE, `member "EncryptedPackage" in ole2: encrypted package, agile`},
		{"docx plain", build.Zip(tb, build.Text("[Content_Types].xml"), build.Text("word/document.xml")), "", ""},
		{"odf", build.ODF(tb, build.ODFManifestText("content.xml", build.ODFEncryption)), walk.FindingODF, `member "content.xml" in odf: AES256-CBC`},
		{"odf whole", build.ODF(tb, build.ODFManifestText("encrypted-package", build.ODFEncryption)), walk.FindingODF, `member "encrypted-package" in odf: AES256-CBC`},
		{"odf plain", build.ODF(tb, build.ODFManifestText("content.xml", "")), "", ""},
		{"egg", build.EGG("s.txt", make([]byte, 50), 2), walk.FindingEGG, `member "s.txt" in egg: AES-256`},
		{"egg plain", build.EGG("s.txt", make([]byte, 50), -1), "", ""},
		{"alz", build.ALZ(true, "a.txt", "s.txt"), walk.FindingALZ, `member "s.txt" in alz: ZipCrypto`},
		{"alz plain", build.ALZ(false, "a.txt", "s.txt"), "", ""},
		{"arj", build.ARJ(true, "a.txt", "s.txt"), walk.FindingARJ, `member "s.txt" in arj: garbled`},
		{"arj plain", build.ARJ(false, "a.txt", "s.txt"), "", ""},
		{"ace", build.ACE(true, "a.txt", "s.txt"), walk.FindingACE, `member "s.txt" in ace: Blowfish`},
		{"ace plain", build.ACE(false, "a.txt", "s.txt"), "", ""},
		{"luks", magic("LUKS\xba\xbe"), walk.FindingPrefix + "LUKS", "luks: encrypted volume"},
		{"bitlocker", magic("\xeb\x58\x90-FVE-FS-"), walk.FindingPrefix + "BitLocker", "bitlocker: encrypted volume"},
		{"dmg", magic("encrcdsa\x00\x00\x00\x02"), walk.FindingPrefix + "DMG", "dmg: encrypted image"},
		{"keepass", magic("\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"), walk.FindingPrefix + "KeePass", "keepass: password database"},
		{"age", magic("age-encryption.org/v1\n-> X25519 x\n"), walk.FindingPrefix + "Age", "age: encrypted file"},
		{"age armored", []byte("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"), walk.FindingPrefix + "Age", "age: encrypted file, armored"},
		{"aescrypt", magic("AES\x02\x00"), walk.FindingPrefix + "AESCrypt", "aescrypt: encrypted file"},
		{"pgp/mime", build.Mail(build.MailPart{Kind: `multipart/encrypted; protocol="application/pgp-encrypted"`, Parts: []build.MailPart{{Kind: "application/pgp-encrypted", Data: []byte("Version: 1\r\n")}}}), walk.FindingPGP, "mail: multipart/encrypted"},
		{"other multipart/encrypted", build.Mail(build.MailPart{Kind: `multipart/encrypted; protocol="application/x"`, Parts: []build.MailPart{{Kind: "application/x", Data: []byte("x")}}}), walk.FindingMail, "mail: multipart/encrypted"},
	}
}

// wrappers returns functions that put data into a container.
func wrappers(tb testing.TB) map[string]func(data []byte) []byte {
	tb.Helper()
	return map[string]func(data []byte) []byte{
		"zip stored":   func(d []byte) []byte { return build.Zip(tb, build.Text("a"), build.Inner("w", d, true)) },
		"zip deflated": func(d []byte) []byte { return build.Zip(tb, build.Text("a"), build.Inner("w", d, false)) },
		"tar":          func(d []byte) []byte { return build.Tar(tb, build.Text("a"), build.File{Name: "w", Data: d}) },
		"tar.gz": func(d []byte) []byte {
			return build.Gzip(tb, "t.tar", build.Tar(tb, build.Text("a"), build.File{Name: "w", Data: d}))
		},
		"gzip":  func(d []byte) []byte { return build.Gzip(tb, "w", d) },
		"rar 4": func(d []byte) []byte { return build.RAR4(0, rarText("a"), build.RARFile{Name: "w", Data: d}) },
		"rar 4 packed": func(d []byte) []byte {
			return build.RAR4(0, rarText("a"), build.RARFile{Name: "w", Data: d, Packed: true})
		},
		"rar 5": func(d []byte) []byte { return build.RAR5(rarText("a"), build.RARFile{Name: "w", Data: d}) },
		"rar 5 packed": func(d []byte) []byte {
			return build.RAR5(rarText("a"), build.RARFile{Name: "w", Data: d, Packed: true})
		},
		"7z copy": func(d []byte) []byte {
			return build.Seven(build.SevenStored("a", build.Text("a").Data), build.SevenStored("w", d))
		},
		"mail": func(d []byte) []byte { return build.Attach("w", d) },
		"mail in mail": func(d []byte) []byte {
			return build.Mail(build.MailPart{Kind: "multipart/mixed", Parts: []build.MailPart{{Kind: "message/rfc822", Data: build.Attach("w", d)}}})
		},
		"mail in zip": func(d []byte) []byte { return build.Zip(tb, build.Inner("m.eml", build.Attach("w", d), false)) },
		"zip in mail": func(d []byte) []byte {
			return build.Attach("z.zip", build.Zip(tb, build.Text("a"), build.Inner("w", d, false)))
		},
		"xz":     func(d []byte) []byte { return build.XZ(tb, d) },
		"lzma":   func(d []byte) []byte { return build.LZMA(tb, d) },
		"zstd":   func(d []byte) []byte { return build.Zstd(tb, d) },
		"lz4":    func(d []byte) []byte { return build.LZ4(d) },
		"tar v7": func(d []byte) []byte { return build.TarV7(build.Text("a"), build.File{Name: "w", Data: d}) },
		"tar.xz": func(d []byte) []byte {
			return build.XZ(tb, build.Tar(tb, build.Text("a"), build.File{Name: "w", Data: d}))
		},
		"ar":   func(d []byte) []byte { return build.Ar(build.Text("a"), build.File{Name: "w", Data: d}) },
		"cpio": func(d []byte) []byte { return build.Cpio(build.Text("a"), build.File{Name: "w", Data: d}) },
		"iso":  func(d []byte) []byte { return build.ISO(build.Text("a"), build.File{Name: "w", Data: d}) },
		"iso in zip": func(d []byte) []byte {
			return build.Zip(tb, build.Inner("i.iso", build.ISO(build.Text("a"), build.File{Name: "w", Data: d}), false))
		},
		"cab":       func(d []byte) []byte { return build.Cab(tb, false, build.Text("a"), build.File{Name: "w", Data: d}) },
		"cab mszip": func(d []byte) []byte { return build.Cab(tb, true, build.Text("a"), build.File{Name: "w", Data: d}) },
		"lha":       func(d []byte) []byte { return build.LHA(build.Text("a"), build.File{Name: "w", Data: d}) },
		"uuencode":  func(d []byte) []byte { return append([]byte("See below.\n\n"), build.UUEncode("w", d)...) },
		"tnef mail": func(d []byte) []byte { return build.Attach("winmail.dat", build.TNEF("w", d)) },
		"ole2":      func(d []byte) []byte { return build.OLE(9, build.Stream{Name: "w", Data: d}) },
	}
}

// packing are the compressing wrappers, inside which programs are not searched for appended
// archives.
var packing = map[string]bool{"zip deflated": true, "zip in mail": true, "gzip": true, "rar 4 packed": true, "rar 5 packed": true,
	"xz": true, "lzma": true, "zstd": true, "lz4": true, "cab": true, "cab mszip": true}

// allSamples returns all samples, bare.
func allSamples(tb testing.TB) []sample {
	tb.Helper()
	var all []sample
	files := sampleFiles(tb)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s := sample{name: name, data: files[name]}
		if want, ok := fileSamples[name]; ok {
			s.finding, s.detail = want[0], want[1]
		} else if detail := samples[name]; detail != "" {
			s.finding, s.detail = walk.FindingZip, detail
		}
		all = append(all, s)
	}
	all = append(all, formatSamples(tb)...)
	return append(all, composed(tb)...)
}

// TestTable scans every sample bare and in every container. Lines that begin with "table: "
// are for human readers.
func TestTable(t *testing.T) {
	b := open(t, nil)
	around := wrappers(t)
	wrong, scans := 0, 0
	for _, s := range allSamples(t) {
		// Bare, the detail must match exactly.
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
			if bytes.HasPrefix(s.data, []byte("MZ")) && packing[how] {
				continue
			}
			scans++
			r := scan(t, b, around[how](s.data))
			got := ""
			// Another part of the container may be impossible to unpack, which is
			// reported as a second finding.
			if n := len(r.Findings); n == 1 || n == 2 && r.Findings[1].Category == backends.Partial {
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
