package inspect

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/testfile"
)

// fuzzBackend returns a backend with budgets small enough for fuzzing.
func fuzzBackend(tb testing.TB) *Backend {
	return open(tb, func(c *Config) {
		c.MaxBytes = 1 << 20
		c.MaxTime = time.Minute
	})
}

// fuzzScan scans data and checks that the result is plausible.
func fuzzScan(tb testing.TB, b *Backend, data []byte) backends.Result {
	tb.Helper()
	r := scan(tb, b, data)
	if len(r.Detail) > walk.MaxDetail {
		tb.Errorf("detail of %d bytes", len(r.Detail))
	}
	if r.Category == backends.Virus && !isEICAR(data) {
		tb.Errorf("%+v", r)
	}
	return r
}

// sampleFiles returns all samples by name.
func sampleFiles(tb testing.TB) map[string][]byte {
	tb.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".md") || strings.Contains(path, "fuzz") {
			return err
		}
		files[filepath.ToSlash(strings.TrimPrefix(path, "testdata/"))], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// FuzzInspect checks the results of all detectors for any input.
func FuzzInspect(f *testing.F) {
	for _, data := range sampleFiles(f) {
		f.Add(data)
	}
	for _, s := range append(composed(f), kinds(f)...) {
		f.Add(s.data)
	}
	f.Add(testfile.EICAR())
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, data []byte) { fuzzScan(t, b, data) })
}

// FuzzInspectZip also checks that members which archive/zip knows to be encrypted are
// found.
func FuzzInspectZip(f *testing.F) {
	for name, data := range sampleFiles(f) {
		if strings.HasSuffix(name, ".zip") {
			f.Add(data)
			f.Add(data[:len(data)-10])
			f.Add(data[5:])
		}
	}
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := fuzzScan(t, b, data)
		if knownEncrypted(data) && r.Category != backends.Encrypted && r.Category != backends.Partial {
			t.Errorf("%+v, but archive/zip sees an encrypted member", r)
		}
	})
}

func knownEncrypted(data []byte) bool {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return false
	}
	for _, m := range z.File {
		// A directory may list members that do not exist.
		if _, err := m.DataOffset(); err == nil && m.Flags&1 != 0 && m.CompressedSize64 > 0 {
			return true
		}
	}
	return false
}
