package spool

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"store", Config{Store: "disk"}, `store "disk": want "memfd" or "tmpfile"`},
		{"no directory", Config{Store: Tmpfile}, "want a directory for it"},
		{"memory", Config{Memory: -1}, "memory of -1 bytes"},
		{"total", Config{Total: -1}, "total of -1 bytes"},
		{"small total", Config{Total: 100}, "want at least 4096"},
		{"wait", Config{Wait: -1}, "wait of -1ns"},
		{"relative", Config{Dir: "spool"}, "want an absolute path"},
		{"newline", Config{Dir: "/spool\n"}, "without control characters"},
		{"executable", Config{Dir: dir, PathMode: 0o700}, "path mode 0700"},
		{"writable for others", Config{Dir: dir, PathMode: 0o666}, "path mode 0666"},
		{"unreadable", Config{Dir: dir, PathMode: 0o040}, "path mode 040"},
		{"file", Config{Dir: file}, "not a directory"},
		{"below a file", Config{Dir: file + "/spool"}, "not a directory"},
		{"not sticky", Config{Dir: open}, "want the sticky bit"},
		{"not writable", Config{Dir: "/proc/spool"}, "/proc/spool"},
		{"without O_TMPFILE", Config{Dir: "/proc", Store: Tmpfile}, "/proc"},
		{"several", Config{Store: "disk", Memory: -1}, "memory of -1 bytes: want 0 or more\nstore"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.cfg)
			if s != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if left := tree(t, dir); len(left) != 2 {
		t.Errorf("left %q", left)
	}
}

func TestDirectoryIsCreated(t *testing.T) {
	for mode, want := range map[os.FileMode]os.FileMode{0o600: 0o700, 0o640: 0o710, 0o644: 0o711} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		s := newSpool(t, Config{Dir: dir + "/", PathMode: mode})
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != parentMode {
			t.Errorf("mode %v, %v; want %v", info.Mode(), err, parentMode)
		}
		if info, err := s.set.dir.sub.Stat(); err != nil || info.Mode().Perm() != want {
			t.Errorf("subdirectory: mode %v, %v; want %v", info.Mode(), err, want)
		}
	}
	sticky := filepath.Join(t.TempDir(), "tmp")
	if err := os.Mkdir(sticky, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(sticky, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	newSpool(t, Config{Dir: sticky})
}

// TestDirectoryAdvice checks that each error of the directory comes with what to do, and that
// others stay as they are.
func TestDirectoryAdvice(t *testing.T) {
	for errno, want := range map[error]string{
		unix.EROFS:   "ReadWritePaths= of the unit, or use one below StateDirectory=, and restart",
		unix.EACCES:  "StateDirectory=polyclam",
		unix.ENOTDIR: "name another directory",
		unix.ELOOP:   "name another directory",
	} {
		err := adviseDirectory(&os.PathError{Op: "mkdir", Path: "/x", Err: errno})
		if !errors.Is(err, errno) || !strings.HasPrefix(err.Error(), "mkdir /x: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := adviseDirectory(os.ErrClosed); err != os.ErrClosed {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: file + "/spool"}); err == nil || !strings.Contains(err.Error(), "(a part of the path is a file") {
		t.Errorf("below a file: %v", err)
	}
}

func TestConfigure(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	s := newSpool(t, Config{Dir: first, Memory: 4 << 10, Total: 1 << 20})
	begun := s.Create(t.Context())
	old := spooled(t, s, random(100<<10))
	oldPath, err := old.Path()
	if err != nil {
		t.Fatal(err)
	}
	before := s.Stats()
	for _, bad := range []Config{{Store: "disk"}, {Dir: "/proc/spool", Total: 1 << 30}} {
		if err := s.Configure(bad); err == nil {
			t.Error("accepted")
		}
		if s.Stats() != before || s.set.Memory != 4<<10 {
			t.Errorf("changed to %+v", s.Stats())
		}
	}
	if err := s.Configure(Config{Dir: second, Memory: 8 << 10, Store: Tmpfile, Total: 2 << 20}); err != nil {
		t.Fatal(err)
	}
	if s.Stats().Total != 2<<20 {
		t.Errorf("total %d", s.Stats().Total)
	}
	if got, err := os.ReadFile(oldPath); err != nil || !bytes.Equal(got, random(100<<10)) {
		t.Errorf("old path: %d bytes, %v", len(got), err)
	}
	if _, err := begun.Write(random(5 << 10)); err != nil {
		t.Fatal(err)
	}
	o, err := begun.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if path, err := o.Path(); err != nil || !strings.HasPrefix(path, first) {
		t.Errorf("begun before Configure: path %q, %v", path, err)
	}
	fresh := spooled(t, s, random(9<<10))
	if path, err := fresh.Path(); err != nil || !strings.HasPrefix(path, second) {
		t.Errorf("after Configure: path %q, %v", path, err)
	}
	o.Release()
	old.Release()
	if left := tree(t, first); len(left) > 0 {
		t.Errorf("left in the old directory: %q", left)
	}
	fresh.Release()
	sub := s.set.dir.sub.Name()
	if err := s.Configure(s.set.Config); err != nil || s.set.dir.sub.Name() != sub {
		t.Errorf("the same directory again: %q, %v; want %q", s.set.dir.sub.Name(), err, sub)
	}
	if err := s.Configure(Config{}); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, second); len(left) > 0 {
		t.Errorf("left in the former directory: %q", left)
	}
}

// TestClose has objects left, one of them from earlier settings: their files are removed from
// the directories, but can still be read.
func TestClose(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	s := newSpool(t, Config{Memory: 4 << 10, Store: Tmpfile, Dir: first})
	old := spooled(t, s, random(100<<10))
	if _, err := old.Path(); err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(Config{Memory: 4 << 10, Store: Tmpfile, Dir: second}); err != nil {
		t.Fatal(err)
	}
	o := spooled(t, s, random(100<<10))
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+"-of-a-backend", 0o700); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, dir := range []string{first, second} {
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("left in the directory: %q", left)
		}
	}
	unnamed := spooled(t, s, random(1000))
	_, err = unnamed.Path()
	checkIs(t, err, ErrStorage)
	unnamed.Release()
	for _, o := range []*Object{old, o} {
		checkBytes(t, o, random(100<<10))
		o.Release()
	}
	w := s.Create(t.Context())
	_, err = w.Write(random(100 << 10))
	checkIs(t, err, ErrStorage)
	s.Close()
}

