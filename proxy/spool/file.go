package spool

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// File implements [backends.Object]. The descriptor cannot be used to change
// the content: a memfd is sealed, a file is open for reading only. Of a client's
// file see [files.File.File]. An error wraps ErrStorage.
func (c *Object) File() (*os.File, error) {
	if !c.pin() {
		return nil, ErrReleased
	}
	defer c.unpin()
	switch {
	case c.own != nil:
		return c.own, nil
	case c.opened != nil:
		return c.opened.File(), nil
	}
	return c.file.get(c.makeFile)
}

// makeFile makes a file of what is in memory. Its bytes are counted, but it is
// not refused for the quota: the content was let in, and to fail its scan would
// only bring it back.
func (c *Object) makeFile() (*os.File, error) {
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

// Path implements [backends.Object]. The file has an unguessable ASCII name in
// the spool's directory, is complete from the moment it is seen, and lives until
// the last Release. Of an opened file it is a copy, so that no name of a
// client's choice reaches an engine. An error wraps ErrStorage, or ErrQuota if
// there is no room for the copy of an opened file.
func (c *Object) Path() (string, error) {
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

func (c *Object) makePath() (string, error) {
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
func (c *Object) chargeCopy() (int64, error) {
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

// reopen opens the file of f once more, for reading.
func reopen(f *os.File) (*os.File, error) {
	return os.Open("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
}
