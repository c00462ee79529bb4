package backendtest

import (
	"bytes"
	"io"
	"os"
	"testing"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

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
		MarkError: backends.SWErr, MarkSuspicious: backends.Suspicious, string(testfile.EICAR()): backends.Virus,
		string(testfile.Encrypted()): backends.Encrypted, MarkError + string(testfile.EICAR()): backends.Virus,
	} {
		if got := Marked([]byte(data)); got != want {
			t.Errorf("Marked(%q) = %v, want %v", data, got, want)
		}
		r, err := Engine().Scan(t.Context(), Bytes(t, []byte(data)))
		if err != nil {
			r.Category = backends.CategoryOf(err)
		}
		if r.Category != want {
			t.Errorf("Engine reports %v for %q, want %v", r.Category, data, want)
		}
	}
}
