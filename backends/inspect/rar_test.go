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
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

func rarText(name string) build.RARFile {
	return build.RARFile{Name: name, Data: build.Text(name).Data}
}

func TestRAREncrypted(t *testing.T) {
	secret := build.RARFile{Name: "dir/secret.txt", Data: bytes.Repeat([]byte("0123456789abcdef"), 4), Encrypted: true}
	old := func(version byte) build.RARFile { f := secret; f.Version = version; return f }
	stub := append([]byte("MZ"), bytes.Repeat([]byte{0x90}, 50_000)...)
	aes := `member "dir/secret.txt" in rar: AES-`
	for _, c := range []struct {
		name   string
		data   []byte
		detail string
	}{
		{"4", build.RAR4(0, secret), aes + "128"},
		{"4 last", build.RAR4(0, rarText("a"), rarText("b"), secret), aes + "128"},
		{"4 after compressed", build.RAR4(0, build.RARFile{Name: "p", Data: build.Text("p").Data, Packed: true}, secret), aes + "128"},
		{"4 large", build.RAR4(0, build.RARFile{Name: "dir/secret.txt", Data: make([]byte, 32), Encrypted: true, Large: true}), aes + "128"},
		{"4 Unicode", build.RAR4(0, build.RARFile{Name: "dir/secret.txt\x00\x01\x02\x03", Data: make([]byte, 32), Encrypted: true, Flags: 0x200}), aes + "128"},
		{"2", build.RAR4(0, old(20)), `member "dir/secret.txt" in rar: RAR 2.0 encryption`},
		{"1.5", build.RAR4(0, old(15)), `member "dir/secret.txt" in rar: RAR 1.5 encryption`},
		{"4 headers", append(build.RAR4(build.RAR4MainEncrypted), bytes.Repeat([]byte{1}, 100)...), "rar: headers encrypted, AES-128"},
		{"4 program", append(bytes.Clone(stub), build.RAR4(0, secret)...), aes + "128"},
		{"5", build.RAR5(secret), aes + "256"},
		{"5 last", build.RAR5(rarText("a"), rarText("b"), secret), aes + "256"},
		{"5 headers", build.RAR5Locked(), "rar: headers encrypted, AES-256"},
		{"5 program", append(bytes.Clone(stub), build.RAR5(secret)...), aes + "256"},
		{"5 program with another signature", append(append(bytes.Clone(stub), build.RARSignature+"\x07\x07"...), build.RAR5(secret)...), aes + "256"},
		{"5 cut after the header", build.RAR5(secret)[:90], aes + "256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDetail(t, scan(t, open(t, nil), c.data), walk.FindingRAR, c.detail)
		})
	}
}

// TestRARNested scans archives with an encrypted archive as a stored or compressed member.
func TestRARNested(t *testing.T) {
	b := open(t, nil)
	archive := build.Zip(t, build.Locked("x"))
	zip := build.RARFile{Name: "in.zip", Data: archive}
	packed := build.RARFile{Name: "in.zip", Data: archive, Packed: true}
	plain := build.RARFile{Name: "p.txt", Data: build.Text("p").Data, Packed: true}
	solid := func(f build.RARFile) build.RARFile { f.Solid = true; return f }
	want := `member "in.zip" in rar: member "x" in zip: ZipCrypto`
	for name, data := range map[string][]byte{
		"4 stored": build.RAR4(0, rarText("a"), zip),
		"4 packed": build.RAR4(0, plain, packed),
		"4 solid":  build.RAR4(8, plain, solid(plain), solid(packed)),
		"5 stored": build.RAR5(rarText("a"), zip, rarText("b")),
		"5 packed": build.RAR5(plain, packed, plain),
		"5 solid":  build.RAR5(plain, solid(plain), solid(packed)),
		"5 in 4":   build.RAR4(0, rarText("a"), zip, build.RARFile{Name: "x", Data: build.RAR5(packed)}),
		// rardecode would continue with the bits of the previous member, of which only the
		// beginning was read.
		"5 after a long one": build.RAR5(build.RARFile{Name: "long", Data: bytes.Repeat([]byte("text "), 9000), Packed: true}, packed),
		"4 after a long one": build.RAR4(0, build.RARFile{Name: "long", Data: bytes.Repeat([]byte("text "), 9000), Packed: true}, packed),
		"5 after one byte":   build.RAR5(build.RARFile{Name: "one", Data: []byte("1"), Packed: true}, packed),
	} {
		t.Run(name, func(t *testing.T) {
			wantDetail(t, scan(t, b, append([]byte(nil), append(data, make([]byte, 70_000)...)...)), encryptedZip, want)
		})
	}
}

