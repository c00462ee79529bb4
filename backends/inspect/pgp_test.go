package inspect

import (
	"bytes"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/inspect/pgp"
)

func TestPGPPackets(t *testing.T) {
	key := append([]byte{3, 1, 2, 3, 4, 5, 6, 7, 8, 18}, make([]byte, 80)...)
	password := []byte{4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 96}
	data := append([]byte{1}, bytes.Repeat([]byte{0xd7}, 100)...)
	marker := build.NewPacket(build.PGPMarker, []byte("PGP"))
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	partial := append([]byte{0xc0 | build.PGPProtected, 0xe6}, data[:64]...)
	for _, c := range []struct {
		name      string
		data      []byte
		encrypted bool
	}{
		{"key, old", cat(build.OldPacket(build.PGPKey, key), build.NewPacket(build.PGPProtected, data)), true},
		{"password, new", cat(build.NewPacket(build.PGPPassword, password), build.NewPacket(build.PGPProtected, data)), true},
		{"old data", cat(build.OldPacket(build.PGPKey, key), build.OldPacket(build.PGPEncrypted, data)), true},
		{"partial data", cat(build.OldPacket(build.PGPKey, key), partial), true},
		{"data of unknown size", cat(build.OldPacket(build.PGPKey, key), []byte{0x80 | build.PGPEncrypted<<2 | 3}, data), true},
		{"authenticated", cat(build.NewPacket(build.PGPKey, key), build.NewPacket(build.PGPAuthentic, data)), true},
		{"version 6", cat(build.NewPacket(build.PGPPassword, append([]byte{6, 30}, password...)), build.NewPacket(build.PGPProtected, append([]byte{2}, data...))), true},
		{"marker", cat(marker, build.NewPacket(build.PGPKey, key), build.NewPacket(build.PGPProtected, data)), true},
		{"100 keys", cat(bytes.Repeat(build.NewPacket(build.PGPKey, key), 100), build.NewPacket(build.PGPProtected, data)), true},
		{"key alone", build.NewPacket(build.PGPKey, key), false},
		{"data alone", build.NewPacket(build.PGPProtected, data), false},
		{"signed", cat(build.NewPacket(4, make([]byte, 13)), build.NewPacket(11, data), build.NewPacket(2, data)), false},
		{"compressed", build.NewPacket(8, data), false},
		{"key, then a text", cat(build.NewPacket(build.PGPKey, key), build.NewPacket(11, data)), false},
		{"unknown algorithm", cat(build.NewPacket(build.PGPKey, append(append([]byte{}, key[:9]...), append([]byte{99}, key[10:]...)...)), build.NewPacket(build.PGPProtected, data)), false},
		{"600 keys", cat(bytes.Repeat(build.NewPacket(build.PGPKey, key), 600), build.NewPacket(build.PGPProtected, data)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, d := range map[string][]byte{"bytes": c.data, "armor": build.PGPArmor(c.data)} {
				r := scan(t, open(t, nil), d)
				// In armor the first packet is enough, as the header says that it is a message.
				first, _ := pgp.ReadPacket(c.data)
				armored := how == "armor" && (c.encrypted || first.IsEncrypted(c.data[first.Header:]))
				if want := c.encrypted && how == "bytes" || armored; (r.Category == backends.Encrypted) != want {
					t.Errorf("%s: %+v, want encrypted: %v", how, r, want)
				}
			}
		})
	}
}

// FuzzParsers scans arbitrary bytes after the beginnings that the small parsers expect.
func FuzzParsers(f *testing.F) {
	for _, c := range composed(f) {
		f.Add(c.data)
	}
	f.Add([]byte(build.ODFManifestText("content.xml", build.ODFEncryption)))
	f.Add([]byte(lockedPDF))
	f.Add(build.PGPArmor(build.NewPacket(build.PGPPassword, []byte{4, 9, 3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 96})))
	b := fuzzBackend(f)
	heads := []string{
		"{\\rtf1{\\object{\\*\\objdata 0105000002000000080000005061636b61676500", string(build.TNEFMessage(nil)[:60]), "RE\x7e\x5e\x07\x00\x00",
		"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80\x02\x01\x01\x31\x00", "From a b 0:00\n\nFrom: a@example.org\nContent-Type: ",
		"\x00\x01\x00\x00Standard Jet DB\x00", "%PDF-1.7\n1 0 obj <</Names<</EmbeddedFiles<<", "\xef\xbb\xbf<pre>-----BEGIN PGP MESSAGE-----\n\n",
		build.EGGSignature + "\x00\x01", build.ALZSignature + "\x0a\x00\x00\x00" + build.ALZFile, build.ARJSignature, "0123456**ACE**", "\x78\x9f\x3e\x22", "\x1f\x8b\x08\x00", "BZh91AY&SY", "-----BEGIN PGP MESSAGE-----\n\n", "-----BEGIN CMS-----\n", "begin 644 x\n", "\x85\x00", "\xc1\x30\x03"}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, h := range heads {
			fuzzScan(t, b, append([]byte(h), data...))
			fuzzScan(t, b, append([]byte(h), data[min(len(h), len(data)):]...))
		}
	})
}

func TestODF(t *testing.T) {
	// A manifest in another folder does not count.
	b := open(t, nil)
	wantFinding(t, scan(t, b, build.ODF(t, build.ODFManifestText("content.xml", build.ODFEncryption))), backends.Encrypted, walk.FindingODF)
	other := build.Zip(t, build.File{Name: "x/" + build.ODFManifest, Data: []byte(build.ODFManifestText("a", build.ODFEncryption))})
	wantFinding(t, scan(t, b, other), backends.OK, "")
	large := build.Zip(t, build.File{Name: build.ODFManifest, Data: []byte(build.ODFManifestText("a", build.Paragraphs(5<<20)+build.ODFEncryption))})
	wantFinding(t, scan(t, b, large), backends.Partial, walk.UnscannedBroken)
}
