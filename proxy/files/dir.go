package files

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
)

// A Dir is an open directory of a client. It is for one goroutine.
type Dir struct {
	pool *Pool
	d    *descriptor
}

// Close closes the directory.
func (d *Dir) Close() { d.d.done() }

// ErrGone says that an entry is gone since it was listed, or that something else, such
// as a link, took its place.
var ErrGone = errors.New("gone since it was listed")

// Open opens one entry for the client of ctx, without following a link, so that
// nothing that is swapped meanwhile leads elsewhere. The error is as with [Pool.Open],
// or wraps ErrGone.
func (d *Dir) Open(ctx context.Context, name string) (Object, error) {
	of := client.FromContext(ctx)
	return d.pool.open(ctx, func() (Object, error) {
		if !d.d.use() {
			return Object{}, ErrGone
		}
		defer d.d.done()
		fd, err := openat(d.d.fd, name, openFlags|unix.O_NOFOLLOW)
		if err != nil {
			return Object{}, d.whyNot(name, err)
		}
		kind, err := kindOf(fd)
		if err != nil || kind != unix.S_IFREG && kind != unix.S_IFDIR {
			unix.Close(fd)
			return Object{}, ErrGone
		}
		return d.pool.object(of, fd, kind)
	})
}

// whyNot sorts the error of an entry that could not be opened.
func (d *Dir) whyNot(name string, err error) error {
	if err == unix.ELOOP || err == unix.ENXIO || err == unix.ENOENT {
		return ErrGone
	}
	var st unix.Stat_t
	if err := d.stat(name, &st); err != nil {
		return &LookupError{err}
	}
	return &OpenError{st.Mode&unix.S_IFMT == unix.S_IFDIR, err}
}

func (d *Dir) stat(name string, st *unix.Stat_t) error {
	return again(func() error { return unix.Fstatat(d.d.fd, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}

// Rewind makes the next Read begin at the first entry.
func (d *Dir) Rewind(ctx context.Context) error {
	_, err := Do(ctx, d.pool, "reading the directory", func() (int64, error) {
		if !d.d.use() {
			return 0, ErrGone
		}
		defer d.d.done()
		return unix.Seek(d.d.fd, 0, unix.SEEK_SET)
	}, nil)
	return err
}
