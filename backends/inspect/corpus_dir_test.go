package inspect

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"polyclam/backends"
)

// slowest is how many of the slowest files TestCorpus lists.
const slowest = 10

// TestCorpus scans all regular files below the directory in POLYCLAM_CORPUS, such as /usr,
// and prints which are encrypted or partial and which took longest. Ordinary files should
// hardly ever be either.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("POLYCLAM_CORPUS")
	if dir == "" {
		return
	}
	b := open(t, nil)
	type timed struct {
		path string
		size int64
		took time.Duration
	}
	var slow []timed
	counts := make(map[backends.Category]int)
	bytes, begin := int64(0), time.Now()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // skip unreadable files
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		started := time.Now()
		r := scan(t, b, data)
		took := time.Since(started)
		counts[r.Category]++
		bytes += int64(len(data))
		if r.Category != backends.OK {
			t.Logf("table: %v %s %s (%s)", r.Category, path, r.Findings[0].Name, r.Detail)
		}
		slow = append(slow, timed{path, int64(len(data)), took})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("table: %d files, %d bytes in %v: %v", len(slow), bytes, time.Since(begin).Round(time.Second), counts)
	slices.SortFunc(slow, func(a, b timed) int { return cmp.Compare(b.took, a.took) })
	for _, s := range slow[:min(len(slow), slowest)] {
		t.Logf("table: %8v %10d bytes %s", s.took.Round(100*time.Microsecond), s.size, s.path)
	}
}
