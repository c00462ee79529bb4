package proxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy/budget"
	"polyclam/proxy/client"
)

// refusalPause is the least time between two log lines about refused connections.
const refusalPause = time.Minute

// firstCommand is how long a connection may take to send its first command once Shutdown
// has begun. It has been accepted, so its client cannot know that it is too late.
const firstCommand = time.Second

// connections are the listeners of a server and the sessions of its clients.
type connections struct {
	limits func() Limits
	log    zerolog.Logger

	serving sync.WaitGroup // calls of Serve
	wg      sync.WaitGroup // sessions, and hashes that outlive them

	mu         sync.Mutex
	room       *sync.Cond        // signalled when another connection may be accepted
	stopping   bool              // Shutdown has begun; the backlogs are still accepted
	closing    bool              // nothing is accepted any more
	sessions   map[*session]bool // true: waiting for a command
	places     budget.Places
	hands      budget.Places // of handshakes; those that wait count among those of places
	handshakes map[*handshake]bool
	listeners  map[net.Listener]*served
	refused    int       // connections refused since the last log line about it
	logged     time.Time // the last log line about refused connections
}

// served is the state of a listener that Serve serves.
type served struct {
	retiring bool          // Retire has begun
	dropping atomic.Bool   // new connections are refused, see dropLowTTL
	done     chan struct{} // closed when the listener is closed
}

func (cs *connections) init(limits func() Limits, log zerolog.Logger) {
	cs.limits, cs.log = limits, log
	cs.room = sync.NewCond(&cs.mu)
	cs.sessions = map[*session]bool{}
	cs.listeners = map[net.Listener]*served{}
	cs.handshakes = map[*handshake]bool{}
	cs.hands.WaitWith(&cs.places)
}

// reservePlace waits until one more connection may be accepted, and reserves its place, and
// one for its handshake if it has one. It reports false when the server is closing. Beyond
// the limit clients wait in the listener's backlog, as they do with clamd.
func (cs *connections) reservePlace(hands bool) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for !cs.closing && (cs.places.Full(cs.limits().Connections) || hands && cs.hands.Full(cs.limits().Handshakes)) {
		cs.room.Wait()
	}
	if cs.closing {
		return false
	}
	cs.places.Reserve()
	if hands {
		cs.hands.Reserve()
	}
	return true
}

// returnPlace returns what reservePlace reserved, if no connection was accepted.
func (cs *connections) returnPlace(hands bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.cancelPlace(hands)
	if cs.closing {
		cs.room.Broadcast()
		return // sessions that end serve the waiting ones, or Shutdown closes them
	}
	cs.serveWaiting()
}

// cancelPlace cancels what reservePlace reserved. The caller holds mu.
func (cs *connections) cancelPlace(hands bool) {
	cs.places.Cancel()
	if hands {
		cs.hands.Cancel()
	}
}

// takeSecondPlace takes a second connection's place for c, and reports false if there is
// none. It does not wait: sessions that hold one place and wait for another could deadlock.
func (cs *connections) takeSecondPlace(c *session) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return !cs.closing && cs.places.Take(c.peer.key, cs.limits().connections())
}

// giveSecondPlace returns what takeSecondPlace took.
func (cs *connections) giveSecondPlace(c *session) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.places.Give(c.peer.key)
	cs.serveWaiting()
}

// admit serves c, for which a place was reserved, or lets it wait. It reports false if
// there is no room for that either.
func (cs *connections) admit(c *session, hands bool) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.cancelPlace(hands)
	return cs.place(c)
}

// place serves c or lets it wait. The caller holds mu.
func (cs *connections) place(c *session) bool {
	limits := cs.limits()
	switch {
	case cs.closing:
		return false
	case cs.places.Take(c.peer.key, limits.connections()):
		cs.serve(c)
	case cs.places.Wait(c.peer.key, limits.waiting(), func() { cs.serve(c) }):
		cs.sessions[c] = true
	default:
		cs.refused++
		cs.logRefused(c.peer.key, c.address)
		return false
	}
	return true
}

// serve starts the goroutine of c, which has its place.
func (cs *connections) serve(c *session) {
	cs.sessions[c] = false
	cs.wg.Add(1)
	go c.serve()
}

// serveWaiting serves waiting connections, and then lets others be accepted. The caller holds
// mu.
func (cs *connections) serveWaiting() {
	cs.places.Serve(cs.limits().connections())
	cs.room.Broadcast() // not each Serve waits for the same
}

// limitsChanged serves those that fit into the new limits.
func (cs *connections) limitsChanged() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.closing {
		cs.places.Serve(cs.limits().connections())
		cs.hands.Serve(cs.limits().handshakes())
	}
	cs.room.Broadcast()
}

// end is the last thing a session does.
func (cs *connections) end(c *session) {
	cs.mu.Lock()
	delete(cs.sessions, c)
	cs.places.Give(c.peer.key)
	cs.serveWaiting()
	cs.mu.Unlock()
	cs.wg.Done()
}

// logRefused logs that connections of client k are refused, at most once per refusalPause.
func (cs *connections) logRefused(k client.Key, address string) {
	now := time.Now()
	if now.Sub(cs.logged) < refusalPause {
		return
	}
	served, waiting := cs.places.Held(k)
	cs.log.Warn().Stringer("client", k).Str("listener", address).Int("refused", cs.refused).
		Int64("served", served).Int64("waiting", waiting).
		Str("hint", "this client has reached its share; see limits.client_share, connections and waiting").Msg("connections refused")
	cs.refused, cs.logged = 0, now
}

// idle marks c as waiting for a command. It reports false when the server is closing and no
// further command may be read.
func (cs *connections) idle(c *session, timeout time.Duration) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.stopping && c.begun {
		return false
	}
	if cs.stopping {
		timeout = min(timeout, firstCommand)
	}
	cs.sessions[c] = true
	c.conn.SetReadDeadline(time.Now().Add(timeout)) // under mu, or it would undo Shutdown's
	return true
}

// busy marks c as having a command to answer.
func (cs *connections) busy(c *session) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.sessions[c] = false
	c.begun = true
}

func (cs *connections) isClosing() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.stopping
}

// isEnding reports whether ln is to be drained and closed.
func (cs *connections) isEnding(ln net.Listener) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	l := cs.listeners[ln]
	return cs.stopping || l != nil && l.retiring
}

// track returns nil if the server is stopping.
func (cs *connections) track(ln net.Listener) *served {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.stopping {
		return nil
	}
	cs.serving.Add(1)
	l := &served{done: make(chan struct{})}
	cs.listeners[ln] = l
	return l
}

func (cs *connections) untrack(ln net.Listener) {
	cs.mu.Lock()
	l := cs.listeners[ln]
	delete(cs.listeners, ln)
	cs.mu.Unlock()
	ln.Close()
	close(l.done)
	cs.serving.Done()
}
