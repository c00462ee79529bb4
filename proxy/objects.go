package proxy

import (
	"container/list"
	"sync"

	"polyclam/proxy/client"
)

// DescriptorsPerConnection is how many descriptors a connection takes: its own, and
// that of the object that it sends, hands over or names.
const DescriptorsPerConnection = 2

// objectsPart is how many connections there are for each object that sessions may have
// beyond the one that belongs to their connection.
const objectsPart = 16

// SessionObjects is how many objects all sessions together may have under way beyond
// one for each connection: enough for one session to use its session_scans, and a
// sixteenth of the connections. Sessions that want more read on when one of their
// objects is done.
func (l Limits) SessionObjects() int { return max(l.SessionScans, l.Connections/objectsPart) }

// Descriptors is how many descriptors clients may take under l.
func (l Limits) Descriptors() int {
	return DescriptorsPerConnection*l.Connections + l.SessionObjects() + l.Waiting
}

// Fit returns l with fewer connections, served and waiting, so that clients take n
// descriptors at most, as far as that leaves each of these one connection.
func (l Limits) Fit(n int) Limits {
	if l.Descriptors() <= n {
		return l
	}
	waiting := l.Waiting
	low, high := 1, l.Connections
	for low < high { // more connections never take fewer descriptors
		l.Connections = (low + high + 1) / 2
		l.Waiting = min(waiting, l.SessionObjects())
		if l.Descriptors() <= n {
			low = l.Connections
		} else {
			high = l.Connections - 1
		}
	}
	l.Connections = low
	l.Waiting = min(waiting, l.SessionObjects())
	return l
}

// objects shares the descriptors for objects of sessions out between clients. A client
// may hand over a descriptor with any command, so that a session must have a place for
// one before it reads. The zero objects is ready for use.
type objects struct {
	mu      sync.Mutex
	limits  func() Limits
	held    client.Shares
	waiting list.List // of *objectWaiter, the one to be served first in front
}

type objectWaiter struct {
	key   client.Key
	ready chan struct{} // closed when it has its place
	place *list.Element // nil then
}

// ask takes a place for one object of k, or waits in line for one: see
// [objectWaiter.ready]. One who does not want to wait any longer calls drop.
func (o *objects) ask(k client.Key) *objectWaiter {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := &objectWaiter{key: k, ready: make(chan struct{})}
	if o.take(k) {
		close(w.ready)
		return w
	}
	w.place = o.waiting.PushBack(w)
	return w
}

func (o *objects) take(k client.Key) bool {
	l := o.limits()
	return o.held.Take(k, 1, int64(l.SessionObjects()), l.ClientShare)
}

// drop gives the place of w back, or leaves the line.
func (o *objects) drop(w *objectWaiter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.place != nil {
		o.waiting.Remove(w.place)
		w.place = nil
		return
	}
	o.held.Give(w.key, 1)
	for e := o.waiting.Front(); e != nil; {
		next := e.Next()
		if first := e.Value.(*objectWaiter); o.take(first.key) {
			o.waiting.Remove(e)
			first.place = nil
			close(first.ready)
		}
		e = next
	}
}
