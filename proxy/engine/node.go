package engine

import (
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"polyclam/backends"
	"polyclam/proxy/client"
)

// state is what is known of a node, see the package's documentation.
type state int

const (
	unknown state = iota
	up
	down
	blind
)

// The pauses before a node that is down or blind is tried again; doubled from
// one to the other.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// node is one address with what is known of it.
type node struct {
	address  string
	identity string // see Node.Identity
	backend  backends.Backend
	versions versionCache

	scans    atomic.Uint64
	failures atomic.Uint64
	replays  atomic.Uint64

	// The rest is guarded by Engine.mu.
	inFlight  int
	held      map[client.Key]int // the same, by client
	limit     limit
	answered  time.Time // when the newest question was asked that had an answer in time
	mails     int       // scans under way that nobody has left behind, no health checks
	deaths    []*death  // that are undecided
	hangs     []*hang   // that are undecided
	retired   bool      // a reload of the configuration has taken it out
	state     state
	told      state // the state that was last logged
	reason    error // why it is down or blind
	doubt     doubt
	distrust  error        // why answers of before the last doubt are thrown away
	loop      error        // set when the nonce of a check came back
	check     *healthCheck // under way; nil: none is
	rush      bool         // another one is to follow it at once
	due       time.Time
	pause     time.Duration
	lost      chan struct{} // closed when the node is taken out; a new one when it is back
	timeouts  int           // scans in a row that found no end
	suspected bool          // it is silent, and another node could take its scans
	heard     time.Time     // of the last answer to a scan
	trial     bool          // without canary: one scan at a time, until one is answered
	times     [sizeClasses]times
	timer     *time.Timer // ends being down where there is no canary
	canary    Canary

	heuristics heuristics
	size       sizeProof
	sizing     bool        // checkSize is under way
	sizeAge    int         // counts what made size worth proving again
	sizeAsked  time.Time   // when size was last proven from the start
	unproven   bool        // an ok for a large object is partial, see doubtSize
	trusted    int64       // up to this size it is ok all the same
	caught     bool        // the largest object is not scanned, and the limit not found yet
	sizeTimer  *time.Timer // ends unproven

	versionText string // what it said it was, at the last health check

	reloading bool      // its engine is loading signatures, see Reload
	proven    time.Time // when the last health check began that found it up
}

// doubt counts how often an answer of before was found out to be worth nothing.
type doubt struct {
	lapses int // EICAR was not found: an ok is worth nothing
	alarms int // the clean control was bad, or came back: nor is a find
}

func newNode(n Node) *node {
	return &node{address: n.Address, identity: n.Identity, backend: n.Backend, lost: make(chan struct{})}
}

func address(n *node) string {
	if n == nil {
		return ""
	}
	return n.address
}

// usable says whether scans are given to n.
func (u *pool) usable(n *node) bool {
	if n.retired {
		return false
	}
	return n.state == up || n.state == unknown && !u.config().Canary && !(n.trial && n.inFlight > 0)
}

// set changes the state of n and returns the line to log, if any, for the time
// after mu is released. Everybody who waits is looked at again.
func (u *pool) set(n *node, s state, reason error) *change {
	if n.retired {
		n.state, n.reason = s, reason
		return nil
	}
	if s != up && n.state != s {
		close(n.lost)
		n.lost = make(chan struct{})
	}
	n.state, n.reason = s, reason
	if s == up {
		n.pause, n.timeouts = 0, 0
		n.due = time.Now().Add(u.config().CanaryInterval)
		if n.rush {
			n.due = time.Now()
		}
	}
	u.rouse()
	u.dispatchAll()
	if s == unknown || s == n.told {
		return nil
	}
	c := &change{node: n, from: n.told, to: s, reason: reason}
	n.told = s
	return c
}

// backOff makes the pause before the next try longer. It is called once a try, however
// many scans asked for the node meanwhile.
func (u *pool) backOff(n *node) {
	n.pause = min(max(2*n.pause, firstPause), lastPause, u.config().CanaryInterval)
	n.due = time.Now().Add(n.pause)
}

// markDown takes n out after what a scan met there. A health check follows
// immediately; where there is none, a scan after a pause.
func (u *pool) markDown(n *node, reason error) *change {
	if n.state == blind || n.state == down || n.retired {
		return nil // blind ends only with a health check
	}
	n.due = time.Now()
	n.rush = n.checking() // what is under way may be of before
	if !u.config().Canary && !u.closing && !n.retired {
		u.backOff(n)
		n.stopTimer()
		n.timer = time.AfterFunc(n.pause, func() { u.forgive(n) })
	}
	return u.set(n, down, reason)
}

// forgive lets one scan try n after the pause; for engines without canary.
func (u *pool) forgive(n *node) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n.state == down && !u.closing && !n.retired {
		n.trial = true
		u.set(n, unknown, n.reason)
	}
}

func (n *node) stopTimer() {
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
}

// hurry asks for a canary before the regular one, but not before the first pause
// is over since the last.
func (u *pool) hurry(n *node) {
	if n.checking() {
		n.rush = true // what is under way may be of before
		return
	}
	soon := time.Now()
	if earliest := n.canary.Time.Add(firstPause); soon.Before(earliest) {
		soon = earliest
	}
	if soon.Before(n.due) {
		n.due = soon
		u.rouse()
	}
}

// rouse makes Run look at its nodes again.
func (u *pool) rouse() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// change is a change of state to be logged.
type change struct {
	node     *node
	from, to state
	reason   error
}

// tell logs a change: one warn each way, and the first success as info.
func (u *pool) tell(c *change) {
	if c == nil {
		return
	}
	address := bounded(c.node.address)
	switch {
	case c.to != up:
		u.log.Warn().Str("node", address).Str("reason", bounded(c.reason.Error())).Msg("engine down")
	case c.from == unknown:
		u.log.Info().Str("node", address).Msg("engine up")
	default:
		u.log.Warn().Str("node", address).Msg("engine up")
	}
}

// bounded is s for the log: what an engine sent may be of any length.
func bounded(s string) string {
	const limit = 200
	if len(s) > limit {
		end := limit
		for end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
