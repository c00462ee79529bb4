package backendtest

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"polyclam/backends"
)

func TestEICAR(t *testing.T) {
	// The sum that every engine's list has for it.
	if got := fmt.Sprintf("%x", md5.Sum(EICAR())); got != "44d88612fea8a8f36de82e1278abb02f" {
		t.Errorf("MD5 %s", got)
	}
}

func TestEncryptedZip(t *testing.T) {
	data := EncryptedZip()
	if len(data) > 250 {
		t.Errorf("%d bytes", len(data))
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil || len(z.File) != 1 || z.File[0].Flags&1 == 0 {
		t.Fatalf("%+v, %v", z, err)
	}
}

// TestEncryptedZipOpens asks a real program whether our encryption is one.
func TestEncryptedZipOpens(t *testing.T) {
	seven, err := exec.LookPath("7z")
	if err != nil {
		t.Skip(err)
	}
	path, err := Bytes(t, EncryptedZip()).Path()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(seven, "x", "-so", "-ppolyclam", path).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("hello, world\n")) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := exec.Command(seven, "t", "-pwrong", path).CombinedOutput(); err == nil {
		t.Errorf("a wrong password opens it\n%s", out)
	}
}

func TestObject(t *testing.T) {
	o := LargeObject(t, 100_000)
	all, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil || !bytes.Equal(all, o.Data()) || len(all) != 100_000 {
		t.Fatalf("%d bytes, %v", len(all), err)
	}
	p := make([]byte, 10)
	for _, r := range []struct {
		off  int64
		n    int
		fine bool
	}{{0, 10, true}, {99_990, 10, true}, {99_995, 5, false}, {100_000, 0, false}, {1 << 40, 0, false}, {-1, 0, false}} {
		if n, err := o.ReadAt(p, r.off); n != r.n || (err == nil) != r.fine {
			t.Errorf("ReadAt %d: %d, %v", r.off, n, err)
		}
	}
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(file, all) {
		t.Errorf("the file has %d bytes, %v", len(file), err)
	}
	again, err := o.Path()
	if again != path || err != nil {
		t.Errorf("%q, %v; was %q", again, err, path)
	}
}

func TestMarked(t *testing.T) {
	for data, want := range map[string]backends.Category{
		"": backends.OK, "text": backends.OK, "a " + MarkEncrypted: backends.Encrypted, MarkPartial: backends.Partial,
		MarkError: backends.SWErr, MarkSuspicious: backends.Suspicious, string(EICAR()): backends.Virus,
		string(EncryptedZip()): backends.Encrypted, MarkError + string(EICAR()): backends.Virus,
	} {
		if got := Marked([]byte(data)); got != want {
			t.Errorf("Marked(%q) = %v, want %v", data, got, want)
		}
		r, err := Engine().Scan(t.Context(), Bytes(t, []byte(data)))
		if err != nil {
			r.Category = backends.CategoryOf(err)
		}
		if r.Category != want {
			t.Errorf("Engine says %v of %q, want %v", r.Category, data, want)
		}
	}
}
