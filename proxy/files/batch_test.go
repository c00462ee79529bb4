package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openDir opens a directory for the time of the test.
func openDir(t *testing.T, p *Pool, path string) *Dir {
	t.Helper()
	o, err := p.Open(t.Context(), nil, path)
	if err != nil || o.Dir == nil {
		t.Fatalf("%+v, %v", o, err)
	}
	t.Cleanup(o.Dir.Close)
	return o.Dir
}

// readAllBatches reads a directory to its end, and checks the order within each batch.
func readAllBatches(t *testing.T, d *Dir, wanted want, m *Memory) (files, dirs []string, batches int) {
	t.Helper()
	for {
		b, err := d.read(t.Context(), wanted, m)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSortedFunc(b.entries, compareEntries) {
			t.Error("a batch is not sorted")
		}
		for _, e := range b.entries {
			if e.dir {
				dirs = append(dirs, b.name(e))
			} else {
				files = append(files, b.name(e))
			}
		}
		batches++
		last := b.last
		b.free()
		if last {
			return files, dirs, batches
		}
	}
}

// largeDir makes a directory with more files, or with more directories, than fit into one
// batch, and with a link and a FIFO.
func largeDir(t *testing.T, everyNthIsDir int) (dir string, files, dirs []string) {
	t.Helper()
	dir = t.TempDir()
	file := write(t, nil)
	for i := range 3000 {
		name := fmt.Sprintf("%04d", i) + strings.Repeat("n", 240)
		var err error
		if i%everyNthIsDir == 0 {
			err = os.Mkdir(filepath.Join(dir, name), 0o700)
			dirs = append(dirs, name)
		} else {
			err = os.Link(file, filepath.Join(dir, name))
			files = append(files, name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("x", filepath.Join(dir, "link")), unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir, files, dirs
}

func wantAllMemory(t *testing.T, m *Memory) {
	t.Helper()
	if m.left != MemoryOfWalk || m.all.left != MemoryOfAll {
		t.Errorf("%d and %d bytes are left", m.left, m.all.left)
	}
}

// TestBatches reads a directory in several batches: each entry comes exactly once, and
// links and FIFOs do not come.
func TestBatches(t *testing.T) {
	dir, files, dirs := largeDir(t, 10)
	d := openDir(t, NewPool(4), dir)
	m := NewMemory().Walk()
	for _, tt := range []struct {
		wanted      want
		files, dirs []string
	}{{everything, files, dirs}, {onlyFiles, files, nil}, {onlyDirs, nil, dirs}} {
		if err := d.rewind(t.Context()); err != nil {
			t.Fatal(err)
		}
		gotFiles, gotDirs, batches := readAllBatches(t, d, tt.wanted, m)
		slices.Sort(gotFiles)
		slices.Sort(gotDirs)
		if !slices.Equal(gotFiles, tt.files) || !slices.Equal(gotDirs, tt.dirs) {
			t.Errorf("wanted %d: %d files and %d directories in %d batches", tt.wanted, len(gotFiles), len(gotDirs), batches)
		}
		if tt.wanted == everything && batches < 3 {
			t.Errorf("%d batches: too few for the memory of a walk", batches)
		}
		wantAllMemory(t, m)
	}
}

// TestEntries lists directories of one batch and of several: files come first, each
// entry once, and a caller that stops early leaves no memory in use.
func TestEntries(t *testing.T) {
	small := t.TempDir()
	for _, name := range []string{"d1/", "f1", "d2/", "f2"} {
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.Mkdir(filepath.Join(small, name), 0o700)
		} else {
			err = os.WriteFile(filepath.Join(small, name), nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	large, files, dirs := largeDir(t, 2)
	for _, tt := range []struct {
		dir         string
		files, dirs []string
	}{{small, []string{"f1", "f2"}, []string{"d1", "d2"}}, {large, files, dirs}} {
		m := NewMemory().Walk()
		within := func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) }
		total := len(tt.files) + len(tt.dirs)
		for _, stop := range []int{total, 1, len(tt.files), len(tt.files) + 1} {
			var got []string
			for name, err := range openDir(t, NewPool(4), tt.dir).Entries(within, m) {
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, name); len(got) == stop {
					break
				}
			}
			wantAllMemory(t, m)
			if stop != total {
				continue
			}
			slices.Sort(got[:len(tt.files)])
			slices.Sort(got[len(tt.files):])
			if !slices.Equal(got, append(slices.Clone(tt.files), tt.dirs...)) {
				t.Errorf("%s: %d entries, want %d files and then %d directories", tt.dir, len(got), len(tt.files), len(tt.dirs))
			}
		}
	}
}

// TestMemory holds a batch for each of a thousand walks. Each of them gets some memory,
// and batches that only wait for their directories to be scanned keep little.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	for i := range 500 {
		os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), nil, 0o600)
	}
	os.Mkdir(filepath.Join(dir, "d"), 0o700)
	p, m := NewPool(4), NewMemory()
	var held []*batch
	for range 1000 {
		b, err := openDir(t, p, dir).read(t.Context(), everything, m.Walk())
		if err != nil || len(b.entries) == 0 {
			t.Fatalf("%d entries, %v", len(b.entries), err)
		}
		held = append(held, b)
	}
	m.mu.Lock()
	left := m.left
	m.mu.Unlock()
	if left < -1000*minBatch {
		t.Errorf("%d bytes are left", left)
	}
	b := held[0]
	b.dropFiles()
	if len(b.entries) != 1 || b.name(b.entries[0]) != "d" || !b.entries[0].dir || b.held > 2048 {
		t.Errorf("%d entries, %d bytes", len(b.entries), b.held)
	}
	for _, b := range held {
		b.free()
	}
	if m.left != MemoryOfAll {
		t.Errorf("%d bytes are left", m.left)
	}
}

// TestOpenEntry opens entries as if they had been replaced after they were listed.
func TestOpenEntry(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/file", []byte("x"), 0o600)
	os.Mkdir(dir+"/dir", 0o700)
	os.Symlink("/etc/passwd", dir+"/link")
	unix.Mkfifo(dir+"/fifo", 0o600)
	d := openDir(t, NewPool(4), dir)
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
