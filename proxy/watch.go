package proxy

import (
	"errors"
	"sync"
	"time"

	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/upstream"
)

// errGone is why the work for a client is called off that has hung up.
const errGone = upstream.CalledOff("the client has gone")

// watchAfter is how long a client waits for us before it is watched: most scans are
// over by then and cost no watch.
const watchAfter = 20 * time.Millisecond

// A watch notices that the client of a session hangs up while nobody reads from its
// connection, and then calls off what is being done for it.
//
// On a Unix socket that is its close, or end. A client that only half-closes waits for
// its answer, as many do. On TCP the two look the same; there the client has gone when
// its host resets the connection, or does not answer keepalives any more.
type watch struct {
	mu      sync.Mutex
	users   int         // that wait, and want it watched
	timer   *time.Timer // starts it
	looking chan struct{}
}

// beginWatch is called by one who is about to wait; until endWatch nobody may read from
// the connection.
func (s *session) beginWatch() {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users++; w.users > 1 || !s.conn.Watchable() {
		return
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, s.look)
	} else {
		w.timer.Reset(watchAfter)
	}
}

// endWatch is called once after beginWatch. When the last one calls it the connection
// may be read from.
func (s *session) endWatch() {
	w := &s.watch
	w.mu.Lock()
	if w.users--; w.users > 0 || w.timer == nil {
		w.mu.Unlock()
		return
	}
	w.timer.Stop()
	looking := w.looking
	w.looking = nil
	if looking != nil {
		s.conn.SetReadDeadline(time.Unix(1, 0))
	}
	w.mu.Unlock()
	if looking != nil {
		<-looking
		s.conn.SetReadDeadline(time.Time{})
	}
}

// look waits until the client hangs up or nobody waits any more.
func (s *session) look() {
	w := &s.watch
	w.mu.Lock()
	if w.users == 0 || w.looking != nil {
		w.mu.Unlock() // the timer was too fast for endWatch
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

// watched has the client of a one-shot command watched until the function it returns
// is called. In a session its reader does that, see [idSession.away].
func (r *request) watched() func() {
	if r.id > 0 {
		return func() {}
	}
	r.s.beginWatch()
	return r.s.endWatch
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
