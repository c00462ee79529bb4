package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
)

// ErrOutside says that a path is not below any of the roots.
var ErrOutside = errors.New("outside of scan_paths")

// ErrSpecial says that what is at a path is neither a file nor a directory, or is made
// up by the kernel when it is read.
var ErrSpecial = errors.New("neither a file nor a directory")

// A LookupError says that there is nothing at a path that can be opened, an OpenError
// that there is something and that it cannot be opened.
type (
	LookupError struct{ Err error }
	OpenError   struct {
		Dir bool
		Err error
	}
)

// Error implements error.
func (e *LookupError) Error() string { return e.Err.Error() }

// Error implements error.
func (e *OpenError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *LookupError) Unwrap() error { return e.Err }

// Unwrap returns the reason.
func (e *OpenError) Unwrap() error { return e.Err }

// An Object is what was opened: a File or a Dir.
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

// How long Open waits for another process to give up its lease on a file, and how
// often it looks. The kernel has notified the process; a server such as Samba takes
// milliseconds. Without a bound it would be /proc/sys/fs/lease-break-time, 45 s.
const (
	leaseWait  = 2 * time.Second
	leasePause = 20 * time.Millisecond
)

// Open opens the file or directory at path, an absolute one, for the client of ctx,
// without leaving roots, if there are any. An error wraps ErrOutside, ErrSpecial, a
// [LookupError], an [OpenError], ErrNotReadable or a [StuckError].
func (p *Pool) Open(ctx context.Context, roots []string, path string) (Object, error) {
	of := client.FromContext(ctx)
	return p.open(ctx, func() (Object, error) {
		at, done, err := lookupPath(roots, path)
		if err != nil {
			return Object{}, err
		}
		defer done()
		return p.openAt(of, at)
	})
}

// open runs op on a thread of the pool. Where another process has a lease on a file,
// it is opened once that one has given it up; no thread waits for that.
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

// A lookup opens one path with flags.
type lookup func(flags int) (int, error)

// openAt looks before it opens: opening some devices does something.
func (p *Pool) openAt(of client.Key, at lookup) (Object, error) {
	look, err := at(unix.O_PATH | unix.O_CLOEXEC)
	if err != nil {
		return Object{}, &LookupError{err}
	}
	kind, err := kindOf(look)
	unix.Close(look)
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
		return Object{}, ErrSpecial // another one took its place
	}
	return p.object(of, fd, kind)
}

// object makes an Object of fd, which it owns.
func (p *Pool) object(of client.Key, fd int, kind uint32) (Object, error) {
	where := placeOf(fd)
	if kind == unix.S_IFDIR {
		return Object{Dir: &Dir{pool: p, d: p.descriptor(fd, of)}}, nil
	}
	if where == generated {
		unix.Close(fd)
		return Object{}, ErrSpecial
	}
	f, err := p.examine(of, fd, where)
	return Object{File: f}, err
}

// kindOf is the type of the file of fd.
func kindOf(fd int) (uint32, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstat(fd, &st) })
	return st.Mode & unix.S_IFMT, err
}

// lookupPath returns the lookup of a path that is not to leave roots.
func lookupPath(roots []string, path string) (lookup, func(), error) {
	if len(roots) == 0 {
		return func(flags int) (int, error) { return openat(unix.AT_FDCWD, path, flags) }, func() {}, nil
	}
	clean := filepath.Clean(path)
	for _, dir := range roots {
		rel, err := filepath.Rel(dir, clean)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		root, err := openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
		if err != nil {
			return nil, nil, &LookupError{err}
		}
		return func(flags int) (int, error) { return openBeneath(root, rel, flags) }, func() { unix.Close(root) }, nil
	}
	return nil, nil, ErrOutside
}

func openat(dir int, path string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(dir, path, flags, 0)
		return err
	})
	return fd, err
}

// openat2 is replaced by tests of kernels without it.
var openat2 = unix.Openat2

// openBeneath opens path without leaving root, by links or by "..".
func openBeneath(root int, path string, flags int) (fd int, err error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	err = again(func() error {
		fd, err = openat2(root, path, &how)
		return err
	})
	switch err {
	case unix.EXDEV:
		err = ErrOutside
	case unix.ENOSYS, unix.EPERM: // before Linux 5.6, and in some containers
		return openVerified(root, path, flags)
	}
	return fd, err
}

// openVerified does what openBeneath does where there is no openat2: it finds out where
// the path has led before it opens anything.
func openVerified(root int, path string, flags int) (int, error) {
	fd, err := openat(root, path, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if !beneath(root, fd) {
		unix.Close(fd)
		return -1, ErrOutside
	}
	if flags&unix.O_PATH != 0 {
		return fd, nil
	}
	defer unix.Close(fd)
	return openat(unix.AT_FDCWD, proc(fd), flags)
}

func beneath(root, fd int) bool {
	from, err := os.Readlink(proc(root))
	if err != nil {
		return false
	}
	to, err := os.Readlink(proc(fd))
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(from, to)
	return err == nil && filepath.IsLocal(rel)
}

// proc is a path that leads to the file of fd.
func proc(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
