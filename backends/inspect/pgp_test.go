package inspect

import (
	"bytes"
	"strings"
	"testing"

	"polyclam/backends"
)

func TestPGPPackets(t *testing.T) {
	key := append([]byte{3, 1, 2, 3, 4, 5, 6, 7, 8, 18}, make([]byte, 80)...)
	password := []byte{4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 96}
	data := append([]byte{1}, bytes.Repeat([]byte{0xd7}, 100)...)
	marker := newPacket(pgpMarker, []byte("PGP"))
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	partial := append([]byte{0xc0 | pgpProtected, 0xe6}, data[:64]...)
	for _, c := range []struct {
		name      string
		data      []byte
		encrypted bool
	}{
		{"key, old", cat(oldPacket(pgpKey, key), newPacket(pgpProtected, data)), true},
		{"password, new", cat(newPacket(pgpPassword, password), newPacket(pgpProtected, data)), true},
		{"old data", cat(oldPacket(pgpKey, key), oldPacket(pgpEncrypted, data)), true},
		{"partial data", cat(oldPacket(pgpKey, key), partial), true},
		{"data of unknown size", cat(oldPacket(pgpKey, key), []byte{0x80 | pgpEncrypted<<2 | 3}, data), true},
		{"authenticated", cat(newPacket(pgpKey, key), newPacket(pgpAuthentic, data)), true},
		{"version 6", cat(newPacket(pgpPassword, append([]byte{6, 30}, password...)), newPacket(pgpProtected, append([]byte{2}, data...))), true},
		{"marker", cat(marker, newPacket(pgpKey, key), newPacket(pgpProtected, data)), true},
		{"100 keys", cat(bytes.Repeat(newPacket(pgpKey, key), 100), newPacket(pgpProtected, data)), true},
		{"key alone", newPacket(pgpKey, key), false},
		{"data alone", newPacket(pgpProtected, data), false},
		{"signed", cat(newPacket(4, make([]byte, 13)), newPacket(11, data), newPacket(2, data)), false},
		{"compressed", newPacket(8, data), false},
		{"key, then a text", cat(newPacket(pgpKey, key), newPacket(11, data)), false},
		{"unknown algorithm", cat(newPacket(pgpKey, append(append([]byte{}, key[:9]...), append([]byte{99}, key[10:]...)...)), newPacket(pgpProtected, data)), false},
		{"600 keys", cat(bytes.Repeat(newPacket(pgpKey, key), 600), newPacket(pgpProtected, data)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, d := range map[string][]byte{"bytes": c.data, "armor": pgpArmor(c.data)} {
				r := scan(t, open(t, nil), d)
				// Armor says already that it is a message: its first packet will do.
				first, _ := readPGPPacket(c.data)
				armored := how == "armor" && (c.encrypted || first.isEncrypted(c.data[first.header:]))
				if want := c.encrypted && how == "bytes" || armored; (r.Category == backends.Encrypted) != want {
					t.Errorf("%s: %+v, want encrypted: %v", how, r, want)
				}
			}
		})
	}
}

func TestPGPPacketLengths(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want pgpPacket
	}{
		{[]byte{0xc1, 0}, pgpPacket{1, 2, 0, false}},
		{[]byte{0xc1, 191}, pgpPacket{1, 2, 191, false}},
		{[]byte{0xc1, 192, 0}, pgpPacket{1, 3, 192, false}},
		{[]byte{0xc1, 223, 255}, pgpPacket{1, 3, 8383, false}},
		{[]byte{0xc1, 255, 1, 2, 3, 4}, pgpPacket{1, 6, 0x01020304, false}},
		{[]byte{0xd2, 224}, pgpPacket{18, 2, 1, true}},
		{[]byte{0xd2, 254}, pgpPacket{18, 2, 1 << 30, true}},
		{[]byte{0x84, 9}, pgpPacket{1, 2, 9, false}},
		{[]byte{0x85, 1, 2}, pgpPacket{1, 3, 0x0102, false}},
		{[]byte{0x86, 1, 2, 3, 4}, pgpPacket{1, 5, 0x01020304, false}},
		{[]byte{0xa7, 0}, pgpPacket{9, 1, 0, true}},
	} {
		if got, ok := readPGPPacket(c.b); !ok || got != c.want {
			t.Errorf("% x is %+v, %v, want %+v", c.b, got, ok, c.want)
		}
	}
	for _, b := range [][]byte{nil, {0xc1}, {0x41, 1}, {0xc1, 192}, {0xc1, 255, 1, 2, 3}, {0x85, 1}, {0x86, 1, 2, 3}} {
		if got, ok := readPGPPacket(b); ok {
			t.Errorf("% x is %+v", b, got)
		}
	}
}

