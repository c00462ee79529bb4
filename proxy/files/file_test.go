package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/test/testkit"
)

// write makes a file and returns its path.
func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens a file without closing it at the end of the test.
func open(t *testing.T, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// waitClosed waits until fd is closed.
func waitClosed(t *testing.T, fd int) {
	t.Helper()
	testkit.Eventually(t, "the descriptor is closed", func() bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == unix.EBADF
	})
}

func TestAdoptRefuses(t *testing.T) {
	dir := t.TempDir()
	file, fifo, link := write(t, []byte("x")), filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := errors.Join(unix.Mkfifo(fifo, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	p := NewPool(0)
	for _, tt := range []struct {
		name, path string
		flags      int
		want       error
	}{
		{"directory", dir, unix.O_RDONLY, ErrNotRegular},
		{"FIFO", fifo, unix.O_RDWR, ErrNotRegular},
		{"non-blocking FIFO", fifo, unix.O_RDONLY | unix.O_NONBLOCK, ErrNotRegular},
		{"device", "/dev/null", unix.O_RDONLY, ErrNotRegular},
		{"endless device", "/dev/zero", unix.O_RDONLY, ErrNotRegular},
		{"symbolic link", link, unix.O_PATH | unix.O_NOFOLLOW, ErrNotRegular},
		{"directory with O_PATH", dir, unix.O_PATH, ErrNotRegular},
		{"for writing only", file, unix.O_WRONLY, ErrNotReadable},
		{"for writing only, O_DIRECT", file, unix.O_WRONLY | unix.O_DIRECT, ErrNotReadable},
		{"for appending only", file, unix.O_WRONLY | unix.O_APPEND, ErrNotReadable},
		{"with O_PATH", file, unix.O_PATH, ErrNotReadable},
		{"without a size", "/proc/self/status", unix.O_RDONLY, ErrNotRegular},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fd := open(t, tt.path, tt.flags)
			f, err := p.Adopt(t.Context(), fd)
			if f != nil || !errors.Is(err, tt.want) {
				t.Errorf("got %v, %v; want %v", f, err, tt.want)
			}
			waitClosed(t, fd)
		})
	}
	if _, err := p.Adopt(t.Context(), -1); !errors.Is(err, ErrNotReadable) {
		t.Errorf("descriptor -1: %v", err)
	}
}

// TestAdoptWithoutThread checks that a descriptor is closed even if there is no thread for
// it.
func TestAdoptWithoutThread(t *testing.T) {
	p := NewPool(1)
	release := make(chan struct{})
	hung(t, p, 1, release, nil)
	fd := open(t, write(t, nil), unix.O_RDONLY)
	ctx, cancel := context.WithCancel(as(1))
	cancel()
	if _, err := p.Adopt(ctx, fd); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	waitClosed(t, fd)
}

// TestRead checks that descriptors are read from the beginning, whatever their offset, and
// that engines get descriptors that cannot write.
func TestRead(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	disk := write(t, want)
	shm := filepath.Join("/dev/shm", filepath.Base(t.TempDir())+"-files-test")
	if err := os.WriteFile(shm, want, 0o600); err != nil {
		t.Skip(err)
	}
	defer os.Remove(shm)
	p := NewPool(4)
	for _, tt := range []struct {
		name, path string
		flags      int
	}{
		{"disk", disk, unix.O_RDONLY},
		{"disk, writable", disk, unix.O_RDWR},
		{"disk, non-blocking", disk, unix.O_RDONLY | unix.O_NONBLOCK},
		{"disk, O_DIRECT", disk, unix.O_RDONLY | unix.O_DIRECT},
		{"memory", shm, unix.O_RDONLY},
		{"memory, writable", shm, unix.O_RDWR},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fd := open(t, tt.path, tt.flags)
			unix.Seek(fd, 7, unix.SEEK_SET)
			f, err := p.Adopt(t.Context(), fd)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Foreign() {
				t.Skip("the temporary directory is on a foreign file system")
			}
			got := make([]byte, f.Size()+10)
			n, err := f.ReadAt(t.Context(), got, 0)
			if n != len(want) || err != io.EOF || !bytes.Equal(got[:n], want) {
				t.Errorf("%d bytes, %v", n, err)
			}
			if _, err := f.File().WriteAt([]byte("x"), 0); err == nil {
				t.Error("the descriptor for engines can write")
			}
		})
	}
	if st := p.Stats(); st.Busy != 0 {
		t.Errorf("%+v", st)
	}
}

