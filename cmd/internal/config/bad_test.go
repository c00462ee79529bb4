package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadFiles loads each testdata/bad-*.toml and compares its problems with the comments
// at its top, "# LINE: key: text", which may leave out the end of the text.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad-*.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 30 {
		t.Fatalf("%d files, want 30 at least", len(files))
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".toml"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := expected(string(data))
			if len(want) == 0 {
				t.Fatal("there is no comment at the top")
			}
			file, err := Load(name)
			var got Problems
			if !errors.As(err, &got) {
				t.Fatalf("Load = %v, %v, want problems", file, err)
			}
			compare(t, name, got, want)
		})
	}
}

// expected returns the comments at the top.
func expected(text string) []string {
	var want []string
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		want = append(want, strings.TrimSuffix(line, "\n"))
	}
	return want
}

func compare(t *testing.T, name string, got Problems, want []string) {
	t.Helper()
	for i, p := range got {
		line := strings.TrimPrefix(p.String(), name+":")
		if i >= len(want) {
			t.Errorf("unexpected problem\n%s", line)
		} else if !strings.HasPrefix(line, want[i]) {
			t.Errorf("problem %d is\n%s\nwant\n%s", i, line, want[i])
		}
	}
	for _, w := range want[min(len(got), len(want)):] {
		t.Errorf("missing problem\n%s", w)
	}
}
