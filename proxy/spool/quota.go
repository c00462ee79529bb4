package spool

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"polyclam/proxy/client"
)

// quota counts the bytes of all objects, shares them out between clients and makes writers
// wait. The zero quota has no limit.
//
// Bytes in the small part count as small, all others as held. Held bytes of an upload that is
// incomplete and does not have its turn also count as unfinished. The unfinished bytes are
// bounded, since only an upload that has its turn is sure to finish.
type quota struct {
	mu    sync.Mutex
	total int64 // 0: no limit
	share int   // per cent for one client
	turn  int64 // bytes that one turn may need; 0: unknown, so one turn at a time

	all      usage
	kept     int64             // bytes that no object uses, see [keeper]
	anyKept  atomic.Bool       // kept is not 0
	shrink   func(bytes int64) // frees kept bytes; called without mu; nil: none are kept
	accounts map[client.Key]*account
	urgent   list.List // of *waiter that have their turn and wait for scans to end
	ring     list.List // of *account with waiters, the next to serve first
	blocked  bool      // the first in line waits for room: no other may overtake it
	waiting  int
}

// A waiter is a writer waiting for room.
type waiter struct {
	o       *Object
	n       int64
	granted bool
	ready   chan struct{} // closed when granted
	queue   *list.List
	place   *list.Element // in queue
}

// open opens an account for o, on behalf of client k.
func (q *quota) open(o *Object, k client.Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.accounts[k]
	if a == nil {
		a = &account{key: k}
		if q.accounts == nil {
			q.accounts = map[client.Key]*account{}
		}
		q.accounts[k] = a
	}
	a.users++
	o.charge.account = a
	o.charge.complete = o.kind != kindSpooled
}

// take counts n more bytes for o, which is being written. If there is no room, it waits until
// deadline, or until ctx ends. An error wraps ErrQuota, and the cause of ctx if ctx ended.
func (q *quota) take(ctx context.Context, o *Object, n int64, deadline time.Time) error {
	defer q.makeRoom()
	w, err := q.enqueue(o, n, deadline)
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
		err = fmt.Errorf("%w: no room in time", ErrQuota)
	}
	return q.leave(w, err)
}

// enqueue takes or refuses the bytes immediately and returns nil, or returns a queued waiter.
func (q *quota) enqueue(o *Object, n int64, deadline time.Time) (*waiter, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total > 0 && o.charge.size+n > q.total {
		return nil, fmt.Errorf("%w: all of its %d bytes are too few for this object", ErrQuota, q.total)
	}
	a := o.charge.account
	queue := &a.large
	switch {
	case o.charge.turn:
		queue = &q.urgent
	case o.charge.size+n <= smallUpload:
		queue = &a.small
	}
	if queue.Len() == 0 && q.admit(o, n) {
		return nil, nil
	}
	if !deadline.After(time.Now()) {
		return nil, ErrQuota
	}
	w := &waiter{o: o, n: n, ready: make(chan struct{}), queue: queue}
	w.place = queue.PushBack(w)
	q.waiting++
	if queue != &q.urgent && a.place == nil {
		a.place = q.ring.PushBack(a)
	}
	q.dispatch() // the others may have to wait for it
	if w.granted {
		return nil, nil
	}
	return w, nil
}

// leave takes w out of the queue and returns err, or nil if it was granted in the meantime.
func (q *quota) leave(w *waiter, err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.granted {
		return nil
	}
	q.remove(w)
	q.dispatch() // the ones after it may need less
	return err
}

func (q *quota) remove(w *waiter) {
	w.queue.Remove(w.place)
	q.waiting--
	if a := w.o.charge.account; a.place != nil && a.small.Len()+a.large.Len() == 0 {
		q.ring.Remove(a.place)
		a.place = nil
	}
}

// dispatch grants what can be granted now. The caller holds q.mu.
func (q *quota) dispatch() {
	q.blocked = false
	for q.serve(&q.urgent) {
	}
	for e := q.ring.Front(); e != nil; {
		a := e.Value.(*account)
		if !q.serve(&a.small) && !q.serve(&a.large) {
			e = e.Next()
			continue
		}
		if a.place != nil {
			q.ring.MoveToBack(a.place)
		}
		e = q.ring.Front()
	}
}

// serve grants the first waiter of the queue its bytes. If only room is missing, not a share,
// no other upload may take what becomes free until there is enough.
func (q *quota) serve(queue *list.List) bool {
	e := queue.Front()
	if e == nil {
		return false
	}
	w := e.Value.(*waiter)
	if !q.admit(w.o, w.n) {
		ch := &w.o.charge
		q.blocked = q.blocked || !q.fits(ch, w.n) && (ch.turn || q.within(ch, w.n) || q.mayHaveTurn(ch))
		return false
	}
	q.remove(w)
	w.granted = true
	close(w.ready)
	return true
}

// try counts n bytes for o if there is room. It does not wait, and ignores waiters: it is
// for objects that are already being scanned.
func (q *quota) try(o *Object, n int64) error {
	defer q.makeRoom()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total > 0 && q.all.held+q.all.small+n > q.total {
		return ErrQuota
	}
	q.extra(&o.charge, n)
	return nil
}

// force counts n bytes for o whether there is room or not.
func (q *quota) force(o *Object, n int64) {
	defer q.makeRoom()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.extra(&o.charge, n)
}

// extra counts n bytes of an object that is complete.
func (q *quota) extra(ch *charge, n int64) {
	ch.size += n
	q.add(ch.account, usage{held: n})
}

// free frees n bytes of o.
func (q *quota) free(o *Object, n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.subtract(o, n)
	q.dispatch()
}

// subtract frees n bytes of o. The caller holds q.mu.
func (q *quota) subtract(o *Object, n int64) {
	ch := &o.charge
	small := min(ch.small, n)
	freed := usage{small: -small, held: small - n}
	if !ch.turn && !ch.complete {
		freed.unfinished = freed.held
	}
	ch.small -= small
	ch.size -= n
	q.add(ch.account, freed)
}

// done marks o as complete.
func (q *quota) done(o *Object) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finish(&o.charge)
	q.dispatch()
}

func (q *quota) finish(ch *charge) {
	if !ch.complete && !ch.turn {
		q.add(ch.account, usage{unfinished: ch.small - ch.size})
	}
	ch.complete = true
}

// close frees everything that is counted for o.
func (q *quota) close(o *Object) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finish(&o.charge)
	q.subtract(o, o.charge.size)
	a := o.charge.account
	if o.charge.turn {
		q.add(a, usage{turns: -1})
	}
	if a.users--; a.users == 0 && len(q.accounts) > idleAccounts {
		delete(q.accounts, a.key)
	}
	q.dispatch()
}

// configure changes the quota. If it is lowered below what is used, nothing is admitted until
// enough is freed.
func (q *quota) configure(cfg Config) {
	defer q.makeRoom()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total, q.share, q.turn = cfg.Total, cfg.Share, 0
	if cfg.Largest > 0 {
		q.turn = max(pages(cfg.Largest), 2*cfg.Memory)
	}
	q.dispatch()
}

func (q *quota) stats() (used, kept, total int64, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.all.held + q.all.small, q.kept, q.total, q.waiting
}
