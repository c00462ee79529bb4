package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGrid(t *testing.T) {
	g := &Grid{Head: []string{"a", "bb"}}
	g.Add("1 µs", "2")
	if got, want := g.Text(), "a     bb\n1 µs  2\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := g.Markdown(), "| a | bb |\n|---|---|\n| 1 µs | 2 |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWritePage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.md")
	const page = "# P\n\n<!-- bench:a -->\n\nold\n\n<!-- /bench:a -->\n\ntext\n\n<!-- bench:b -->\n\nstays\n\n<!-- /bench:b -->\n"
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := WritePage(path, map[string]string{"a": "new\n", "c": "nowhere\n"})
	if err != nil || !slices.Equal(names, []string{"a"}) {
		t.Fatalf("%v, %v", names, err)
	}
	got, err := os.ReadFile(path)
	if want := strings.Replace(page, "old", "new", 1); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ReplaceBlock("<!-- bench:a -->\nno end", "a", ""); err == nil {
		t.Error("a block without an end is replaced")
	}
}
