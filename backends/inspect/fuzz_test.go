package inspect

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// FuzzInspectZip wants a sound result for any bytes, and that what archive/zip
// knows to be encrypted is seen.
func FuzzInspectZip(f *testing.F) {
	names, err := filepath.Glob("testdata/*.zip")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-10])
		f.Add(data[5:])
	}
	f.Add(backendtest.EICAR())
	b := open(f, func(c *Config) {
		c.MaxBytes = 1 << 20
		c.MaxTime = time.Minute
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := scan(t, b, data)
		if len(r.Detail) > maxDetail {
			t.Errorf("detail of %d bytes", len(r.Detail))
		}
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
		if m.Flags&1 != 0 && m.CompressedSize64 > 0 {
			return true
		}
	}
	return false
}