// TestReadUncached reads a file that the kernel has not cached.
func TestReadUncached(t *testing.T) {
	want := bytes.Repeat([]byte("x"), 1<<20)
	p := NewPool(4)
	f, err := p.Adopt(t.Context(), open(t, write(t, want), unix.O_RDONLY))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Foreign() {
		t.Skip("the temporary directory is on a foreign file system")
	}
	f.File().Sync()
	unix.Fadvise(int(f.File().Fd()), 0, 0, unix.FADV_DONTNEED)
	got := make([]byte, len(want))
	if n, err := f.ReadAt(t.Context(), got, 0); n != len(want) || err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestFileChanges checks that reading a file that has shrunk is an error, and that bytes that
// were appended are ignored.
func TestFileChanges(t *testing.T) {
	path := write(t, make([]byte, 300<<10))
	p := NewPool(4)
	f, err := p.Adopt(t.Context(), open(t, path, unix.O_RDONLY))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Foreign() {
		t.Skip("the temporary directory is on a foreign file system")
	}
	if err := os.Truncate(path, 400<<10); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 500<<10)
	if n, err := f.ReadAt(t.Context(), buf, 0); n != 300<<10 || err != io.EOF {
		t.Errorf("grown: %d bytes, %v", n, err)
	}
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	n, err := f.ReadAt(t.Context(), buf, 0)
	if n != 1000 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("shrunk: %d bytes, %v", n, err)
	}
	var out bytes.Buffer
	if err := f.Copy(t.Context(), &out); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("copy of a shrunk file: %v", err)
	}
}

// TestOpenRoots checks that no path leads out of the roots, with openat2 and without.
func TestOpenRoots(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{in + "/a": "a", in + "/d/b": "b", out + "/secret": "s"} {
		os.MkdirAll(filepath.Dir(path), 0o700)
		os.WriteFile(path, []byte(text), 0o600)
	}
	os.Symlink(out+"/secret", in+"/absolute")
	os.Symlink("../../"+filepath.Base(filepath.Dir(out))+"/"+filepath.Base(out)+"/secret", in+"/relative")
	os.Symlink("d/b", in+"/inside")
	os.Symlink(out, in+"/dir")
	p := NewPool(4)
	original := openat2
	defer func() { openat2 = original }()
	for _, errno := range []error{nil, unix.ENOSYS, unix.EPERM} {
		if errno != nil {
			openat2 = func(int, string, *unix.OpenHow) (int, error) { return -1, errno }
		}
		for _, tt := range []struct {
			path string
			size int64 // -1: a directory
			want error
		}{
			{in + "/a", 1, nil}, {in + "/d/../a", 1, nil}, {in + "/d/b", 1, nil}, {in + "/inside", 1, nil}, {in, -1, nil}, {in + "/d", -1, nil},
			{in + "/absolute", 0, ErrOutside}, {in + "/dir/secret", 0, ErrOutside}, {out + "/secret", 0, ErrOutside},
			{in + "/../" + filepath.Base(out) + "/secret", 0, ErrOutside}, {"/etc/passwd", 0, ErrOutside}, {"", 0, ErrOutside},
			{in + "/none", 0, unix.ENOENT}, {in + "/a/x", 0, unix.ENOTDIR},
		} {
			o, err := p.Open(t.Context(), []string{"/nonexistent-root", in}, tt.path)
			switch {
			case !errors.Is(err, tt.want) || err != nil && tt.want == nil:
				t.Errorf("openat2 fails with %v; %s: %v, want %v", errno, tt.path, err, tt.want)
			case err == nil && tt.size < 0 && o.Dir == nil, err == nil && tt.size >= 0 && (o.File == nil || o.File.Size() != tt.size):
				t.Errorf("%s: %+v", tt.path, o)
			}
			o.close()
		}
	}
}

// TestOpenErrors checks the errors for paths that lead to nothing that can be opened.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	unix.Mkfifo(dir+"/fifo", 0o600)
	os.Symlink("loop", dir+"/loop")
	p := NewPool(4)
	for path, want := range map[string]error{
		dir + "/fifo": ErrSpecial, "/dev/null": ErrSpecial, "/proc/self/status": ErrSpecial,
		dir + "/none": unix.ENOENT, dir + "/loop": unix.ELOOP, dir + "/" + strings.Repeat("n", 300): unix.ENAMETOOLONG, "": unix.ENOENT,
	} {
		o, err := p.Open(t.Context(), nil, path)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		var lookup *LookupError
		if want != ErrSpecial && !errors.As(err, &lookup) {
			t.Errorf("%s: %T, want a LookupError", path, err)
		}
		o.close()
	}
}