func TestRARPlain(t *testing.T) {
	b := open(t, nil)
	inner := build.Zip(t, build.Text("x"))
	files := []build.RARFile{rarText("a"), {Name: "in.zip", Data: inner}, {Name: "p", Data: inner, Packed: true}}
	for name, data := range map[string][]byte{
		"4": build.RAR4(0, files...), "5": build.RAR5(files...), "4 empty": build.RAR4(0), "5 empty": build.RAR5(),
		"4 commented": build.RAR4(2, files...),
	} {
		t.Run(name, func(t *testing.T) {
			for n := len(data) % 3; n <= len(data); n += 3 {
				r := scan(t, b, data[:n])
				if n < len(data) && isCutOff(r) {
					continue // known to be truncated
				}
				if r.Category != backends.OK {
					t.Fatalf("%d of %d bytes: %+v", n, len(data), r)
				}
			}
		})
	}
	// A flag in a header with a wrong checksum does not count, but what follows the
	// header cannot be read.
	four, five := build.RAR4(0, build.RARFile{Name: "x", Data: make([]byte, 40), Encrypted: true}), build.RAR5(build.RARFile{Name: "x", Data: make([]byte, 40), Encrypted: true})
	four[bytes.Index(four, []byte("x"))], five[bytes.Index(five, []byte("x"))] = 'y', 'y'
	wantFinding(t, scan(t, b, four), backends.Partial, walk.UnscannedCutOff)
	wantFinding(t, scan(t, b, five), backends.Partial, walk.UnscannedCutOff)
}

// TestRARBuilder checks that other programs can read the archives of package build.
func TestRARBuilder(t *testing.T) {
	packed := build.RARFile{Name: "p.txt", Data: build.Text("p").Data, Packed: true}
	solid := packed
	solid.Solid = true
	for name, data := range map[string][]byte{"4": build.RAR4(0, rarText("a"), packed), "4s": build.RAR4(8, packed, solid), "5": build.RAR5(rarText("a"), packed), "5s": build.RAR5(packed, solid)} {
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

// FuzzRAR checks that inspect finds every encrypted member that rardecode finds.
func FuzzRAR(f *testing.F) {
	secret := build.RARFile{Name: "s", Data: make([]byte, 40), Encrypted: true}
	packed := build.RARFile{Name: "p", Data: build.Zip(f, build.Text("x")), Packed: true}
	for _, data := range [][]byte{build.RAR4(0, rarText("a"), secret), build.RAR5(rarText("a"), secret), build.RAR5Locked(), build.RAR4(0x80), build.RAR4(0, packed), build.RAR5(packed)} {
		f.Add(data)
	}
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte(build.RARSignature)) {
			return
		}
		r := fuzzScan(t, b, data)
		if name := rarSees(data); name != "" && r.Category != backends.Encrypted && r.Category != backends.Partial {
			t.Errorf("%+v, but rardecode found %s", r, name)
		}
	})
}

func rarSees(data []byte) (found string) {
	defer func() { recover() }()
	r, err := rardecode.NewReader(bytes.NewReader(data), rardecode.MaxDictionarySize(1<<20))
	if err == rardecode.ErrArchiveEncrypted {
		return "" // rardecode does not verify the checksum in this case
	}
	for err == nil {
		var h *rardecode.FileHeader
		if h, err = r.Next(); err == nil && h.Encrypted && h.PackedSize >= 0 && h.PackedSize < int64(len(data)) {
			return fmt.Sprintf("%q", h.Name)
		}
	}
	return ""
}
