package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/proxy/files"
	"polyclam/test/fusetest"
	"polyclam/test/testkit"
)

type unixStat = syscall.Stat_t

// opened returns an object for the named file.
func opened(t *testing.T, s *Spool, name string) *Object {
	t.Helper()
	return openedAs(t, s, name, unix.O_RDONLY)
}

func openedAs(t *testing.T, s *Spool, name string, flags int) *Object {
	t.Helper()
	o, err := s.Open(t.Context(), adopted(t, name, flags), 0)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// adopted returns the named file as a client hands it over.
func adopted(t *testing.T, name string, flags int) *files.File {
	t.Helper()
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := files.NewPool(0)
	t.Cleanup(func() { // closing may take a thread
		testkit.Eventually(t, "no file is open", func() bool { return p.Stats() == files.Stats{Limit: files.DefaultThreads} })
	})
	f, err := p.Adopt(t.Context(), fd)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOpen(t *testing.T) {
	s := newSpool(t, Config{Memory: 16 << 10, Total: 256 << 10})
	for _, size := range []int{0, 1, 1000, 100 << 10} {
		name := filepath.Join(t.TempDir(), "file")
		want := random(size)
		if err := os.WriteFile(name, want, 0o600); err != nil {
			t.Fatal(err)
		}
		o := openedAs(t, s, name, unix.O_RDWR)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if o.Size() != int64(size) || s.Stats().Used != 0 {
			t.Errorf("size %d, used %d; want %d, 0", o.Size(), s.Stats().Used, size)
		}
		checkBytes(t, o, want)
		if f, err := o.File(); err != nil {
			t.Error(err)
		} else if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("an engine could write to the client's file")
		}
		path, err := o.Path()
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(filepath.Dir(path)) != s.set.Dir || s.Stats().Used != pages(int64(size)) {
			t.Errorf("path %q, used %d", path, s.Stats().Used)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
			t.Errorf("copy: %d bytes, %v", len(got), err)
		}
		o.Release()
		checkEmpty(t, s)
	}
}

// TestOpenedFileChanges extends and truncates a file that is being scanned.
func TestOpenedFileChanges(t *testing.T) {
	s := newSpool(t, Config{})
	name := filepath.Join(t.TempDir(), "file")
	want := random(300 << 10)
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	o := opened(t, s, name)
	defer o.Release()
	if err := os.WriteFile(name, append(want, "more"...), 0o600); err != nil {
		t.Fatal(err)
	}
	checkBytes(t, o, want)
	if err := os.Truncate(name, 1000); err != nil {
		t.Fatal(err)
	}
	n, err := o.ReadAt(make([]byte, 2000), 0)
	if n != 1000 {
		t.Errorf("read %d bytes", n)
	}
	checkIs(t, err, io.ErrUnexpectedEOF)
	_, err = io.Copy(io.Discard, io.NewSectionReader(o, 0, o.Size()))
	checkIs(t, err, io.ErrUnexpectedEOF)
	_, err = o.SHA256(t.Context())
	checkIs(t, err, io.ErrUnexpectedEOF)
	_, err = o.Path()
	checkIs(t, err, ErrStorage)
	if s.Stats().Used != 0 || s.Stats().Files != 0 {
		t.Errorf("after a failed copy: %+v", s.Stats())
	}
}

// TestOpenQuota checks that the copy of a client's file cannot exceed the quota.
func TestOpenQuota(t *testing.T) {
	s := newSpool(t, Config{Total: 64 << 10})
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, random(65<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	o := opened(t, s, name)
	defer o.Release()
	_, err := o.Path()
	checkIs(t, err, ErrQuota)
}

// TestMake checks that an object with a hole does not count against the quota, and that a
// failure to write it is an error.
func TestMake(t *testing.T) {
	const size = 8 << 20
	for _, store := range []Store{Memfd, Tmpfile} {
		s := newSpool(t, Config{Store: store, Dir: t.TempDir(), Total: 1 << 20})
		o, err := s.Make(func(f *os.File) error {
			_, err := f.WriteAt([]byte("end"), size-3)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		tail := make([]byte, 3)
		if _, err := o.ReadAt(tail, size-3); o.Size() != size || string(tail) != "end" || err != nil && err != io.EOF {
			t.Errorf("%d bytes, %q, error %v", o.Size(), tail, err)
		}
		f, err := o.File()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("the descriptor can be used to change the object")
		}
		if used := s.Stats().Used; used != 0 {
			t.Errorf("%d bytes used", used)
		}
		o.Release()
		if _, err := s.Make(func(*os.File) error { return errors.New("no") }); !errors.Is(err, ErrStorage) {
			t.Errorf("error %v", err)
		}
	}
}

// TestOpenForeign copies a file whose file system may hang, and counts the copy.
func TestOpenForeign(t *testing.T) {
	want := random(300 << 10)
	fs := fusetest.Mount(t, fusetest.File{Name: "f", Data: want}, fusetest.File{Name: "half", Data: want[:1000], Size: 300 << 10, Direct: true})
	s := newSpool(t, Config{Memory: 16 << 10, Total: 1 << 20})
	o := openedAs(t, s, fs.Path("f"), unix.O_RDWR)
	fs.Hang(fusetest.Read) // the original is no longer read
	checkBytes(t, o, want)
	if s.Stats().Used != pages(int64(len(want))) {
		t.Errorf("used %d", s.Stats().Used)
	}
	if f, err := o.File(); err != nil {
		t.Error(err)
	} else if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("an engine could write to the copy")
	}
	o.Release()
	checkEmpty(t, s)
}

// TestOpenForeignRefuses checks that a failed copy leaves nothing.
func TestOpenForeignRefuses(t *testing.T) {
	fs := fusetest.Mount(t,
		fusetest.File{Name: "large", Data: make([]byte, 300<<10)},
		fusetest.File{Name: "half", Data: make([]byte, 100<<10), Size: 300 << 10, Direct: true})
	s := newSpool(t, Config{Memory: 16 << 10, Total: 200 << 10})
	for _, tt := range []struct {
		name  string
		limit int64
		want  error
	}{
		{"large", 300<<10 - 1, ErrTooLarge},
		{"large", 300 << 10, ErrQuota},
		{"large", 0, ErrQuota},
		{"half", 0, io.ErrUnexpectedEOF},
	} {
		_, err := s.Open(t.Context(), adopted(t, fs.Path(tt.name), unix.O_RDONLY), tt.limit)
		checkIs(t, err, tt.want)
		checkEmpty(t, s)
	}
}
