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
	case o.own != nil && o.mem != nil:
		return o.file.get(o.lend)
	case o.own != nil:
		return o.own, nil
	case o.opened != nil:
		return o.opened.File(), nil
	}
	return o.file.get(o.makeFile)
}

// makeFile writes an object in memory to a file. The copy counts against the quota but is
// never refused: the object was admitted, and after a failed scan the client would only send
// it again.
func (o *Object) makeFile() (*os.File, error) {
	if o.kind == kindSpooled && o.set.keeps {
		return o.fillMemory()
	}
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

// fillMemory is makeFile for memory that the next objects use too.
func (o *Object) fillMemory() (*os.File, error) {
	m, kept, err := o.spool.memory(o.set, o.size, true)
	if err != nil {
		return nil, storageError("file", err)
	}
	f, err := m.fill(o.segs, o.size)
	if err != nil {
		m.close()
		o.spool.quota.unkeep(kept)
		return nil, storageError("file", err)
	}
	o.mem = m
	o.spool.quota.reuse(o, kept, pages(o.size))
	return f, nil
}

// lend is File for an object in memory that the next objects use too.
func (o *Object) lend() (*os.File, error) {
	f, err := o.mem.lendOrSeal()
	if err != nil {
		return nil, storageError("file", err)
	}
	return f, nil
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
