package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"polyclam/backends"
)

var _ backends.Placed = (*Object)(nil)

// Place implements [backends.Placed] for an opened file. It fails if the path that the
// kernel reports for the file leads to another one, or to none.
func (o *Object) Place() (backends.Place, error) {
	if !o.pin() {
		return backends.Place{}, ErrReleased
	}
	defer o.unpin()
	if o.kind != kindOpened {
		return backends.Place{}, errors.New("the object is not a client's file")
	}
	f, err := o.File()
	if err != nil {
		return backends.Place{}, err
	}
	return placeOf(f)
}

func placeOf(f *os.File) (backends.Place, error) {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return backends.Place{}, fmt.Errorf("path of the file: %w", err)
	}
	var own, there unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &own); err != nil {
		return backends.Place{}, os.NewSyscallError("fstat", err)
	}
	if !filepath.IsAbs(path) { // a memfd, a pipe, or outside the process's root
		return backends.Place{}, fmt.Errorf("the file has no path: %q", path)
	}
	if err := unix.Lstat(path, &there); err != nil {
		return backends.Place{}, fmt.Errorf("lstat %q: %w", path, err)
	}
	p := place(path, &there)
	if p != place(path, &own) || there.Mode&unix.S_IFMT != unix.S_IFREG {
		return backends.Place{}, fmt.Errorf("%q is a different file now", path)
	}
	return p, nil
}

func place(path string, st *unix.Stat_t) backends.Place {
	return backends.Place{
		Path: path, Device: uint64(st.Dev), Inode: st.Ino, Size: st.Size,
		Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano(),
	}
}
