package spool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errEnded is the answer of a writer after Finish or Abort.
var errEnded = errors.New("spool writer already ended")

// piece is how much is asked of the quota at once.
const piece = 1 << 20

// A Writer receives one content. It is for one goroutine.
type Writer struct {
	ctx  context.Context // bounds the waiting for quota, see [Spool.Create]
	c    *Object         // nil once ended
	size int64
	err  error // why nothing more is accepted
}

// Size is the number of bytes accepted so far.
func (w *Writer) Size() int64 { return w.size }

// Write adds a copy of p to the content. It waits at most Config.Wait for
// quota. An error wraps ErrQuota, ErrStorage or the cause of the context; after
// an error everything stored is given back at once and nothing more is
// accepted.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.ctx.Err() != nil {
		return 0, w.fail(fmt.Errorf("spool: %w", context.Cause(w.ctx)))
	}
	deadline := w.deadline()
	written := 0
	for written < len(p) {
		rest := p[written:]
		store := w.store
		if w.c.own == nil && w.size+int64(len(rest)) <= w.c.set.Memory {
			store = w.remember
		}
		n, err := store(rest, deadline)
		written += n
		w.size += int64(n)
		if err != nil {
			return written, w.fail(err)
		}
	}
	return written, nil
}

// remember adds the beginning of p to the memory of the content.
func (w *Writer) remember(p []byte, deadline time.Time) (int, error) {
	c := w.c
	if last := len(c.segs) - 1; last >= 0 && len(c.segs[last]) < cap(c.segs[last]) {
		seg := c.segs[last]
		n := copy(seg[len(seg):cap(seg)], p)
		c.segs[last] = seg[:len(seg)+n]
		return n, nil
	}
	class := nextClass(len(c.segs), int64(len(p)), c.set.Memory-w.size)
	if !c.spool.remember(classSize(class), c.set.InMemory) {
		return w.store(p, deadline)
	}
	if err := w.take(classSize(class), deadline); err != nil {
		c.spool.inMemory.Add(-classSize(class))
		return 0, err
	}
	c.segs = append(c.segs, c.spool.pool.get(class))
	return 0, nil
}

// store adds the beginning of p to the file of the content, which it makes if
// there is none yet.
func (w *Writer) store(p []byte, deadline time.Time) (int, error) {
	c := w.c
	p = p[:min(len(p), piece)]
	charge := pages(w.size + int64(len(p)))
	if charge > c.charge.size {
		if err := w.take(charge-c.charge.size, deadline); err != nil {
			return 0, err
		}
	}
	if err := c.spool.operate(w.ctx, deadline); err != nil {
		return 0, err
	}
	defer c.spool.operated()
	if c.own == nil {
		if err := w.spill(); err != nil {
			return 0, storageError("spill", err)
		}
	}
	n, err := c.own.Write(p)
	if err != nil {
		return n, storageError("write", err)
	}
	if c.charge.size > charge { // the segments may have been larger
		c.spool.quota.give(c, c.charge.size-charge)
	}
	if c.set.Hash {
		c.digest.follow(c.spool, c.own, w.size+int64(n))
	}
	return n, nil
}

// spill moves the content from memory to a file.
func (w *Writer) spill() error {
	c := w.c
	f, err := c.set.anonymous()
	if err != nil {
		return err
	}
	c.own = f
	for _, seg := range c.segs {
		if _, err := f.Write(seg); err != nil {
			return err
		}
	}
	c.freeSegments()
	return nil
}

func (w *Writer) take(n int64, deadline time.Time) error {
	return w.c.spool.quota.take(w.ctx, w.c, n, deadline)
}

// Finish ends the writer and returns the content with one reference, which the
// caller must Release. After an error of Write it returns that error; an error
// of its own wraps ErrStorage.
func (w *Writer) Finish() (*Object, error) {
	if w.err != nil {
		return nil, w.err
	}
	c := w.c
	if c.own != nil {
		if err := w.seal(); err != nil {
			return nil, w.fail(err)
		}
	}
	c.size = w.size
	c.spool.quota.done(c)
	c.spool.contents.Add(1)
	c.spool.writers.Add(-1)
	w.c = nil
	w.err = errEnded
	return c, nil
}

// seal makes the file of the content unchangeable.
func (w *Writer) seal() error {
	c := w.c
	if err := c.spool.operate(w.ctx, w.deadline()); err != nil {
		return err
	}
	defer c.spool.operated()
	f, err := c.set.seal(c.own)
	c.own = f // nil on an error: seal has closed it
	if err != nil {
		return storageError("seal", err)
	}
	return nil
}

// deadline is until when a call that begins now may wait; zero: not at all.
func (w *Writer) deadline() time.Time {
	wait := w.c.set.Wait
	if wait <= 0 {
		return time.Time{}
	}
	return time.Now().Add(wait)
}

// Abort ends the writer and gives everything back. After Finish, a failed Write
// or another Abort it does nothing.
func (w *Writer) Abort() {
	if w.err == nil {
		w.fail(errEnded)
	}
}

// fail gives everything back and lets nothing more be accepted. It returns err.
func (w *Writer) fail(err error) error {
	w.err = err
	c := w.c
	w.c = nil
	c.spool.writers.Add(-1)
	c.free()
	return err
}

// storageError makes an error of the store of err. The cause is not wrapped: a
// missing directory of ours must not look like an engine that is not installed.
func storageError(doing string, err error) error {
	return fmt.Errorf("%w: %s: %v%s", ErrStorage, doing, err, advice(err))
}

// pages rounds n up to whole pages, which is what the kernel takes for a file.
func pages(n int64) int64 { return (n + page - 1) &^ (page - 1) }

const page = 4 << 10
