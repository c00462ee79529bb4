package files

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
)

// An Object is an open File or an open Dir.
type Object struct {
	File *File
	Dir  *Dir
}

func (o Object) close() {
	if o.File != nil {
		o.File.Close()
	}
	if o.Dir != nil {
		o.Dir.Close()
	}
}

// How long Open waits for another process to give up its lease on a file, and how often it
// retries. The kernel has notified that process; a server such as Samba needs milliseconds.
// The kernel's own limit is /proc/sys/fs/lease-break-time, 45 s.
const (
	leaseWait  = 2 * time.Second
	leasePause = 20 * time.Millisecond
)

// Open opens the file or directory at an absolute path for the client of ctx. If there
// are roots, the path must not leave them. An error wraps ErrOutside, ErrSpecial, a
// [LookupError], an [OpenError], ErrNotReadable or a [StuckError].
func (p *Pool) Open(ctx context.Context, roots []string, path string) (Object, error) {
	k := client.FromContext(ctx)
	return p.open(ctx, func() (Object, error) {
		at, done, err := lookupPath(roots, path)
		if err != nil {
			return Object{}, err
		}
		defer done()
		return p.openAt(k, at)
	})
}

// Open opens one entry for the client of ctx. It does not follow links, so an entry
// replaced by a link leads nowhere. Errors are those of [Pool.Open], or wrap ErrGone.
func (d *Dir) Open(ctx context.Context, name string) (Object, error) {
	k := client.FromContext(ctx)
	return d.pool.open(ctx, func() (Object, error) {
		if !d.d.use() {
			return Object{}, ErrGone
		}
		defer d.d.done()
		fd, err := openat(d.d.fd, name, openFlags|unix.O_NOFOLLOW)
		if err != nil {
			return Object{}, d.openError(name, err)
		}
		kind, err := kindOf(fd)
		if err != nil || kind != unix.S_IFREG && kind != unix.S_IFDIR {
			unix.Close(fd)
			return Object{}, ErrGone
		}
		return d.pool.object(k, fd, kind)
	})
}

// openError classifies the error of opening an entry.
func (d *Dir) openError(name string, err error) error {
	if err == unix.ELOOP || err == unix.ENXIO || err == unix.ENOENT {
		return ErrGone
	}
	var st unix.Stat_t
	if err := d.stat(name, &st); err != nil {
		return &LookupError{err}
	}
	return &OpenError{st.Mode&unix.S_IFMT == unix.S_IFDIR, err}
}

// open runs op on a thread of the pool. While another process has a lease on the file, it
// retries; no thread waits meanwhile.
func (p *Pool) open(ctx context.Context, op func() (Object, error)) (Object, error) {
	const doing = "opening the file"
	o, err := Do(ctx, p, doing, op, Object.close)
	for end := time.Now().Add(leaseWait); errors.Is(err, unix.EAGAIN); {
		if time.Now().After(end) {
			return o, fmt.Errorf("another process has a lease on the file and did not give it up within %v: %w", leaseWait, err)
		}
		select {
		case <-time.After(leasePause):
		case <-ctx.Done():
		}
		if o, err = Do(ctx, p, doing, op, Object.close); err != nil && ctx.Err() != nil {
			return o, &StuckError{Doing: doing, Err: fmt.Errorf("another process has a lease on it: %w", context.Cause(ctx))}
		}
	}
	return o, err
}

// openAt examines a file before it opens it, because opening some devices has side effects.
func (p *Pool) openAt(k client.Key, at lookup) (Object, error) {
	found, err := at(unix.O_PATH | unix.O_CLOEXEC)
	if err != nil {
		return Object{}, &LookupError{err}
	}
	kind, err := kindOf(found)
	unix.Close(found)
	if err != nil {
		return Object{}, &LookupError{err}
	}
	if kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return Object{}, ErrSpecial
	}
	fd, err := at(openFlags)
	if err != nil {
		return Object{}, &OpenError{kind == unix.S_IFDIR, err}
	}
	if now, err := kindOf(fd); err != nil || now != kind {
		unix.Close(fd)
		return Object{}, ErrSpecial // replaced meanwhile
	}
	return p.object(k, fd, kind)
}

// object returns an Object for fd, which it owns.
func (p *Pool) object(k client.Key, fd int, kind uint32) (Object, error) {
	where := placeOf(fd)
	if kind == unix.S_IFDIR {
		return Object{Dir: &Dir{pool: p, d: p.descriptor(fd, k)}}, nil
	}
	if where == generated {
		unix.Close(fd)
		return Object{}, ErrSpecial
	}
	f, err := p.examine(k, fd, where)
	return Object{File: f}, err
}

// kindOf returns the file type of fd.
func kindOf(fd int) (uint32, error) {
	var st unix.Stat_t
	err := retryEINTR(func() error { return unix.Fstat(fd, &st) })
	return st.Mode & unix.S_IFMT, err
}
