package files

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Paths below roots are opened here and not with github.com/cyphar/filepath-securejoin,
// because that resolves links as chroot(2) does: a link out of the root would lead to
// another file inside it, and not to ErrOutside. Like [os.Root] it also returns an
// *os.File, which is not safe here, see descriptor.

// A lookup opens one path with flags.
type lookup func(flags int) (int, error)

// lookupPath returns a lookup for a path below roots. The caller must call done after its
// last use.
func lookupPath(roots []string, path string) (at lookup, done func(), err error) {
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
	err = retryEINTR(func() error {
		fd, err = unix.Openat(dir, path, flags, 0)
		return err
	})
	return fd, err
}

// openat2 is a variable so that tests can simulate kernels without it.
var openat2 = unix.Openat2

// openBeneath opens path, and refuses links and ".." that lead out of root.
func openBeneath(root int, path string, flags int) (fd int, err error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	err = retryEINTR(func() error {
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

// openVerified is openBeneath without openat2. It checks where the path leads before it
// opens the file.
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

// proc is a path to the file of fd.
func proc(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
