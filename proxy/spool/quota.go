package spool

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// reserveShare is the part of the quota that only one writer at a time may take
// from, 1/reserveShare of it. Without it many large uploads could each get a
// part, use up the quota together, and all wait for each other until all fail.
// With it one of them can always go on to its end, as long as no content is
// larger than the reserve.
const reserveShare = 4

// quota counts the bytes of all contents and lets writers wait for their turn.
// The zero quota has no limit.
type quota struct {
	mu      sync.Mutex
	total   int64 // 0: no limit
	used    int64
	holder  *Content  // the one that may take from the reserve; nil: the next that needs to
	waiting list.List // of *waiter, first come, first served
}

// A waiter is a writer that waits for its turn.
type waiter struct {
	c       *Content
	n       int64
	granted bool
	ready   chan struct{} // closed when granted
	place   *list.Element // in the queue
}

// take counts n more bytes for c, which is being written. If there is no room
// it waits until deadline, or until ctx is done. An error wraps ErrQuota, and
// the context's cause if that was the reason.
func (q *quota) take(ctx context.Context, c *Content, n int64, deadline time.Time) error {
	w, err := q.enqueue(c, n, deadline)
	if w == nil {
		return err
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", ErrQuota, context.Cause(ctx))
	case <-timer.C:
		err = fmt.Errorf("%w: waited in vain", ErrQuota)
	}
	return q.leave(w, err)
}

// enqueue takes the bytes at once, or refuses for good, and returns no waiter;
// else it returns one that is in the queue.
func (q *quota) enqueue(c *Content, n int64, deadline time.Time) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total > 0 && c.charged+n > q.total {
		return nil, fmt.Errorf("%w: %d bytes are not enough for this one content", ErrQuota, q.total)
	}
	first := q.waiting.Len() == 0 || q.holder == c
	if first && q.admit(c, n) {
		return nil, nil
	}
	if !deadline.After(time.Now()) {
		return nil, ErrQuota
	}
	w := &waiter{c: c, n: n, ready: make(chan struct{})}
	if q.holder == c {
		w.place = q.waiting.PushFront(w)
	} else {
		w.place = q.waiting.PushBack(w)
	}
	return w, nil
}

// leave takes w out of the queue and returns err, or nil if its turn came in
// the meantime.
func (q *quota) leave(w *waiter, err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.granted {
		return nil
	}
	q.waiting.Remove(w.place)
	q.dispatch() // those behind may need less
	return err
}

// admit takes n bytes for c if that is allowed now. The caller holds q.mu.
func (q *quota) admit(c *Content, n int64) bool {
	switch {
	case q.total == 0, q.used+n <= q.total-q.total/reserveShare:
	case q.used+n > q.total:
		return false
	case q.holder == nil:
		q.holder = c
	case q.holder != c:
		return false
	}
	q.used += n
	return true
}

// dispatch wakes those whose turn it is, and nobody else. The caller holds
// q.mu.
func (q *quota) dispatch() {
	for e := q.waiting.Front(); e != nil; e = q.waiting.Front() {
		w := e.Value.(*waiter)
		if !q.admit(w.c, w.n) {
			return
		}
		q.waiting.Remove(e)
		w.granted = true
		close(w.ready)
	}
}

// try counts n bytes if there is room, without waiting and without regard to
// those who wait: it is for contents that are being scanned already.
func (q *quota) try(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total > 0 && q.used+n > q.total {
		return ErrQuota
	}
	q.used += n
	return nil
}

// force counts n bytes whether there is room or not.
func (q *quota) force(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used += n
}

// give takes n bytes back.
func (q *quota) give(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
	q.dispatch()
}

// done says that c takes no more.
func (q *quota) done(c *Content) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.holder == c {
		q.holder = nil
		q.dispatch()
	}
}

// setTotal changes the quota. Lowering it below what is used takes nothing
// away; it lets nobody in until enough is given back.
func (q *quota) setTotal(total int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total = total
	q.dispatch()
}

func (q *quota) stats() (used, total int64, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.used, q.total, q.waiting.Len()
}
