package proxy

import (
	"container/list"
	"sync"

	"polyclam/proxy/client"
)

// objects shares descriptors out between clients: those for objects of sessions, where
// a client may hand over a descriptor with any command, so that a session must have a
// place for one before it reads; and those of walks through directories.
//
// A walk asks for all that it needs in one go, and has none of it while it waits: so no
// two walks wait for each other.
type objects struct {
	mu     sync.Mutex
	limits func() Limits
	total  func(Limits) int
	held   client.Shares
	queues map[client.Key]*list.Element // in ring
	ring   list.List                    // of *objectQueue: clients that wait, the next to be served in front
}

// An objectQueue is what one client waits for, the oldest first.
type objectQueue struct {
	key     client.Key
	waiting list.List // of *objectWaiter
}

type objectWaiter struct {
	key   client.Key
	n     int64
	ready chan struct{} // closed when it has its places
	place *list.Element // in its objectQueue; nil then
}

// ask takes places for n objects of k, all together, or waits in line for them: see
// [objectWaiter.ready]. One that does not want to wait any longer calls drop.
func (o *objects) ask(k client.Key, n int) *objectWaiter {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := &objectWaiter{key: k, n: int64(n), ready: make(chan struct{})}
	o.enqueue(w)
	o.serve()
	return w
}

// drop gives the places of w back, or leaves the line.
func (o *objects) drop(w *objectWaiter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.place == nil {
		o.held.Give(w.key, w.n)
	} else {
		o.dequeue(w)
	}
	o.serve()
}

// serve gives those that wait what they may have now, one of each client in turn.
// A client that holds nothing is not overtaken: it needs no share but only room, and
// those that want less would keep that from it. The caller has mu.
func (o *objects) serve() {
	limits := o.limits()
	for e := o.ring.Front(); e != nil; {
		w := e.Value.(*objectQueue).waiting.Front().Value.(*objectWaiter)
		// After a reload there may be less than a walk wants that began before it. It is
		// served once nothing else is taken.
		total := max(int64(o.total(limits)), w.n)
		switch {
		case o.held.Take(w.key, w.n, total, limits.ClientShare):
			o.ring.MoveToBack(e)
			o.dequeue(w)
			close(w.ready)
			e = o.ring.Front()
		case o.held.Held(w.key) == 0:
			return
		default:
			e = e.Next()
		}
	}
}

func (o *objects) enqueue(w *objectWaiter) {
	e := o.queues[w.key]
	if e == nil {
		if o.queues == nil {
			o.queues = map[client.Key]*list.Element{}
		}
		e = o.ring.PushBack(&objectQueue{key: w.key})
		o.queues[w.key] = e
	}
	w.place = e.Value.(*objectQueue).waiting.PushBack(w)
}

func (o *objects) dequeue(w *objectWaiter) {
	e := o.queues[w.key]
	q := e.Value.(*objectQueue)
	q.waiting.Remove(w.place)
	w.place = nil
	if q.waiting.Len() == 0 {
		o.ring.Remove(e)
		delete(o.queues, w.key)
	}
}
