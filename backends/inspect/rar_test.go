package inspect

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nwaples/rardecode/v2"

	"polyclam/backends"
)

func rarText(name string) rarFile { return rarFile{name: name, data: text(name).data} }

func TestRAREncrypted(t *testing.T) {
	secret := rarFile{name: "dir/secret.txt", data: bytes.Repeat([]byte("0123456789abcdef"), 4), encrypted: true}
	old := func(version byte) rarFile { f := secret; f.version = version; return f }
	stub := append([]byte("MZ"), bytes.Repeat([]byte{0x90}, 50_000)...)
	aes := `member "dir/secret.txt" in rar: AES-`
	for _, c := range []struct {
		name   string
		data   []byte
		detail string
	}{
		{"4", makeRAR4(0, secret), aes + "128"},
		{"4 last", makeRAR4(0, rarText("a"), rarText("b"), secret), aes + "128"},
		{"4 behind compressed", makeRAR4(0, rarFile{name: "p", data: text("p").data, packed: true}, secret), aes + "128"},
		{"4 large", makeRAR4(0, rarFile{name: "dir/secret.txt", data: make([]byte, 32), encrypted: true, large: true}), aes + "128"},
		{"4 Unicode", makeRAR4(0, rarFile{name: "dir/secret.txt\x00\x01\x02\x03", data: make([]byte, 32), encrypted: true, flags: 0x200}), aes + "128"},
		{"2", makeRAR4(0, old(20)), `member "dir/secret.txt" in rar: RAR 2.0 encryption`},
		{"1.5", makeRAR4(0, old(15)), `member "dir/secret.txt" in rar: RAR 1.5 encryption`},
		{"4 headers", append(makeRAR4(rar4MainEncrypted), bytes.Repeat([]byte{1}, 100)...), "rar: headers encrypted, AES-128"},
		{"4 program", append(bytes.Clone(stub), makeRAR4(0, secret)...), aes + "128"},
		{"5", makeRAR5(secret), aes + "256"},
		{"5 last", makeRAR5(rarText("a"), rarText("b"), secret), aes + "256"},
		{"5 headers", makeRAR5Locked(), "rar: headers encrypted, AES-256"},
		{"5 program", append(bytes.Clone(stub), makeRAR5(secret)...), aes + "256"},
		{"5 program with another signature", append(append(bytes.Clone(stub), rarSignature+"\x07\x07"...), makeRAR5(secret)...), aes + "256"},
		{"5 cut behind the header", makeRAR5(secret)[:90], aes + "256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := scan(t, open(t, nil), c.data)
			wantFinding(t, r, backends.Encrypted, findingRAR)
			if r.Detail != c.detail {
				t.Errorf("detail %q, want %q", r.Detail, c.detail)
			}
		})
	}
}

// TestRARNested looks into members, which are compressed after a fashion.
func TestRARNested(t *testing.T) {
	b := open(t, nil)
	archive := makeZip(t, locked("x"))
	zip := rarFile{name: "in.zip", data: archive}
	packed := rarFile{name: "in.zip", data: archive, packed: true}
	plain := rarFile{name: "p.txt", data: text("p").data, packed: true}
	solid := func(f rarFile) rarFile { f.solid = true; return f }
	want := `member "in.zip" in rar: member "x" in zip: ZipCrypto`
	for name, data := range map[string][]byte{
		"4 stored": makeRAR4(0, rarText("a"), zip),
		"4 packed": makeRAR4(0, plain, packed),
		"4 solid":  makeRAR4(8, plain, solid(plain), solid(packed)),
		"5 stored": makeRAR5(rarText("a"), zip, rarText("b")),
		"5 packed": makeRAR5(plain, packed, plain),
		"5 solid":  makeRAR5(plain, solid(plain), solid(packed)),
		"5 in 4":   makeRAR4(0, rarText("a"), zip, rarFile{name: "x", data: makeRAR5(packed)}),
		// rardecode goes on with the bits of the last member where only its beginning
		// was read.
		"5 behind a long one": makeRAR5(rarFile{name: "long", data: bytes.Repeat([]byte("text "), 9000), packed: true}, packed),
		"4 behind a long one": makeRAR4(0, rarFile{name: "long", data: bytes.Repeat([]byte("text "), 9000), packed: true}, packed),
		"5 behind 1":          makeRAR5(rarFile{name: "one", data: []byte("1"), packed: true}, packed),
	} {
		t.Run(name, func(t *testing.T) {
			r := scan(t, b, append([]byte(nil), append(data, make([]byte, 70_000)...)...))
			wantFinding(t, r, backends.Encrypted, encryptedZip)
			if r.Detail != want {
				t.Errorf("detail %q, want %q", r.Detail, want)
			}
		})
	}
}

