package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
)

// A File is a regular file of a client, open for reading. It is safe for concurrent use.
// Its size is fixed when it is opened: bytes that are appended later are ignored, and
// reading fails if the file has shrunk.
type File struct {
	pool  *Pool
	place place
	size  int64
	file  *os.File    // nil if foreign
	desc  *descriptor // nil unless foreign
}

// Size is the number of bytes.
func (f *File) Size() int64 { return f.size }

// Foreign reports whether reading may block forever. Only Copy can read such a file.
func (f *File) Foreign() bool { return f.place == foreign }

// File is the open file, for engines that scan a descriptor; nil if f is foreign. It
// belongs to f.
func (f *File) File() *os.File { return f.file }

// Close closes the file once the operations that use it have returned.
func (f *File) Close() {
	if f.desc != nil {
		f.desc.done()
		return
	}
	f.file.Close()
}

// Adopt examines the descriptor fd, which the client of ctx sent, and takes ownership of
// it even if it returns an error. The error wraps ErrNotRegular, ErrNotReadable or a
// [StuckError].
func (p *Pool) Adopt(ctx context.Context, fd int) (*File, error) {
	k := client.FromContext(ctx)
	if inMemory(fd) {
		return p.examine(k, fd, memory)
	}
	f, err := Do(ctx, p, "examining the descriptor", func() (*File, error) {
		return p.examine(k, fd, placeOf(fd))
	}, (*File).Close)
	var stuck *StuckError
	if errors.As(err, &stuck) && !stuck.begun {
		p.Discard(k, fd)
	}
	return f, err
}

// examine returns a File for fd, which it owns. It reads a byte, because only that proves
// that the descriptor is readable. (clamd 1.4.6 answers OK for one that was opened for
// writing only, or with O_PATH.)
func (p *Pool) examine(k client.Key, fd int, where place) (*File, error) {
	size, err := readable(fd, where)
	if err != nil {
		unix.Close(fd) // on a thread of the pool, unless it is in memory
		return nil, err
	}
	f := &File{pool: p, place: where, size: size}
	if where == foreign {
		f.desc = p.descriptor(fd, k)
	} else {
		f.file = os.NewFile(uintptr(readOnly(fd)), "file")
	}
	return f, nil
}

// readable returns the size of fd if it is a regular file that can be read.
func readable(fd int, where place) (int64, error) {
	var st unix.Stat_t
	if err := retryEINTR(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotReadable, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, ErrNotRegular
	}
	if where == generated {
		return 0, fmt.Errorf("%w: the kernel generates it when it is read", ErrNotRegular)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	switch {
	case err != nil || flags&unix.O_ACCMODE == unix.O_WRONLY:
		return 0, fmt.Errorf("%w: open for writing only", ErrNotReadable)
	case flags&unix.O_DIRECT != 0:
		return st.Size, nil // it allows only aligned reads
	}
	n, err := pread(fd, make([]byte, 1), 0)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotReadable, err)
	}
	if n == 0 || st.Size > 0 {
		return st.Size, nil
	}
	// Either the file was filled just now, or it has no size, as on /proc. Scanning no
	// bytes of it would be a false OK.
	if err := retryEINTR(func() error { return unix.Fstat(fd, &st) }); err != nil || st.Size == 0 {
		return 0, fmt.Errorf("%w: it has content but no size", ErrNotRegular)
	}
	return st.Size, nil
}

// readOnly returns fd, or a new descriptor of the same file if fd is writable or needs
// aligned reads. If the file cannot be reopened, for example because of a lease, it returns
// fd.
func readOnly(fd int) int {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY && flags&unix.O_DIRECT == 0 {
		return fd
	}
	reopened, err := unix.Open(proc(fd), openFlags, 0)
	if err != nil {
		return fd
	}
	unix.Close(fd)
	return reopened
}

// openFlags are the flags with which this package opens files. O_NONBLOCK keeps FIFOs and
// leases from blocking the thread.
const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// pread fills b, or reads to the end of the file.
func pread(fd int, b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		m, err := unix.Pread(fd, b[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, err
		case m == 0:
			return n, nil
		default:
			n += m
		}
	}
	return n, nil
}

func (f *File) shrank() error {
	return fmt.Errorf("file shrank below %d bytes: %w", f.size, io.ErrUnexpectedEOF)
}
