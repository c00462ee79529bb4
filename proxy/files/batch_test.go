package files

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// dirOf opens a directory.
func dirOf(t *testing.T, p *Pool, path string) *Dir {
	t.Helper()
	o, err := p.Open(t.Context(), nil, path)
	if err != nil || o.Dir == nil {
		t.Fatalf("%+v, %v", o, err)
	}
	t.Cleanup(o.Dir.Close)
	return o.Dir
}

// all reads a directory to its end, and checks the order within each batch.
func all(t *testing.T, d *Dir, want Want, m *Memory) (files, dirs []string, batches int) {
	t.Helper()
	for {
		b, err := d.Read(t.Context(), want, m)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(b.entries, compareEntries) {
			t.Error("a batch is not sorted")
		}
		for i := range b.Len() {
			if b.IsDir(i) {
				dirs = append(dirs, b.Name(i))
			} else {
				files = append(files, b.Name(i))
			}
		}
		batches++
		last := b.Last
		b.Free()
		if last {
			return files, dirs, batches
		}
	}
}

// However many batches a directory takes, each entry comes once, and links and FIFOs
// do not come.
func TestBatches(t *testing.T) {
	dir := t.TempDir()
	one := write(t, nil)
	var wantFiles, wantDirs []string
	for i := range 3000 {
		name := fmt.Sprintf("%04d", i) + strings.Repeat("n", 240)
		if i%10 == 0 {
			os.Mkdir(filepath.Join(dir, name), 0o700)
			wantDirs = append(wantDirs, name)
			continue
		}
		os.Link(one, filepath.Join(dir, name))
		wantFiles = append(wantFiles, name)
	}
	os.Symlink("x", filepath.Join(dir, "link"))
	unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600)
	p := NewPool(4)
	d := dirOf(t, p, dir)
	m := NewMemory().Walk()
	for _, tt := range []struct {
		want        Want
		files, dirs []string
	}{{Everything, wantFiles, wantDirs}, {OnlyFiles, wantFiles, nil}, {OnlyDirs, nil, wantDirs}} {
		if err := d.Rewind(t.Context()); err != nil {
			t.Fatal(err)
		}
		files, dirs, batches := all(t, d, tt.want, m)
		slices.Sort(files)
		slices.Sort(dirs)
		if !slices.Equal(files, tt.files) || !slices.Equal(dirs, tt.dirs) {
			t.Errorf("want %d: %d files and %d directories in %d batches", tt.want, len(files), len(dirs), batches)
		}
		if tt.want == Everything && batches < 3 {
			t.Errorf("%d batches: too few for the memory of a walk", batches)
		}
		if m.left != MemoryOfWalk || m.all.left != MemoryOfAll {
			t.Errorf("%d and %d bytes are left", m.left, m.all.left)
		}
	}
}

// Walks that hold much leave little to others, but never nothing, and directories that
// are still to come keep only their own memory.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	for i := range 500 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), nil, 0o600)
	}
	os.Mkdir(filepath.Join(dir, "d"), 0o700)
	p, m := NewPool(4), NewMemory()
	var held []*Batch
	for range 1000 {
		b, err := dirOf(t, p, dir).Read(t.Context(), Everything, m.Walk())
		if err != nil || b.Len() == 0 {
			t.Fatalf("%d entries, %v", b.Len(), err)
		}
		held = append(held, b)
	}
	m.mu.Lock()
	left := m.left
	m.mu.Unlock()
	if left < -1000*leastBatch {
		t.Errorf("%d bytes are left", left)
	}
	b := held[0]
	b.DropFiles()
	if b.Len() != 1 || b.Name(0) != "d" || !b.IsDir(0) || b.held > 2048 {
		t.Errorf("%d entries, %d bytes", b.Len(), b.held)
	}
	for _, b := range held {
		b.Free()
	}
	if m.left != MemoryOfAll {
		t.Errorf("%d bytes are left", m.left)
	}
}

// An entry that is replaced after it was listed does not lead elsewhere.
func TestOpenEntry(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/file", []byte("x"), 0o600)
	os.Mkdir(dir+"/dir", 0o700)
	os.Symlink("/etc/passwd", dir+"/link")
	unix.Mkfifo(dir+"/fifo", 0o600)
	p := NewPool(4)
	d := dirOf(t, p, dir)
	for name, want := range map[string]error{"file": nil, "dir": nil, "link": ErrGone, "fifo": ErrGone, "none": ErrGone} {
		o, err := d.Open(t.Context(), name)
		if err != want || err == nil && (o.File == nil) == (o.Dir == nil) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		o.close()
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x18\x00\x08name\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, ok := parseEntry(b)
		if ok && (e.length <= 0 || e.length > len(b) || len(e.name) == 0) {
			t.Errorf("%+v of %d bytes", e, len(b))
		}
	})
}
