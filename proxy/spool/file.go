package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// File implements [backends.Object]. The descriptor cannot be used to change the object: it
// is open for reading only, or a sealed memfd. For a client's file see [files.File.File]. An
// error wraps ErrStorage.
func (o *Object) File() (*os.File, error) {
	if !o.pin() {
		return nil, ErrReleased
	}
	defer o.unpin()
	switch {
	case o.lends():
		return o.file.get(o.lentFile)
	case o.own != nil:
		return o.own, nil
	case o.opened != nil:
		return o.opened.File(), nil
	}
	return o.file.get(o.makeFile)
}

// Descriptor implements [backends.Described]. It is the descriptor of File, and valid while
// the caller holds a reference.
func (o *Object) Descriptor() (fd int, ok bool, err error) {
	if !o.pin() {
		return -1, false, ErrReleased
	}
	defer o.unpin()
	if !o.lends() {
		return -1, false, nil
	}
	fd, err = o.fd.get(o.lend)
	return fd, err == nil, err
}

// lends reports whether engines get a descriptor that [memory.lend] makes.
func (o *Object) lends() bool {
	if o.own != nil {
		return o.mem != nil
	}
	return o.kind == kindSpooled && o.set.keeps
}

// lentFile is File if the object lends.
func (o *Object) lentFile() (*os.File, error) {
	fd, err := o.fd.get(o.lend)
	if err != nil {
		return nil, err
	}
	return o.mem.lentFile(fd), nil
}

// lend returns the descriptor of an object that lends.
func (o *Object) lend() (int, error) {
	if o.own == nil {
		return o.fillMemory()
	}
	fd, err := o.mem.lendOrSeal()
	if err != nil {
		return -1, storageError("file", err)
	}
	return fd, nil
}

// makeFile writes an object in memory to a file that nothing else uses. The copy counts
// against the quota but is never refused: the object was admitted, and after a failed scan the
// client would only send it again.
func (o *Object) makeFile() (*os.File, error) {
	f, err := o.set.anonymous()
	if err != nil {
		return nil, storageError("file", err)
	}
	if err := o.writeTo(o.ctx, f); err != nil {
		f.Close()
		return nil, storageError("file", err)
	}
	if f, err = o.set.seal(f); err != nil {
		return nil, storageError("file", err)
	}
	if o.kind == kindSpooled {
		o.spool.quota.force(o, pages(o.size))
	}
	return f, nil
}

// fillMemory is makeFile for memory that the next objects use too. It counts in the same way.
func (o *Object) fillMemory() (int, error) {
	m, kept, err := o.spool.memory(o.set, o.size, true)
	if err != nil {
		return -1, storageError("file", err)
	}
	fd, err := m.fill(o.segs, o.size)
	if err != nil {
		m.close()
		o.spool.quota.unkeep(kept)
		return -1, storageError("file", err)
	}
	o.mem = m
	o.spool.quota.reuse(o, kept, pages(o.size))
	return fd, nil
}

// Path implements [backends.Object]. The file has an unguessable ASCII name in the spool's
// directory, is complete as soon as it is visible, and lives until the last Release. For an
// opened file it is a copy, so that no name that a client chose reaches an engine. An error
// wraps ErrStorage, or ErrQuota if there is no room for the copy of an opened file.
func (o *Object) Path() (string, error) { return o.pathUnder(o.ctx) }

// pathUnder is Path for a copy that is made under ctx.
func (o *Object) pathUnder(ctx context.Context) (string, error) {
	if !o.pin() {
		return "", ErrReleased
	}
	defer o.unpin()
	if o.set.dir == nil {
		return "", storageError("path", errors.New("no directory is configured"))
	}
	name, err := o.path.get(func() (string, error) { return o.makePath(ctx) })
	if err != nil {
		return "", err
	}
	return o.set.dir.path(name), nil
}

func (o *Object) makePath(ctx context.Context) (string, error) {
	if o.own != nil && o.kind == kindSpooled && o.set.Store == Tmpfile {
		if name, err := o.set.dir.link(o.own); err == nil {
			o.spool.files.Add(1)
			return name, nil
		} // else try a copy
	}
	charge, err := o.chargeCopy()
	if err != nil {
		return "", fmt.Errorf("path: %w", err)
	}
	name, err := o.set.dir.put(func(f *os.File) error { return o.writeTo(ctx, f) })
	if err != nil {
		o.spool.quota.free(o, charge)
		return "", storageError("path", err)
	}
	o.spool.files.Add(1)
	return name, nil
}

// chargeCopy counts the bytes of a named copy. Only the copy of an opened file can be refused:
// the quota has not admitted the object before.
func (o *Object) chargeCopy() (int64, error) {
	n := pages(o.size)
	switch o.kind {
	case kindConstant:
		return 0, nil
	case kindOpened:
		return n, o.spool.quota.try(o, n)
	}
	o.spool.quota.force(o, n)
	return n, nil
}

// reopen opens the file of f again, for reading.
func reopen(f *os.File) (*os.File, error) {
	return os.Open("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
}
