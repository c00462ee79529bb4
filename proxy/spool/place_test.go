package spool

import (
	"os"
	"path/filepath"
	"testing"

	"polyclam/backends"
)

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.WriteFile(path, []byte("bytes"), 0o600))
	do(os.Symlink("file", link))
	f, err := os.Open(link)
	do(err)
	defer f.Close()
	first, err := placeOf(f)
	if err != nil || first.Path != path || first.Size != 5 {
		t.Fatalf("got %+v, %v", first, err)
	}
	if again, err := placeOf(f); again != first || err != nil {
		t.Errorf("again: %+v, %v", again, err)
	}

	do(os.WriteFile(path, []byte("other bytes"), 0o600))
	changed, err := placeOf(f)
	if err != nil || changed == first {
		t.Errorf("after a change: %+v, %v", changed, err)
	}

	moved := path + " (deleted)" // as the kernel calls a removed file
	do(os.Rename(path, moved))
	if p, err := placeOf(f); err != nil || p.Path != moved || p == changed {
		t.Errorf("moved: %+v, %v", p, err)
	}
	do(os.WriteFile(path, []byte("bytes"), 0o600))
	do(os.Remove(moved))
	if p, err := placeOf(f); err == nil {
		t.Errorf("removed: %+v", p)
	}
	do(os.Symlink("file", moved))
	if p, err := placeOf(f); err == nil {
		t.Errorf("a link instead: %+v", p)
	}
	do(os.Remove(moved))
	do(os.WriteFile(moved, []byte("other bytes"), 0o600))
	if p, err := placeOf(f); err == nil {
		t.Errorf("another file instead: %+v", p)
	}
}

// TestPlaceOfOthers checks that only a client's file has a place.
func TestPlaceOfOthers(t *testing.T) {
	s := newSpool(t, Config{Memory: 4 << 10, Store: Tmpfile})
	for name, o := range map[string]*Object{"in memory": spooled(t, s, random(100)), "in a file": spooled(t, s, random(40<<10)), "constant": s.Bytes([]byte("x"))} {
		if p, err := o.Place(); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
		o.Release()
		if p, err := o.Place(); p != (backends.Place{}) || err == nil {
			t.Errorf("%s, released: %+v, %v", name, p, err)
		}
	}
}