func TestDrain(t *testing.T) {
	s := newSpool(t, Config{Memory: 4 << 10})
	s.Drain(time.Hour) // with no objects
	o := spooled(t, s, random(1000))
	s.Drain(time.Millisecond)
	go o.Release()
	s.Drain(time.Hour)
	if n := s.Stats().Objects; n != 0 {
		t.Errorf("%d objects left", n)
	}
}

// TestDirectoryRemoved has another program remove the directory.
func TestDirectoryRemoved(t *testing.T) {
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 4 << 10, Store: store})
		old := spooled(t, s, random(100<<10))
		if _, err := old.Path(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := os.RemoveAll(s.set.Dir); err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{1000, 100 << 10} {
				o := spooled(t, s, random(size))
				path, err := o.Path()
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, random(size)) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				o.Release()
			}
		}
		checkBytes(t, old, random(100<<10))
		old.Release()
	}
}

// TestCheck wants Check to fail exactly where New does, and to create nothing.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file, open := filepath.Join(dir, "file"), filepath.Join(dir, "open")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		cfg  Config
		want string // in the error
	}{
		{"no directory", Config{}, ""},
		{"one that exists", Config{Dir: dir, PathMode: 0o640}, ""},
		{"one to be created", Config{Dir: filepath.Join(dir, "a", "b")}, ""},
		{"one to be created, and a bad mode", Config{Dir: filepath.Join(dir, "a"), PathMode: 0o777}, "path mode"},
		{"a file", Config{Dir: file}, "not a directory"},
		{"below a file", Config{Dir: filepath.Join(file, "x")}, "not a directory"},
		{"open to every user", Config{Dir: open}, "any user may write there"},
		{"the kernel's", Config{Dir: "/proc"}, "/proc is one of the kernel's own file systems"},
		{"below the kernel's", Config{Dir: "/sys/polyclam/spool"}, "/sys is one of the kernel's own file systems"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			checked := Check(test.cfg)
			after, err := os.ReadDir(dir)
			if err != nil || len(after) != len(before) {
				t.Errorf("left in the directory: %v, %v", after, err)
			}
			s, made := New(test.cfg)
			if made == nil {
				s.Close()
			}
			for what, err := range map[string]error{"Check": checked, "New": made} {
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: %v, want %q", what, err, test.want)
				}
			}
		})
	}
}

// TestDanglingLink has a symbolic link to nothing at or above the directory: Check refuses
// what New refuses.
func TestDanglingLink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "none"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, link + "/below"} {
		cfg := Config{Dir: path, PathMode: 0o600, PathGroup: -1}
		_, errNew := New(cfg)
		for _, err := range []error{errNew, Check(cfg)} {
			if err == nil || !strings.Contains(err.Error(), link+" is a symbolic link to something that does not exist") {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
