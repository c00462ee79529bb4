package files

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// pieceSize is the number of bytes read by one operation of the pool.
const pieceSize = 128 << 10

// buffers have pieceSize bytes. A buffer belongs to its operation until that returns: the
// kernel may write to it even if the caller has given up.
var buffers = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// A piece is what one operation of the pool read.
type piece struct {
	buf    *[pieceSize]byte
	n      int
	beyond bool // read beyond the size of the file
}

func (p piece) free() { buffers.Put(p.buf) }

// ReadAt reads from a file that is not foreign. It fills b, or reads to the end of the file
// and returns io.EOF. Bytes that the kernel has not cached are read on a thread of the
// pool, under ctx.
func (f *File) ReadAt(ctx context.Context, b []byte, off int64) (int, error) {
	var atEnd error
	if rest := f.size - off; int64(len(b)) > rest {
		b, atEnd = b[:max(0, rest)], io.EOF
	}
	n, err := f.readAt(ctx, b, off)
	if n == len(b) && err == nil {
		return n, atEnd
	}
	return n, err
}

func (f *File) readAt(ctx context.Context, b []byte, off int64) (int, error) {
	if f.place == memory {
		n, err := f.file.ReadAt(b, off)
		if err == io.EOF {
			err = f.shrank()
		}
		return n, err
	}
	n, ended := f.readCached(b, off)
	for n < len(b) && !ended {
		p, err := f.piece(ctx, off+int64(n), len(b)-n)
		if err != nil {
			return n, err
		}
		n += copy(b[n:], p.buf[:p.n])
		ended = p.n == 0
		p.free()
	}
	if n < len(b) {
		return n, f.shrank()
	}
	return n, nil
}

// readCached reads the bytes that the kernel has cached, and reports whether the file ends
// there. It reads nothing if the file system does not support that.
func (f *File) readCached(b []byte, off int64) (n int, ended bool) {
	raw, err := f.file.SyscallConn()
	if err != nil {
		return 0, false
	}
	raw.Control(func(fd uintptr) {
		for n < len(b) {
			m, err := unix.Preadv2(int(fd), [][]byte{b[n:]}, off+int64(n), unix.RWF_NOWAIT)
			switch {
			case err == unix.EINTR:
			case err != nil:
				return
			case m == 0:
				ended = true
				return
			default:
				n += m
			}
		}
	})
	return n, ended
}

// piece reads up to n bytes on a thread of the pool.
func (f *File) piece(ctx context.Context, off int64, n int) (piece, error) {
	return Do(ctx, f.pool, "reading the file", func() (piece, error) {
		p := piece{buf: buffers.Get().(*[pieceSize]byte)}
		var err error
		p.n, p.beyond, err = f.readInPool(p.buf[:min(n, pieceSize)], off)
		if err != nil {
			p.free()
			return piece{}, fmt.Errorf("reading the file: %w", err)
		}
		return p, nil
	}, piece.free)
}

// readInPool reads at off on a thread of the pool. beyond says that off is beyond the size
// of a foreign file, which has not grown and yet has bytes there.
func (f *File) readInPool(b []byte, off int64) (n int, beyond bool, err error) {
	if f.desc == nil {
		n, err = f.file.ReadAt(b, off)
		if err == io.EOF {
			err = nil
		}
		return n, false, err
	}
	if !f.desc.use() {
		return 0, false, os.ErrClosed
	}
	defer f.desc.done()
	n, err = pread(f.desc.fd, b, off)
	if err != nil || off < f.size || n == 0 {
		return n, false, err
	}
	var st unix.Stat_t
	if err := retryEINTR(func() error { return unix.Fstat(f.desc.fd, &st) }); err != nil {
		return 0, false, err
	}
	return n, st.Size <= f.size, nil
}

// Copy writes the whole file to w, and returns errors of w unchanged. If the file holds
// more bytes than its size says, Copy returns ErrNotRegular: other readers would see bytes
// that no engine has scanned.
func (f *File) Copy(ctx context.Context, w io.Writer) error {
	for off := int64(0); off < f.size; {
		p, err := f.piece(ctx, off, int(min(f.size-off, pieceSize)))
		if err != nil {
			return err
		}
		if p.n == 0 {
			p.free()
			return f.shrank()
		}
		off += int64(p.n)
		_, err = w.Write(p.buf[:p.n])
		p.free()
		if err != nil {
			return err
		}
	}
	p, err := f.piece(ctx, f.size, pieceSize)
	if err != nil {
		return err
	}
	defer p.free()
	if p.beyond {
		return fmt.Errorf("%w: it holds more than its size says", ErrNotRegular)
	}
	return nil
}