func TestCMSEncryption(t *testing.T) {
	oid := cmsTypes[0].oid
	for b, want := range map[string]string{
		"\x30\x80" + oid + "\xa0\x80\x30\x80":                                             "enveloped data",
		"\x30\x82\x01\x00" + oid + "\xa0\x82\x00\x90\x30\x01":                             "enveloped data",
		"\x30\x20" + cmsTypes[3].oid + "\xa0\x10\x30\x01":                                 "authenticated enveloped data",
		"\x30\x20" + cmsTypes[2].oid + "\xa0\x10\x30\x01":                                 "encrypted data",
		"\x30\x20" + strings.Replace(oid, "\x07\x03", "\x07\x02", 1) + "\xa0\x10\x30\x01": "",
		"\x30\x20" + oid + "\x30\x10\x30\x01":                                             "",
		"\x31\x20" + oid + "\xa0\x10\x30\x01":                                             "",
		"\x30\x20" + oid:                                                                  "",
		"\x30\x89" + oid + "\xa0\x10\x30\x01":                                             "",
		"\x30":                                                                            "",
		"":                                                                                "",
	} {
		if got := cmsEncryption([]byte(b)); got != want {
			t.Errorf("%q is %q, want %q", b, got, want)
		}
	}
}

func TestManifest(t *testing.T) {
	for name, c := range map[string]struct{ manifest, want string }{
		"usual":           {odfManifestText("content.xml", odfEncryption), `member "content.xml" in odf: AES256-CBC`},
		"no prefix":       {`<manifest xmlns="` + odfNamespace + `"><file-entry full-path='a.xml'><encryption-data></encryption-data>`, `member "a.xml" in odf: encrypted`},
		"old":             {`<m:manifest xmlns:m="` + odfNamespaceOO + `"><m:file-entry m:full-path="a"><m:encryption-data/>`, `member "a" in odf: encrypted`},
		"no path":         {`<m:x xmlns:m="` + odfNamespace + `"><m:encryption-data`, `odf: encrypted`},
		"no quote":        {`<m:x xmlns:m="` + odfNamespace + `" full-path=><m:encryption-data algorithm-name="`, `odf: encrypted`},
		"plain":           {odfManifestText("content.xml", ""), ""},
		"in a path":       {odfManifestText("encryption-data", ""), ""},
		"in a folder":     {odfManifestText("x/encryption-data.xml", ""), ""},
		"as a value":      {odfManifestText("a", `<manifest:x y="encryption-data"/>`), ""},
		"closing only":    {odfManifestText("a", `</manifest:encryption-data>`), ""},
		"other namespace": {`<m:x xmlns:m="urn:x"><m:encryption-data/>`, ""},
		"empty":           {"", ""},
	} {
		got := ""
		if seen := readManifest([]byte(c.manifest)); seen != nil {
			got = seen.detail
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	// The flag of the archive wins, and a manifest elsewhere is none.
	b := open(t, nil)
	wantFinding(t, scan(t, b, makeODF(t, odfManifestText("content.xml", odfEncryption))), backends.Encrypted, findingODF)
	other := makeZip(t, file{name: "x/" + odfManifest, data: []byte(odfManifestText("a", odfEncryption))})
	wantFinding(t, scan(t, b, other), backends.OK, "")
	large := makeZip(t, file{name: odfManifest, data: []byte(odfManifestText("a", paragraphs(5<<20)+odfEncryption))})
	wantFinding(t, scan(t, b, large), backends.OK, "")
}

// FuzzParsers gives any bytes to the small parsers behind the right beginnings.
func FuzzParsers(f *testing.F) {
	for _, c := range composed(f) {
		f.Add(c.data)
	}
	f.Add([]byte(odfManifestText("content.xml", odfEncryption)))
	f.Add([]byte(lockedPDF))
	f.Add(pgpArmor(newPacket(pgpPassword, []byte{4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 96})))
	b := fuzzBackend(f)
	heads := []string{eggSignature + "\x00\x01", alzSignature + "\x0a\x00\x00\x00" + alzFile, arjSignature, "0123456**ACE**", "\x78\x9f\x3e\x22", "\x1f\x8b\x08\x00", "BZh91AY&SY", "-----BEGIN PGP MESSAGE-----\n\n", "-----BEGIN CMS-----\n", "begin 644 x\n", "\x85\x00", "\xc1\x30\x03"}
	f.Fuzz(func(t *testing.T, data []byte) {
		readManifest(append([]byte(odfNamespace), data...))
		l := pdfLexer{b: data}
		l.object(0)
		cmsEncryption(data)
		mediaType(string(data))
		for _, h := range heads {
			fuzzScan(t, b, append([]byte(h), data...))
			fuzzScan(t, b, append([]byte(h), data[min(len(h), len(data)):]...))
		}
	})
}
