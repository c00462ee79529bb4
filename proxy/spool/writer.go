package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// errEnded is the error of a writer after Finish or Abort.
var errEnded = errors.New("spool writer already ended")

// piece is how much is taken from the quota in one step at most.
const piece = 1 << 20

// A Writer receives one object. It is not safe for concurrent use.
type Writer struct {
	ctx  context.Context // bounds the wait for quota, see [Spool.Create]
	o    *Object         // nil once ended
	size int64
	err  error // why nothing more is accepted
}

// Size is the number of bytes accepted so far.
func (w *Writer) Size() int64 { return w.size }

// ExpectSum says that the sum of the object will be needed, so that a long one is hashed while
// it arrives. Call it before the first Write.
func (w *Writer) ExpectSum() { w.o.hashes = true }

// Write adds a copy of p to the object. It waits for quota for at most Config.Wait. An error
// wraps ErrQuota, ErrStorage or the cause of the context. After an error everything stored is
// freed immediately and nothing more is accepted.
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
		write := w.writeStore
		if w.o.own == nil && w.size+int64(len(rest)) <= w.o.set.Memory {
			write = w.writeMemory
		}
		n, err := write(rest, deadline)
		written += n
		w.size += int64(n)
		if err != nil {
			return written, w.fail(err)
		}
	}
	return written, nil
}

// writeMemory adds the beginning of p to the object in memory.
func (w *Writer) writeMemory(p []byte, deadline time.Time) (int, error) {
	o := w.o
	if last := len(o.segs) - 1; last >= 0 && len(o.segs[last]) < cap(o.segs[last]) {
		seg := o.segs[last]
		n := copy(seg[len(seg):cap(seg)], p)
		o.segs[last] = seg[:len(seg)+n]
		if o.hashes && w.size+int64(n) > overlapFrom {
			o.hashArrived(p[:n], w.size+int64(n))
		}
		return n, nil
	}
	class := nextClass(len(o.segs), int64(len(p)), o.set.Memory-w.size)
	if !o.spool.reserveMemory(classSize(class), o.set.InMemory) {
		return w.writeStore(p, deadline)
	}
	if err := w.take(classSize(class), deadline); err != nil {
		o.spool.inMemory.Add(-classSize(class))
		return 0, err
	}
	o.segs = append(o.segs, o.spool.pool.get(class))
	return 0, nil
}

// writeStore adds the beginning of p to the object's file, which it creates if there is none
// yet.
func (w *Writer) writeStore(p []byte, deadline time.Time) (int, error) {
	o := w.o
	p = p[:min(len(p), piece)]
	charge := pages(w.size + int64(len(p)))
	if charge > o.charge.size {
		if err := w.take(charge-o.charge.size, deadline); err != nil {
			return 0, err
		}
	}
	if err := o.spool.acquireStore(w.ctx, deadline); err != nil {
		return 0, err
	}
	defer o.spool.releaseStore()
	if o.own == nil {
		if err := w.spill(); err != nil {
			return 0, storageError("spill", err)
		}
	}
	n, err := o.store().WriteAt(p, w.size)
	if err != nil {
		if o.mem != nil {
			o.mem.broken = true
		}
		return n, storageError("write", err)
	}
	if o.mem != nil {
		o.mem.wrote(w.size + int64(n))
		o.useSpare(charge)
	}
	if o.charge.size > charge { // the segments may have been larger
		o.spool.quota.free(o, o.charge.size-charge)
	}
	if o.hashes {
		o.hashArrived(p, w.size+int64(n))
	}
	return n, nil
}

// store is what the object is written to.
func (o *Object) store() io.WriterAt {
	if o.mem != nil {
		return o.mem
	}
	return o.own
}

// spill moves the object from memory to a file.
func (w *Writer) spill() error {
	o := w.o
	if err := w.open(); err != nil {
		return err
	}
	var off int64
	for _, seg := range o.segs {
		if _, err := o.store().WriteAt(seg, off); err != nil {
			return err
		}
		off += int64(len(seg))
	}
	o.moved(off)
	o.freeSegments()
	return nil
}

// open opens the object's file.
func (w *Writer) open() (err error) {
	o := w.o
	if !o.set.keeps {
		o.own, err = o.set.anonymous()
		return err
	}
	if o.mem, o.spare, err = o.spool.memory(o.set, w.size+1, false); err == nil {
		o.own = o.mem.f
	}
	return err
}

// useSpare counts kept memory that the object has filled as used, of which it has charge
// bytes in all.
func (o *Object) useSpare(charge int64) {
	if o.spare == 0 {
		return
	}
	spare := min(o.spare, max(0, o.mem.pages()-charge))
	o.spool.quota.unkeep(o.spare - spare)
	o.spare = spare
}

func (w *Writer) take(n int64, deadline time.Time) error {
	return w.o.spool.quota.take(w.ctx, w.o, n, deadline)
}

// Finish ends the writer and returns the object with one reference, which the caller must
// Release. If a Write failed, Finish returns its error; any other error wraps ErrStorage.
func (w *Writer) Finish() (*Object, error) {
	if w.err != nil {
		return nil, w.err
	}
	o := w.o
	if o.own != nil {
		if err := w.seal(); err != nil {
			return nil, w.fail(err)
		}
	}
	o.size = w.size
	o.spool.quota.done(o)
	o.counted = true
	o.spool.objects.Add(1)
	o.spool.writers.Add(-1)
	w.o = nil
	w.err = errEnded
	return o, nil
}

// seal makes the object's file immutable.
func (w *Writer) seal() error {
	o := w.o
	if err := o.spool.acquireStore(w.ctx, w.deadline()); err != nil {
		return err
	}
	defer o.spool.releaseStore()
	if o.mem != nil {
		if err := o.mem.cut(w.size); err != nil {
			o.mem.broken = true
			return storageError("truncate", err)
		}
		o.useSpare(pages(w.size))
		return nil
	}
	o.digest.mu.Lock() // nothing reads it now
	f, err := o.set.seal(o.own)
	o.own = f // nil on an error: seal has closed it
	o.digest.mu.Unlock()
	if err != nil {
		return storageError("seal", err)
	}
	return nil
}

// deadline is how long a call that begins now may wait; zero: not at all.
func (w *Writer) deadline() time.Time {
	wait := w.o.set.Wait
	if wait <= 0 {
		return time.Time{}
	}
	return time.Now().Add(wait)
}

// Abort ends the writer and frees everything. After Finish, a failed Write or another Abort
// it does nothing.
func (w *Writer) Abort() {
	if w.err == nil {
		w.fail(errEnded)
	}
}

// fail frees everything and accepts nothing more. It returns err.
func (w *Writer) fail(err error) error {
	w.err = err
	o := w.o
	w.o = nil
	o.spool.writers.Add(-1)
	o.Release()
	return err
}

// storageError turns err into an ErrStorage. It does not wrap err: a missing spool directory
// must not look like an engine that is not installed.
func storageError(op string, err error) error {
	return fmt.Errorf("%w: %s: %v%s", ErrStorage, op, err, advice(err))
}

// pages rounds n up to whole pages, as the kernel does for files.
func pages(n int64) int64 { return (n + page - 1) &^ (page - 1) }

const page = 4 << 10
