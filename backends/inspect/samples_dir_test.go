package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSamplesOfDirectory scans the files of the directory in POLYCLAM_SAMPLES, and prints
// for each what its manifest.tsv expects, what inspect found, and how long that took. The
// manifest has a line per file: its name, a TAB, the expected category and a description,
// and more columns that are ignored.
func TestSamplesOfDirectory(t *testing.T) {
	dir := os.Getenv("POLYCLAM_SAMPLES")
	if dir == "" {
		return
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, nil)
	for _, line := range strings.Split(strings.TrimSpace(string(manifest)), "\n")[1:] {
		name, rest, _ := strings.Cut(line, "\t")
		truth, _, _ := strings.Cut(rest, "\t")
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		begin := time.Now()
		r := scan(t, b, data)
		took := time.Since(begin)
		found := ""
		if len(r.Findings) > 0 {
			found = " " + r.Findings[0].Name
		}
		mark := " "
		if !strings.HasPrefix(truth, string(r.Category)) {
			mark = "!"
		}
		t.Logf("table: %s %-40s %-60.60s %v%s (%s) %d µs", mark, name, truth, r.Category, found, r.Detail, took.Microseconds())
	}
}
