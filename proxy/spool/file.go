package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// File implements [backends.Content]. The descriptor cannot be used to change
// the content: a memfd is sealed, a file is open for reading only. Of an opened
// file it is the descriptor given to Open, or a reading one of the same file
// where that could write. An error wraps ErrStorage.
func (c *Content) File() (*os.File, error) {
	if !c.pin() {
		return nil, ErrReleased
	}
	defer c.unpin()
	if c.own != nil {
		return c.own, nil
	}
	return c.file.get(c.makeFile)
}

// makeFile makes a file of what is in memory. Its bytes are counted, but it is
// not refused for the quota: the content was let in, and to fail its scan would
// only bring it back.
func (c *Content) makeFile() (*os.File, error) {
	f, err := c.set.anonymous()
	if err != nil {
		return nil, storageError("file", err)
	}
	if err := c.writeTo(f); err != nil {
		f.Close()
		return nil, storageError("file", err)
	}
	if f, err = c.set.seal(f); err != nil {
		return nil, storageError("file", err)
	}
	if c.kind == kindSpooled {
		c.spool.quota.force(c, pages(c.size))
	}
	return f, nil
}

// Path implements [backends.Content]. The file has an unguessable ASCII name in
// the spool's directory, is complete from the moment it is seen, and lives until
// the last Release. Of an opened file it is a copy, so that no name of a
// client's choice reaches an engine. An error wraps ErrStorage, or ErrQuota if
// there is no room for the copy of an opened file.
func (c *Content) Path() (string, error) {
	if !c.pin() {
		return "", ErrReleased
	}
	defer c.unpin()
	if c.set.dir == nil {
		return "", storageError("path", errors.New("no directory is configured"))
	}
	name, err := c.path.get(c.makePath)
	if err != nil {
		return "", err
	}
	return c.set.dir.path(name), nil
}

func (c *Content) makePath() (string, error) {
	if c.own != nil && c.kind == kindSpooled && c.set.Store == Tmpfile {
		if name, err := c.set.dir.link(c.own); err == nil {
			c.spool.files.Add(1)
			return name, nil
		} // else a copy may still do
	}
	charge, err := c.chargeCopy()
	if err != nil {
		return "", fmt.Errorf("path: %w", err)
	}
	name, err := c.set.dir.put(func(f *os.File) error { return c.writeTo(f) })
	if err != nil {
		c.spool.quota.give(c, charge)
		return "", storageError("path", err)
	}
	c.spool.files.Add(1)
	return name, nil
}

// chargeCopy counts the bytes of a copy with a name. Only opened files can be
// refused: nobody has asked the quota about them before.
func (c *Content) chargeCopy() (int64, error) {
	n := pages(c.size)
	switch c.kind {
	case kindConstant:
		return 0, nil
	case kindOpened:
		return n, c.spool.quota.try(c, n)
	}
	c.spool.quota.force(c, n)
	return n, nil
}

// examine returns the size of f if it is a regular file that can be read. Only
// reading proves that: clamd 1.4.6 answers OK for a descriptor that is open for
// writing only, or with O_PATH.
func examine(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("%w: %v", ErrNotReadable, err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%w: %s", ErrNotRegular, info.Mode().Type())
	}
	n, err := f.ReadAt(make([]byte, 1), 0)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("%w: %v", ErrNotReadable, err)
	}
	if n == 0 || info.Size() > 0 {
		return info.Size(), nil
	}
	// The file was filled just now, or it is one of /proc and its like, which
	// give no size. To scan nothing of those would be a false OK.
	if info, err = f.Stat(); err != nil || info.Size() == 0 {
		return 0, fmt.Errorf("%w: it has content but no size", ErrNotRegular)
	}
	return info.Size(), nil
}

// readOnly returns f, or instead of a descriptor that can write a new one that
// cannot. Where the system refuses that f must do.
func readOnly(f *os.File) *os.File {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY {
		return f
	}
	reopened, err := reopen(f)
	if err != nil {
		return f
	}
	f.Close()
	return reopened
}

// reopen opens the file of f once more, for reading.
func reopen(f *os.File) (*os.File, error) {
	return os.Open("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
}
