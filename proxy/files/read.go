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

// buffers are of pieceSize. One belongs to its operation until that has returned: the
// kernel may still write to it when nothing waits for it any more.
var buffers = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// A piece is what one operation of the pool read.
type piece struct {
	buf *[pieceSize]byte
	n   int
	lie bool // there is content beyond the size of the file
}

func (p piece) free() { buffers.Put(p.buf) }

// ReadAt reads from a file that is not foreign: all of b, or what there is of the file
// and io.EOF. What the kernel does not have in memory is read on a thread of the pool,
// under ctx.
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

// readCached reads what the kernel can give without waiting, and reports whether the
// file ends there. It is of no use where the file system cannot say so.
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
		p.n, p.lie, err = f.readInPool(p.buf[:min(n, pieceSize)], off)
		if err != nil {
			p.free()
			return piece{}, fmt.Errorf("reading the file: %w", err)
		}
		return p, nil
	}, piece.free)
}

func (f *File) readInPool(b []byte, off int64) (n int, lie bool, err error) {
	if f.far == nil {
		n, err = f.file.ReadAt(b, off)
		if err == io.EOF {
			err = nil
		}
		return n, false, err
	}
	if !f.far.use() {
		return 0, false, os.ErrClosed
	}
	defer f.far.done()
	n, err = pread(f.far.fd, b, off)
	if err != nil || off < f.size || n == 0 {
		return n, false, err
	}
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(f.far.fd, &st) }); err != nil {
		return 0, false, err
	}
	return n, st.Size <= f.size, nil
}

// Copy writes the whole file to w, whose errors it returns as they are. A file that
// holds more than its size says is ErrNotRegular: its reader would see what an engine
// does not.
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
	if p.lie {
		return fmt.Errorf("%w: it holds more than its size says", ErrNotRegular)
	}
	return nil
}
