package proxy

import (
	"errors"
	"sync"
	"time"

	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// errGone is why the work for a client is called off that has hung up.
const errGone = engine.CalledOff("the client has gone")

// watchAfter is how long a client waits for us before it is watched: most scans are
// over by then and cost no watch.
const watchAfter = 20 * time.Millisecond

// A watch notices that the client of a session hangs up while its connection is not
// being read, and then calls off what is being done for it.
//
// On a Unix socket that is its close, or end. A client that only half-closes waits for
// its answer, as many do. On TCP the two look the same; there the client has gone when
// its host resets the connection, or does not answer keepalives any more.
type watch struct {
	mu      sync.Mutex
	users   int           // that wait, and want it watched
	looking chan struct{} // closed when look has ended; nil: it does not run

	// In the list of the server, see watchList.
	listed     bool
	since      time.Time
	prev, next *session
}

// beginWatch is called before a wait; until endWatch the connection must not be read
// from.
func (s *session) beginWatch() {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users++; w.users == 1 && s.conn.Watchable() {
		s.srv.unwatched.add(s)
	}
}

// endWatch is called once for each beginWatch. After the last one the connection may
// be read from again.
func (s *session) endWatch() {
	w := &s.watch
	w.mu.Lock()
	if w.users--; w.users > 0 {
		w.mu.Unlock()
		return
	}
	s.srv.unwatched.remove(s)
	looking := w.looking
	w.looking = nil
	if looking == nil {
		w.mu.Unlock()
		return
	}
	s.conn.SetReadDeadline(time.Unix(1, 0))
	w.mu.Unlock()
	<-looking
	s.conn.SetReadDeadline(time.Time{})
}

// look waits until the client hangs up or the watch ends.
func (s *session) look() {
	w := &s.watch
	w.mu.Lock()
	if w.users == 0 || w.looking != nil {
		w.mu.Unlock() // endWatch was faster
		return
	}
	looking := make(chan struct{})
	w.looking = looking
	s.conn.SetReadDeadline(time.Time{})
	w.mu.Unlock()
	defer close(looking)
	if s.conn.AwaitHangup() {
		s.cancel(errGone)
	}
}

// A watchList is the sessions whose clients are to be watched if they wait for
// watchAfter, the oldest first. One timer serves them all: one for each scan would
// wake the runtime's poller for each.
type watchList struct {
	mu          sync.Mutex
	first, last *session
	timer       *time.Timer
	running     bool // the timer
}

func (l *watchList) add(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &s.watch
	w.listed, w.since, w.prev, w.next = true, time.Now(), l.last, nil
	if l.last != nil {
		l.last.watch.next = s
	} else {
		l.first = s
	}
	l.last = s
	if !l.running {
		l.start(watchAfter)
	}
}

func (l *watchList) start(after time.Duration) {
	l.running = true
	if l.timer == nil {
		l.timer = time.AfterFunc(after, l.lookAfter)
		return
	}
	l.timer.Reset(after)
}

// remove takes s off the list, if it is there.
func (l *watchList) remove(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.watch.listed {
		l.unlink(s)
	}
}

func (l *watchList) unlink(s *session) {
	w := &s.watch
	if w.prev != nil {
		w.prev.watch.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.watch.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.listed, w.prev, w.next = false, nil, nil
}

// lookAfter has those looked after that have waited long enough.
func (l *watchList) lookAfter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for l.first != nil {
		s := l.first
		if left := watchAfter - now.Sub(s.watch.since); left > 0 {
			l.start(left)
			return
		}
		l.unlink(s)
		go s.look()
	}
	l.running = false
}

// calledOff reports whether v is what is left of a scan whose client has gone.
func calledOff(v policy.Verdict) bool {
	for _, report := range v.Reports {
		if errors.Is(report.Err, errGone) {
			return true
		}
	}
	return false
}

// A watchedWriter writes to the spool what the client of s sends, and has the client
// watched while that waits.
type watchedWriter struct {
	*spool.Writer
	s *session
}

// Write implements [io.Writer].
func (w watchedWriter) Write(p []byte) (int, error) {
	w.s.beginWatch()
	defer w.s.endWatch()
	return w.Writer.Write(p)
}
