package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

var (
	requirement = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // a direct one
	libraryRow  = regexp.MustCompile("(?m)^\\| `(\\S+\\.\\S+/\\S+)` \\| \\S.* \\|$")
)

// TestLibraries compares the list of libraries in the documentation with go.mod.
func TestLibraries(t *testing.T) {
	find := func(file string, pattern *regexp.Regexp) (list []string) {
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
			list = append(list, m[1])
		}
		slices.Sort(list)
		return list
	}
	want, got := find("go.mod", requirement), find("docs/architecture.md", libraryRow)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("docs/architecture.md explains %q, go.mod requires %q", got, want)
	}
}
