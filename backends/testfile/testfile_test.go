package testfile

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEICAR(t *testing.T) {
	e := EICAR()
	// The checksum that every engine's signature list has for the file.
	if sum := md5.Sum(e); hex.EncodeToString(sum[:]) != "44d88612fea8a8f36de82e1278abb02f" {
		t.Errorf("EICAR is %q", e)
	}
	e[0] = 'x'
	if EICAR()[0] != 'X' {
		t.Error("the caller's change is seen by others")
	}
}

// TestNothingSpelledOut makes sure that no scanner finds EICAR in the program.
func TestNothingSpelledOut(t *testing.T) {
	for _, name := range []string{"testfile.go", "large.go", "encrypted.zip"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, EICAR()[:40]) {
			t.Errorf("%s contains EICAR", name)
		}
	}
}

func TestClean(t *testing.T) {
	a, b := NewNonce(), NewNonce()
	if a == b {
		t.Fatal("two nonces are the same")
	}
	object := Clean(a)
	if n, ok := NonceOf(object); len(object) != CleanSize || !ok || n != a {
		t.Errorf("nonce %x of %q (%d bytes)", n, object, len(object))
	}
	other := map[string]string{
		"empty":       "",
		"shorter":     string(object[:CleanSize-1]),
		"longer":      string(object) + "x",
		"other text":  strings.Replace(string(object), "harmless", "harmful!", 1),
		"other end":   string(object[:CleanSize-1]) + "x",
		"no nonce":    cleanText + strings.Repeat("x", 2*len(Nonce{})) + "\n",
		"zero bytes":  strings.Repeat("\x00", CleanSize),
		"inside":      " " + string(object[:CleanSize-1]),
		"upper case?": strings.ToUpper(string(object)),
	}
	for name, o := range other {
		if _, ok := NonceOf([]byte(o)); ok {
			t.Errorf("%s: a nonce in %q", name, o)
		}
	}
}

func FuzzNonceOf(f *testing.F) {
	f.Add(Clean(Nonce{1, 2, 3}))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, object []byte) {
		if n, ok := NonceOf(object); ok && !strings.EqualFold(string(Clean(n)), string(object)) {
			t.Errorf("%q is not the control of %x", object, n)
		}
	})
}

// member is what a ZIP reader sees of a member.
type member struct {
	name   string
	locked bool
	eicar  bool
}

func members(t *testing.T, r io.ReaderAt, size int64) (all []member) {
	t.Helper()
	z, err := zip.NewReader(r, size)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		m := member{name: f.Name, locked: f.Flags&1 == 1}
		if !m.locked {
			rc, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			sum := crc32.NewIEEE()
			var start bytes.Buffer
			if _, err := io.Copy(io.MultiWriter(sum, &limited{&start}), rc); err != nil {
				t.Fatalf("%s: %v", f.Name, err) // a wrong checksum too
			}
			m.eicar = bytes.Equal(start.Bytes(), EICAR())
		}
		all = append(all, m)
	}
	return all
}

// limited keeps the first bytes.
type limited struct{ *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), max(0, 100-l.Len()))])
	return len(p), nil
}

func TestArchives(t *testing.T) {
	locked, clear := member{name: "locked.txt", locked: true}, member{name: "eicar.com", eicar: true}
	tests := map[string]struct {
		data []byte
		want []member
	}{
		"encrypted":         {Encrypted(), []member{locked}},
		"zipped EICAR":      {ZippedEICAR(), []member{clear}},
		"locked then EICAR": {LockedThenEICAR(), []member{locked, clear}},
		"deep then EICAR":   {DeepThenEICAR(), []member{{name: "deep.zip"}, clear}},
	}
	for name, tt := range tests {
		got := members(t, bytes.NewReader(tt.data), int64(len(tt.data)))
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v", name, got)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: member %d is %v, want %v", name, i, got[i], tt.want[i])
			}
		}
	}
}

func TestDeep(t *testing.T) {
	data := DeepThenEICAR()
	levels := 0
	for {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			break
		}
		levels++
		rc, err := z.File[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(rc); err != nil {
			t.Fatal(err)
		}
	}
	if levels != depth+1 {
		t.Errorf("%d levels, want %d", levels, depth+1)
	}
}

func TestWriteSparse(t *testing.T) {
	const size = 40 << 20
	r, err := Large(size)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteSparse(f, r); err != nil {
		t.Fatal(err)
	}
	want, got := crc32.NewIEEE(), crc32.NewIEEE()
	if _, err := io.Copy(want, r); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(got, io.NewSectionReader(f, 0, 2*size)); n != size || err != nil {
		t.Fatalf("%d bytes, error %v", n, err)
	}
	if got.Sum32() != want.Sum32() {
		t.Error("the file is not what was written")
	}
}

func TestLarge(t *testing.T) {
	for _, size := range []int64{LargeMin, LargeMin + 1, 1 << 20, 30<<20 + 7} {
		r, err := Large(size)
		if err != nil || r.Size() != size {
			t.Fatalf("%d bytes: %v (error %v)", size, r.Size(), err)
		}
		got := members(t, r, size)
		if len(got) != 2 || !got[0].eicar || got[1] != (member{name: "zeros.bin"}) {
			t.Errorf("%d bytes: %v", size, got)
		}
	}
	for _, size := range []int64{-1, 0, LargeMin - 1, LargeMax + 1} {
		if _, err := Large(size); err == nil {
			t.Errorf("%d bytes: no error", size)
		}
	}
	r, err := Large(LargeMax) // only its directory: the rest takes too long here
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(r, LargeMax)
	if err != nil || len(z.File) != 2 {
		t.Errorf("the largest: %v, error %v", z, err)
	}
}

// TestLargeInPieces reads at all offsets near the ends of head and tail.
func TestLargeInPieces(t *testing.T) {
	const size = LargeMin + 100
	r, err := Large(size)
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, size)
	if _, err := io.ReadFull(r, whole); err != nil {
		t.Fatal(err)
	}
	for off := range int64(size) {
		for _, n := range []int{1, 70, 300, size} {
			p := bytes.Repeat([]byte{'x'}, n)
			got, err := r.ReadAt(p, off)
			want := min(n, int(size-off))
			if got != want || (err == io.EOF) != (want < n) || !bytes.Equal(p[:got], whole[off:int(off)+got]) {
				t.Fatalf("read %d of %d at %d, error %v", got, n, off, err)
			}
		}
	}
	if n, err := r.ReadAt(make([]byte, 1), size); n != 0 || err != io.EOF {
		t.Errorf("read %d at the end, error %v", n, err)
	}
}

func TestChecksumOfZeros(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 255, 1000, 1 << 20} {
		if got, want := checksumOfZeros(int64(n)), crc32.ChecksumIEEE(make([]byte, n)); got != want {
			t.Errorf("%d zeros: %08x, want %08x", n, got, want)
		}
	}
}
