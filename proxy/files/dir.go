package files

import (
	"context"

	"golang.org/x/sys/unix"
)

// A Dir is an open directory of a client. It is for one goroutine.
type Dir struct {
	pool *Pool
	d    *descriptor
}

// Close closes the directory.
func (d *Dir) Close() { d.d.done() }

func (d *Dir) stat(name string, st *unix.Stat_t) error {
	return retryEINTR(func() error { return unix.Fstatat(d.d.fd, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}

// rewind makes the next read start at the first entry.
func (d *Dir) rewind(ctx context.Context) error {
	_, err := Do(ctx, d.pool, "reading the directory", func() (int64, error) {
		if !d.d.use() {
			return 0, ErrGone
		}
		defer d.d.done()
		return unix.Seek(d.d.fd, 0, unix.SEEK_SET)
	}, nil)
	return err
}