func TestRARPlain(t *testing.T) {
	b := open(t, nil)
	inner := makeZip(t, text("x"))
	files := []rarFile{rarText("a"), {name: "in.zip", data: inner}, {name: "p", data: inner, packed: true}}
	for name, data := range map[string][]byte{
		"4": makeRAR4(0, files...), "5": makeRAR5(files...), "4 empty": makeRAR4(0), "5 empty": makeRAR5(),
		"4 commented": makeRAR4(2, files...),
	} {
		t.Run(name, func(t *testing.T) {
			for n := len(data) % 3; n <= len(data); n += 3 {
				r := scan(t, b, data[:n])
				if n < len(data) && r.Category == backends.Partial && r.Findings[0].Name == unscannedCutOff {
					continue // it is known that something is missing
				}
				if r.Category != backends.OK {
					t.Fatalf("%d of %d bytes: %+v", n, len(data), r)
				}
			}
		})
	}
	// The flag in a header with a wrong sum is no opinion. RAR 5's headers all
	// have sums, so that what lies after it is missing.
	four, five := makeRAR4(0, rarFile{name: "x", data: make([]byte, 40), encrypted: true}), makeRAR5(rarFile{name: "x", data: make([]byte, 40), encrypted: true})
	four[bytes.Index(four, []byte("x"))], five[bytes.Index(five, []byte("x"))] = 'y', 'y'
	wantFinding(t, scan(t, b, four), backends.OK, "")
	wantFinding(t, scan(t, b, five), backends.Partial, unscannedCutOff)
}

// TestRARBuilder wants the tests' own archives to be good for others.
func TestRARBuilder(t *testing.T) {
	packed := rarFile{name: "p.txt", data: text("p").data, packed: true}
	solid := packed
	solid.solid = true
	for name, data := range map[string][]byte{"4": makeRAR4(0, rarText("a"), packed), "4s": makeRAR4(8, packed, solid), "5": makeRAR5(rarText("a"), packed), "5s": makeRAR5(packed, solid)} {
		r, err := rardecode.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(name, err)
		}
		for range 2 {
			h, err := r.Next()
			if err != nil {
				t.Fatal(name, err)
			}
			if got, err := io.ReadAll(r); err != nil || int64(len(got)) != h.UnPackedSize {
				t.Errorf("%s: %s: %d bytes, %v", name, h.Name, len(got), err)
			}
		}
		path := filepath.Join(t.TempDir(), "a.rar")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if program, err := exec.LookPath("7z"); err == nil && !strings.Contains(name, "s") {
			if out, err := exec.Command(program, "l", "-slt", path).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Path = p.txt")) {
				t.Errorf("%s: 7z: %v\n%s", name, err, out)
			}
		}
	}
}

// FuzzRAR wants to see all that rardecode sees.
func FuzzRAR(f *testing.F) {
	secret := rarFile{name: "s", data: make([]byte, 40), encrypted: true}
	packed := rarFile{name: "p", data: makeZip(f, text("x")), packed: true}
	for _, data := range [][]byte{makeRAR4(0, rarText("a"), secret), makeRAR5(rarText("a"), secret), makeRAR5Locked(), makeRAR4(0x80), makeRAR4(0, packed), makeRAR5(packed)} {
		f.Add(data)
	}
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte(rarSignature)) {
			return
		}
		r := fuzzScan(t, b, data)
		if name := rarSees(data); name != "" && r.Category != backends.Encrypted && r.Category != backends.Partial {
			t.Errorf("%+v, but rardecode sees %s", r, name)
		}
	})
}

func rarSees(data []byte) (found string) {
	defer func() { recover() }()
	r, err := rardecode.NewReader(bytes.NewReader(data), rardecode.MaxDictionarySize(1<<20))
	if err == rardecode.ErrArchiveEncrypted {
		return "" // it does not check any sum before it says so
	}
	for err == nil {
		var h *rardecode.FileHeader
		if h, err = r.Next(); err == nil && h.Encrypted && h.PackedSize >= 0 && h.PackedSize < int64(len(data)) {
			return fmt.Sprintf("%q", h.Name)
		}
	}
	return ""
}

// FuzzRARStream wants what goes through a stream to see no less come out than
// rardecode unpacks.
func FuzzRARStream(f *testing.F) {
	for _, data := range [][]byte{packLiterals29([]byte("some text")), packPPMd29(), packLaterPPMd29([]byte("some text"))} {
		f.Add(data, false)
	}
	f.Add(packLiterals50([]byte("some text")), true)
	f.Add(packFilters50(3, []byte("some text")), true)
	f.Fuzz(func(t *testing.T, data []byte, five bool) {
		const most = 100_000
		var s rarStream
		s.begin(bytes.NewReader(data), false, most, most)
		archive := makeRAR4(0, rarFile{name: "x", raw: data, unpacked: most})
		err := errRARStream
		if five {
			archive = makeRAR5(rarFile{name: "x", raw: data, unpacked: most})
			err = s.rar50(0)
		} else {
			err = s.rar29()
		}
		if err != nil {
			return
		}
		r, err := rardecode.NewReader(bytes.NewReader(archive), rardecode.MaxDictionarySize(1<<20), rardecode.SkipCheck)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if n, _ := io.Copy(io.Discard, r); n > s.out {
			t.Errorf("%d bytes unpacked, %d seen", n, s.out)
		}
	})
}
