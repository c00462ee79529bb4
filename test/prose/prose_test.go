package prose

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// exceptions are files whose hits do not count.
var exceptions = map[string]string{
	"test/prose/prose.go": "it lists the words",
}

// TestRate holds the tree to [Limit], and prints the hits where it is above.
func TestRate(t *testing.T) {
	c, err := Tree("../..")
	if err != nil {
		t.Fatal(err)
	}
	if c.Words < 50000 {
		t.Fatalf("found only %d words", c.Words)
	}
	c.Hits = slices.DeleteFunc(c.Hits, func(h Hit) bool { return exceptions[h.File] != "" })
	t.Logf("%.1f per 10,000 of %d words", c.Rate(), c.Words)
	if c.Rate() <= Limit {
		return
	}
	t.Errorf("the rate is above %.1f; say it as a native speaker would:", Limit)
	for _, h := range c.Hits {
		t.Logf("%s:%d: %s: %s", h.File, h.Line, h.Word, h.Text)
	}
}

// TestExceptions wants the files of the exceptions to exist and to need one.
func TestExceptions(t *testing.T) {
	c, err := Tree("../..")
	if err != nil {
		t.Fatal(err)
	}
	for file, reason := range exceptions {
		if reason == "" || !slices.ContainsFunc(c.Hits, func(h Hit) bool { return h.File == file }) {
			t.Errorf("%s is no exception", file)
		}
	}
}

// TestCount checks what counts as prose.
func TestCount(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.go", "package a\n\n// Nobody calls it.\nvar x = \"told\" + \"what stands here\" // at once\n\n//go:generate tell\n")
	write("a_test.go", "package a\n\nvar y = \"what stands here\"\n")
	write("b.md", "Asked at\nonce. Written anew.\n\n```\nbehind\n```\n| behind |\n")
	write("c.example", "# of its own\nkey = \"contents\"\n")
	write("testdata/d.md", "anew\n")
	write(".hidden/d.md", "anew\n")
	write("e.txt", "anew\n")
	c, err := Tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Hit{
		{"a.go", 3, "nobody", "// Nobody calls it."},
		{"a.go", 4, "at once", "// at once"},
		{"a.go", 4, "stands", "what stands here"},
		{"b.md", 2, "anew", "once. Written anew."},
		{"c.example", 1, "of its own", "of its own"},
	}
	if !slices.Equal(c.Hits, want) {
		t.Errorf("got %+v,\nwant %+v", c.Hits, want)
	}
	if c.Words != 16 {
		t.Errorf("%d words", c.Words)
	}
	if got := (Count{Words: 20000, Hits: make([]Hit, 5)}).Rate(); got != 2.5 {
		t.Errorf("rate %v", got)
	}
}
