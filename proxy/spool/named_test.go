package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestPath(t *testing.T) {
	for _, store := range stores {
		for _, size := range []int{0, 1000, 100 << 10} {
			for _, mode := range []os.FileMode{0, 0o600, 0o640, 0o444} {
				testPath(t, store, size, mode)
			}
		}
	}
}

func testPath(t *testing.T, store Store, size int, mode os.FileMode) {
	group := os.Getegid()
	s := newSpool(t, Config{Memory: 16 << 10, Store: store, PathMode: mode, PathGroup: group})
	o := spooled(t, s, random(size))
	defer o.Release()
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := o.Path(); again != path || err != nil {
		t.Errorf("second Path: %q, %v", again, err)
	}
	if !regexp.MustCompile(`^/.*/polyclam-spool-[A-Z2-7]{26}/polyclam-[A-Z2-7]{26}$`).MatchString(path) {
		t.Errorf("path %q", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode == 0 {
		mode = 0o600
	}
	if info.Mode() != mode || info.Size() != int64(size) || info.Sys().(*unixStat).Gid != uint32(group) {
		t.Errorf("mode %v, %d bytes, want %v, %d", info.Mode(), info.Size(), mode, size)
	}
	sub, err := os.Stat(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	search := map[os.FileMode]os.FileMode{0o600: 0o700, 0o640: 0o710, 0o444: 0o711}[mode]
	if sub.Mode().Perm() != search {
		t.Errorf("mode %v of the subdirectory, want %v", sub.Mode(), search)
	}
	f, err := o.File()
	if err != nil {
		t.Fatal(err)
	}
	if own, err := f.Stat(); err != nil {
		t.Error(err)
	} else if linked := store == Tmpfile && size > 16<<10; os.SameFile(own, info) != linked {
		t.Errorf("%s, %d bytes: linked %v", store, size, !linked)
	}
	if used := s.Stats().Used; used < int64(size) {
		t.Errorf("used %d", used)
	}
}

// TestPathWithoutTmpfile simulates a file system without O_TMPFILE.
func TestPathWithoutTmpfile(t *testing.T) {
	s := newSpool(t, Config{Memory: 16 << 10, PathMode: 0o640})
	s.set.dir.hasTmpfile = false
	for _, size := range []int{0, 1000, 100 << 10} {
		o := spooled(t, s, random(size))
		path, err := o.Path()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, random(size)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		o.Release()
	}
	// A copy that fails half-way leaves no file.
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, random(100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	o := opened(t, s, name)
	defer o.Release()
	if err := os.Truncate(name, 1000); err != nil {
		t.Fatal(err)
	}
	_, err := o.Path()
	checkIs(t, err, ErrStorage)
	if left := tree(t, s.set.Dir); len(left) != 1 {
		t.Errorf("left %q", left)
	}
}

func TestPathWithoutDirectory(t *testing.T) {
	s, err := New(Config{Memory: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer checkEmpty(t, s)
	o := spooled(t, s, random(100<<10))
	defer o.Release()
	_, err = o.Path()
	checkIs(t, err, ErrStorage)
	if _, err := o.File(); err != nil {
		t.Error(err)
	}
}

// TestEngineRemovesFile has an engine delete an infected file.
func TestEngineRemovesFile(t *testing.T) {
	s := newSpool(t, Config{})
	o := spooled(t, s, random(1000))
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	checkBytes(t, o, random(1000))
	o.Release()
}
