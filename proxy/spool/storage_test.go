package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
)

// TestFileSizeLimit causes real write errors in both stores with RLIMIT_FSIZE. The limit is
// for a whole process, so a child has it.
func TestFileSizeLimit(t *testing.T) {
	out, err := child(t, "limit", t.TempDir()).CombinedOutput()
	if err != nil || !bytes.HasSuffix(out, []byte("as expected\n")) {
		t.Errorf("%v: %s", err, out)
	}
}

func childLimit(dir string) error {
	for _, store := range stores {
		s, err := New(Config{Dir: dir, Memory: 4 << 10, Store: store})
		if err != nil {
			return err
		}
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: old.Max}); err != nil {
			return err
		}
		if err := expectFull(s, syscall.EFBIG, 64<<10); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			return err
		}
		if err := expectRoom(s); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	fmt.Println("as expected")
	return nil
}

// TestDiskFull fills a real file system. A child mounts it in its own mount namespace, which
// needs root or user namespaces.
func TestDiskFull(t *testing.T) { inNamespace(t, "full") }

// inNamespace runs a child in a new mount namespace.
func inNamespace(t *testing.T, name string) {
	t.Helper()
	cmd := child(t, name, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) || bytes.Contains(out, []byte("mount: ")) {
		t.Skipf("NOT TESTED: neither root nor user namespaces: %v %s", err, out)
	}
	if err != nil || !bytes.HasSuffix(out, []byte("as expected\n")) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestReadOnly makes a file system read-only while a spool uses it, as the kernel does after a
// disk error.
func TestReadOnly(t *testing.T) { inNamespace(t, "readonly") }

func childReadOnly(dir string) error {
	s, err := mounted(dir)
	if err != nil {
		return err
	}
	const flags = syscall.MS_REMOUNT | syscall.MS_RDONLY
	if err := syscall.Mount("none", dir, "", flags, "size=128k,mode=0755"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := expectFailure(s, syscall.EROFS); err != nil {
		return err
	}
	if err := syscall.Mount("none", dir, "", syscall.MS_REMOUNT, "size=128k,mode=0755"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := expectRoom(s); err != nil {
		return err
	}
	fmt.Println("as expected")
	return nil
}

// TestNoDescriptors has no descriptors left for a while.
func TestNoDescriptors(t *testing.T) {
	out, err := child(t, "descriptors", t.TempDir()).CombinedOutput()
	if err != nil || !bytes.HasSuffix(out, []byte("as expected\n")) {
		t.Errorf("%v: %s", err, out)
	}
}

func childDescriptors(dir string) error {
	for _, store := range stores {
		s, err := New(Config{Dir: dir, Memory: 4 << 10, Store: store})
		if err != nil {
			return err
		}
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: old.Max}); err != nil {
			return err
		}
		failed := expectFailure(s, syscall.EMFILE)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			return err
		}
		if failed != nil {
			return fmt.Errorf("%s: %w", store, failed)
		}
		if err := expectRoom(s); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	fmt.Println("as expected")
	return nil
}

// expectFailure checks that nothing can be stored because of cause, that the error says what to
// do, and that objects in memory are not affected.
func expectFailure(s *Spool, cause syscall.Errno) error {
	w := s.Create(context.Background())
	_, err := w.Write(random(40 << 10))
	if err == nil {
		_, err = w.Finish()
	}
	for _, want := range []string{cause.Error(), advice(cause)} {
		if want == "" || !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("write: %v, want %q", err, want)
		}
	}
	if got := backends.CategoryOf(err); got != backends.SWErr {
		return fmt.Errorf("category %q", got)
	}
	w = s.Create(context.Background())
	if _, err := w.Write(random(100)); err != nil {
		return fmt.Errorf("small: %w", err)
	}
	o, err := w.Finish()
	if err != nil {
		return fmt.Errorf("small: %w", err)
	}
	if path, err := o.Path(); path != "" || !errors.Is(err, ErrStorage) {
		return fmt.Errorf("path: %q, %v", path, err)
	}
	o.Release()
	if got := s.Stats(); got.Used != 0 || got.Objects != 0 || got.Writers != 0 || got.Files != 0 {
		return fmt.Errorf("left: %+v", got)
	}
	return nil
}

func childFull(dir string) error {
	s, err := mounted(dir)
	if err != nil {
		return err
	}
	if err := expectFull(s, syscall.ENOSPC, 128<<10); err != nil {
		return err
	}
	if err := expectRoom(s); err != nil {
		return err
	}
	fmt.Println("as expected")
	return nil
}

// expectFull checks that objects of more than room bytes fail with cause and leave nothing.
func expectFull(s *Spool, cause syscall.Errno, room int) error {
	w := s.Create(context.Background())
	n, err := w.Write(random(2 * room))
	if n > room || !errors.Is(err, ErrStorage) || !strings.Contains(err.Error(), cause.Error()) {
		return fmt.Errorf("write of %d bytes: %d, %v", 2*room, n, err)
	}
	if got := backends.CategoryOf(err); got != backends.SWErr {
		return fmt.Errorf("category %q", got)
	}
	if o, err := w.Finish(); o != nil || !errors.Is(err, ErrStorage) {
		return fmt.Errorf("finish: %v, %v", o, err)
	}
	// One byte more than there is room for, piece by piece.
	w = s.Create(context.Background())
	for err = nil; err == nil && w.Size() <= int64(room); {
		_, err = w.Write(random(1000))
	}
	if !errors.Is(err, ErrStorage) {
		return fmt.Errorf("write piece by piece: %d, %v", w.Size(), err)
	}
	w.Abort()
	// The bytes of a constant object are not in the store, but its files are.
	o := s.Bytes(random(2 * room))
	if f, err := o.File(); f != nil || !errors.Is(err, ErrStorage) {
		return fmt.Errorf("file: %v, %v", f, err)
	}
	if path, err := o.Path(); path != "" || !errors.Is(err, ErrStorage) {
		return fmt.Errorf("path: %q, %v", path, err)
	}
	o.Release()
	return expectEmpty(s)
}

// expectRoom checks that the spool works again.
func expectRoom(s *Spool) error {
	want := random(40 << 10)
	w := s.Create(context.Background())
	if _, err := w.Write(want); err != nil {
		return err
	}
	o, err := w.Finish()
	if err != nil {
		return err
	}
	path, err := o.Path()
	if err != nil {
		return err
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes, %v", len(got), err)
	}
	o.Release()
	return expectEmpty(s)
}

func expectEmpty(s *Spool) error {
	got := s.Stats()
	got.Total, got.Pooled = 0, 0
	names, err := filepath.Glob(filepath.Join(s.set.dir.sub.Name(), "*"))
	if got != (Stats{}) || len(names) > 0 || err != nil {
		return fmt.Errorf("left: %+v, %q", got, names)
	}
	return nil
}

// mounted mounts a small file system at dir and returns a spool that uses it.
func mounted(dir string) (*Spool, error) {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=128k,mode=0755"); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	return New(Config{Dir: dir, Memory: 4 << 10, Store: Tmpfile, Total: 1 << 20})
}
