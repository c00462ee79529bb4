package proxy

import (
	"context"
	"sync"
	"time"

	"polyclam/protocol"
)

// watchAfter is how long a client waits before its connection is watched. Most scans are
// faster and need no watch.
const watchAfter = 20 * time.Millisecond

// A watch notices that a client hangs up while its connection is not being read, and
// cancels its work with errGone.
//
// On a Unix socket a client hangs up by closing the connection or by exiting; one that
// only half-closes waits for its answer, as many clients do. On TCP close and half-close
// look alike, so a client has gone only when its host resets the connection or no longer
// answers keepalives.
type watch struct {
	conn   *protocol.Conn
	list   *watchList
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	users   int           // waits under way
	looking chan struct{} // closed when look returns; nil: it does not run

	// Guarded by list.mu.
	listed     bool
	since      time.Time
	prev, next *watch
}

func (w *watch) init(conn *protocol.Conn, list *watchList, cancel context.CancelCauseFunc) {
	w.conn, w.list, w.cancel = conn, list, cancel
}

// begin is called before a wait. Until end the connection must not be read.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users++; w.users == 1 && w.conn.Watchable() {
		w.list.add(w)
	}
}

// end is called once for each begin. After the last one the connection may be read again.
func (w *watch) end() {
	w.mu.Lock()
	if w.users--; w.users > 0 {
		w.mu.Unlock()
		return
	}
	w.list.remove(w)
	looking := w.looking
	w.looking = nil
	if looking == nil {
		w.mu.Unlock()
		return
	}
	w.conn.SetReadDeadline(time.Unix(1, 0))
	w.mu.Unlock()
	<-looking
	w.conn.SetReadDeadline(time.Time{})
}

// look waits until the client hangs up or the watch ends.
func (w *watch) look() {
	w.mu.Lock()
	if w.users == 0 || w.looking != nil {
		w.mu.Unlock() // end came first
		return
	}
	looking := make(chan struct{})
	w.looking = looking
	w.conn.SetReadDeadline(time.Time{})
	w.mu.Unlock()
	defer close(looking)
	if w.conn.AwaitHangup() {
		w.cancel(errGone)
	}
}

// A watchList holds the watches that have not waited for watchAfter yet, the oldest
// first. One timer serves them all: a timer for each scan would wake the runtime's poller
// for each.
type watchList struct {
	mu          sync.Mutex
	first, last *watch
	timer       *time.Timer
	running     bool // the timer
}

func (l *watchList) add(w *watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.listed, w.since, w.prev, w.next = true, time.Now(), l.last, nil
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	if !l.running {
		l.start(watchAfter)
	}
}

func (l *watchList) start(after time.Duration) {
	l.running = true
	if l.timer == nil {
		l.timer = time.AfterFunc(after, l.lookAtOldest)
		return
	}
	l.timer.Reset(after)
}

// remove takes w off the list, if it is there.
func (l *watchList) remove(w *watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.listed {
		l.unlink(w)
	}
}

func (l *watchList) unlink(w *watch) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.listed, w.prev, w.next = false, nil, nil
}

// lookAtOldest starts the watches that have waited for watchAfter.
func (l *watchList) lookAtOldest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for l.first != nil {
		w := l.first
		if left := watchAfter - now.Sub(w.since); left > 0 {
			l.start(left)
			return
		}
		l.unlink(w)
		go w.look()
	}
	l.running = false
}
