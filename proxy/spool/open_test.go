package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

type unixStat = syscall.Stat_t

// opened returns the content of the file of that name.
func opened(t *testing.T, s *Spool, name string) *Content {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOpenRefuses opens what a client may send in the place of a file.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file, fifo, link := filepath.Join(dir, "file"), filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), unix.Mkfifo(fifo, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	s := newSpool(t, Config{})
	for _, tt := range []struct {
		name  string
		path  string
		flags int
		want  error
	}{
		{"directory", dir, unix.O_RDONLY, ErrNotRegular},
		{"FIFO", fifo, unix.O_RDWR, ErrNotRegular},
		{"device", "/dev/null", unix.O_RDONLY, ErrNotRegular},
		{"endless device", "/dev/zero", unix.O_RDONLY, ErrNotRegular},
		{"symbolic link", link, unix.O_PATH | unix.O_NOFOLLOW, ErrNotRegular},
		{"directory with O_PATH", dir, unix.O_PATH, ErrNotRegular},
		{"for writing only", file, unix.O_WRONLY, ErrNotReadable},
		{"for appending only", file, unix.O_WRONLY | unix.O_APPEND, ErrNotReadable},
		{"with O_PATH", file, unix.O_PATH, ErrNotReadable},
		{"without a size", "/proc/self/status", unix.O_RDONLY, ErrNotRegular},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fd, err := unix.Open(tt.path, tt.flags|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			f := os.NewFile(uintptr(fd), tt.path)
			c, err := s.Open(f)
			if c != nil {
				t.Error("opened")
			}
			checkIs(t, err, tt.want)
			if err := f.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Open left the file open: %v", err)
			}
		})
	}
	if c, err := s.Open(nil); c != nil || !errors.Is(err, ErrNotReadable) {
		t.Errorf("no file: %v, %v", c, err)
	}
	var pair [2]int
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	_, err = s.Open(os.NewFile(uintptr(pair[0]), "socket"))
	checkIs(t, err, ErrNotRegular)
}

func TestOpen(t *testing.T) {
	s := newSpool(t, Config{Memory: 16 << 10, Total: 256 << 10})
	for _, size := range []int{0, 1, 1000, 100 << 10} {
		name := filepath.Join(t.TempDir(), "file")
		want := random(size)
		if err := os.WriteFile(name, want, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(0, io.SeekEnd); err != nil { // the offset does not matter
			t.Fatal(err)
		}
		c, err := s.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if c.Size() != int64(size) || s.Stats().Used != 0 {
			t.Errorf("size %d, used %d; want %d, 0", c.Size(), s.Stats().Used, size)
		}
		checkBytes(t, c, want)
		if f, err := c.File(); err != nil {
			t.Error(err)
		} else if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("an engine could write to the client's file")
		}
		path, err := c.Path()
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(filepath.Dir(path)) != s.set.Dir || s.Stats().Used != pages(int64(size)) {
			t.Errorf("path %q, used %d", path, s.Stats().Used)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
			t.Errorf("copy: %d bytes, %v", len(got), err)
		}
		c.Release()
		checkEmpty(t, s)
	}
}

// TestOpenedFileChanges grows and shrinks a file that is being scanned.
func TestOpenedFileChanges(t *testing.T) {
	s := newSpool(t, Config{})
	name := filepath.Join(t.TempDir(), "file")
	want := random(300 << 10)
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	c := opened(t, s, name)
	defer c.Release()
	if err := os.WriteFile(name, append(want, "more"...), 0o600); err != nil {
		t.Fatal(err)
	}
	checkBytes(t, c, want)
	if err := os.Truncate(name, 1000); err != nil {
		t.Fatal(err)
	}
	n, err := c.ReadAt(make([]byte, 2000), 0)
	if n != 1000 {
		t.Errorf("read %d bytes", n)
	}
	checkIs(t, err, io.ErrUnexpectedEOF)
	_, err = io.Copy(io.Discard, io.NewSectionReader(c, 0, c.Size()))
	checkIs(t, err, io.ErrUnexpectedEOF)
	_, err = c.SHA256()
	checkIs(t, err, io.ErrUnexpectedEOF)
	_, err = c.Path()
	checkIs(t, err, ErrStorage)
	if s.Stats().Used != 0 || s.Stats().Files != 0 {
		t.Errorf("after a failed copy: %+v", s.Stats())
	}
}

// TestOpenQuota proves that the copy of somebody's file cannot fill the spool.
func TestOpenQuota(t *testing.T) {
	s := newSpool(t, Config{Total: 64 << 10})
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, random(65<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	c := opened(t, s, name)
	defer c.Release()
	_, err := c.Path()
	checkIs(t, err, ErrQuota)
}

// TestMake checks that an object with a hole takes nothing of the quota, and that a
// failure to write one is an error.
func TestMake(t *testing.T) {
	const size = 8 << 20
	for _, store := range []Store{Memfd, Tmpfile} {
		s := newSpool(t, Config{Store: store, Dir: t.TempDir(), Total: 1 << 20})
		c, err := s.Make(func(f *os.File) error {
			_, err := f.WriteAt([]byte("end"), size-3)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		tail := make([]byte, 3)
		if _, err := c.ReadAt(tail, size-3); c.Size() != size || string(tail) != "end" || err != nil && err != io.EOF {
			t.Errorf("%d bytes, %q, error %v", c.Size(), tail, err)
		}
		f, err := c.File()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("the descriptor can be used to change the content")
		}
		if used := s.Stats().Used; used != 0 {
			t.Errorf("%d bytes used", used)
		}
		c.Release()
		if _, err := s.Make(func(*os.File) error { return errors.New("no") }); !errors.Is(err, ErrStorage) {
			t.Errorf("error %v", err)
		}
	}
}
