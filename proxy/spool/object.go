package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"polyclam/backends"
	"polyclam/proxy/files"
)

var (
	_ backends.Object = (*Object)(nil)
	_ backends.Named  = (*Object)(nil)
)

// kind is where an object comes from.
type kind uint8

const (
	kindSpooled  kind = iota // from a Writer: in memory, or in a file of the store
	kindOpened               // a client's file
	kindConstant             // bytes of the program
)

// Object is one object to scan, complete and unchanging. It implements [backends.Object] and
// is safe for concurrent use. It starts with one reference; the last Release frees its
// resources, and its methods then fail with ErrReleased.
type Object struct {
	spool *Spool
	set   *settings
	name  string // of the file; empty: none
	size  int64
	refs  atomic.Int64

	// Exactly one of segs, own and opened holds the bytes. None of them changes once the
	// object is complete.
	segs   [][]byte
	few    [3][]byte // backs segs, to save an allocation: more than most objects need
	own    *os.File
	opened *files.File
	ctx    context.Context // for reading opened
	charge charge          // to the quota

	mem     *memory     // that own belongs to, or that file was lent from; nil: none
	spare   int64       // kept bytes of mem that the object does not use
	tainted atomic.Bool // mem must not be used again
	counted bool        // in Spool.objects
	hashes  bool        // while it arrives: its sum will be needed
	kind    kind

	fd     lazy[int]      // lent from mem
	file   lazy[*os.File] // of an object in memory, or for fd, which it then owns
	path   lazy[string]   // name within the directory
	digest digest
}

// Size implements [backends.Object].
func (o *Object) Size() int64 { return o.size }

// Spooled is how many bytes of it the spool holds: none of a client's file.
func (o *Object) Spooled() int64 {
	if o.kind == kindSpooled {
		return o.size
	}
	return 0
}

// Name implements [backends.Named]: the last element of the path given to SetPath.
func (o *Object) Name() string { return o.name }

// SetPath records the path by which the client named the object. Call it before the object
// is shared.
func (o *Object) SetPath(path string) {
	if name := filepath.Base(path); name != "." && name != "/" {
		o.name = name
	}
}

// Retain adds a reference, for Release to remove. The caller must hold one already.
func (o *Object) Retain() { o.count(reference) }

// Taint says that an engine may keep a descriptor of the object after its answer: it was
// killed, timed out or abandoned. The object's file is then never used for another object.
func (o *Object) Taint() { o.tainted.Store(true) }

// Release removes a reference. After the last one the memory, descriptor and named file are
// freed, as soon as no method is running. Further calls do nothing.
func (o *Object) Release() { o.discount(reference) }

// Object.refs counts references in its upper half and running methods in its lower half.
// Memory is reused for other objects, so it must not be freed while a method reads it. But a
// method that begins after the last Release must fail, even if others are still running.
const (
	running   = 1
	reference = 1 << 32
)

// count adds one, unless the last reference is gone.
func (o *Object) count(one int64) bool {
	for {
		n := o.refs.Load()
		if n < reference {
			return false
		}
		if o.refs.CompareAndSwap(n, n+one) {
			return true
		}
	}
}

// discount subtracts one, if there is one, and frees the object when nothing is left.
func (o *Object) discount(one int64) {
	for {
		n := o.refs.Load()
		if n < one {
			return
		}
		if !o.refs.CompareAndSwap(n, n-one) {
			continue
		}
		if n == one {
			if o.counted {
				o.spool.objects.Add(-1)
			}
			o.free()
		}
		return
	}
}

// pin begins a method. It reports false if the object is released.
func (o *Object) pin() bool { return o.count(running) }

// unpin ends a method.
func (o *Object) unpin() { o.discount(running) }

// ReadAt implements [io.ReaderAt]. If a client's file has shrunk, it returns
// io.ErrUnexpectedEOF, never a silent end.
func (o *Object) ReadAt(p []byte, off int64) (int, error) {
	if !o.pin() {
		return 0, ErrReleased
	}
	defer o.unpin()
	return o.readAt(o.ctx, p, off)
}

// readAt is ReadAt for callers that have pinned the object. A client's file is read under
// ctx.
func (o *Object) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	if off >= o.size {
		return 0, io.EOF
	}
	var atEnd error
	if rest := o.size - off; int64(len(p)) > rest {
		p = p[:rest]
		atEnd = io.EOF
	}
	n, err := o.readFull(ctx, p, off)
	if n == len(p) {
		return n, atEnd
	}
	return n, err
}

// readFull reads all of p, or fails.
func (o *Object) readFull(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case o.opened != nil:
		return o.opened.ReadAt(ctx, p, off)
	case o.own == nil:
		return o.readMemory(p, off), nil
	}
	n, err := o.own.ReadAt(p, off)
	if err == io.EOF {
		err = fmt.Errorf("file shrank below %d bytes: %w", o.size, io.ErrUnexpectedEOF)
	}
	return n, err
}

// readMemory copies from memory.
func (o *Object) readMemory(p []byte, off int64) int {
	n := 0
	for _, seg := range o.segs {
		if off >= int64(len(seg)) {
			off -= int64(len(seg))
			continue
		}
		n += copy(p[n:], seg[off:])
		off = 0
		if n == len(p) {
			break
		}
	}
	return n
}

// writeTo writes the whole object to w. The caller has pinned it. A client's file is read
// under ctx.
func (o *Object) writeTo(ctx context.Context, w io.Writer) error {
	if o.own == nil && o.opened == nil {
		for _, seg := range o.segs {
			if _, err := w.Write(seg); err != nil {
				return err
			}
		}
		return nil
	}
	buf := o.spool.pool.get(classes - 1)
	defer o.spool.pool.put(buf)
	buf = buf[:cap(buf)]
	for off := int64(0); off < o.size; {
		n, err := o.readAt(ctx, buf, off)
		if err != nil && err != io.EOF {
			return fmt.Errorf("read: %w", err)
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// free frees everything. There are no references left.
func (o *Object) free() {
	if o.kind == kindSpooled {
		o.freeSegments()
	}
	if o.own != nil && o.mem == nil {
		o.own.Close()
	}
	if o.opened != nil {
		o.opened.Close()
	}
	fd, lent := o.fd.value()
	if f, ok := o.file.value(); ok {
		f.Close()
	} else if lent {
		o.mem.unlend(fd)
	}
	if name, ok := o.path.value(); ok {
		o.set.dir.remove(name)
		o.spool.files.Add(-1)
	}
	o.refs.Store(0)
	o.spool.quota.close(o)
	if o.mem != nil {
		o.spool.quota.unkeep(o.spare)
		o.spool.keeper.put(o.mem, o.tainted.Load() && lent || o.mem.broken)
	}
	o.set.release()
}

// freeSegments returns the memory of the object to the pool.
func (o *Object) freeSegments() {
	for i, seg := range o.segs {
		o.segs[i] = nil
		o.spool.inMemory.Add(-int64(cap(seg)))
		o.spool.pool.put(seg)
	}
	o.segs = nil
}

// lazy is a value that is made when it is first used. A failure is retried at the next use.
type lazy[T any] struct {
	mu   sync.Mutex
	made bool
	v    T
}

func (l *lazy[T]) get(newValue func() (T, error)) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made {
		return l.v, nil
	}
	v, err := newValue()
	if err != nil {
		return v, err
	}
	l.v, l.made = v, true
	return v, nil
}

// value returns the value, if it was made.
func (l *lazy[T]) value() (T, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.v, l.made
}
