package spool

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// path is the absolute path of the named file.
func (d *directory) path(name string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return filepath.Join(d.sub.Name(), name)
}

// anonymous returns a new file without a name. After any error it recreates the subdirectory
// if that was removed: the error depends on the file system, EPERM on ext4, ENOENT on others.
func (d *directory) anonymous() (*os.File, error) {
	f, err := d.openTmpfile()
	if err != nil && d.renew() {
		return d.openTmpfile()
	}
	return f, err
}

func (d *directory) openTmpfile() (*os.File, error) {
	return d.open(".", unix.O_TMPFILE)
}

// open opens a file in the subdirectory for reading and writing.
func (d *directory) open(name string, flags int) (*os.File, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	path := filepath.Join(d.sub.Name(), name)
	for {
		fd, err := unix.Openat(int(d.sub.Fd()), name, flags|unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if err != unix.EINTR {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// link gives a name to a file that anonymous returned.
func (d *directory) link(f *os.File) (string, error) {
	name := filePrefix + rand.Text()
	return name, d.linkAs(f, name)
}

func (d *directory) linkAs(f *os.File, name string) error {
	if err := d.expose(f); err != nil {
		return err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	from := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	err := unix.Linkat(unix.AT_FDCWD, from, int(d.sub.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	return os.NewSyscallError("linkat", err)
}

// expose gives a file the group and mode that engines need.
func (d *directory) expose(f *os.File) error {
	if d.group > 0 {
		if err := f.Chown(-1, d.group); err != nil {
			return fmt.Errorf("path group: %w", err)
		}
	}
	return f.Chmod(d.mode)
}

// put creates a named file, has fill write it, and returns the name. The file gets its name
// when it is complete. Where the file system cannot do that, it has the name from the start,
// but no other user may open it until it is complete.
func (d *directory) put(fill func(*os.File) error) (string, error) {
	name := filePrefix + rand.Text()
	f, err := d.create(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	err = fill(f)
	switch {
	case err != nil:
	case d.hasTmpfile:
		err = d.linkAs(f, name)
	default:
		err = d.expose(f)
	}
	if err != nil {
		d.remove(name)
		return "", err
	}
	return name, nil
}

// create opens the file that put fills.
func (d *directory) create(name string) (*os.File, error) {
	if d.hasTmpfile {
		return d.anonymous()
	}
	f, err := d.open(name, unix.O_CREAT|unix.O_EXCL)
	if err != nil && d.renew() {
		return d.open(name, unix.O_CREAT|unix.O_EXCL)
	}
	return f, err
}

// remove removes the named file. An engine that disinfects may have removed it already.
func (d *directory) remove(name string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	unix.Unlinkat(int(d.sub.Fd()), name, 0)
}
