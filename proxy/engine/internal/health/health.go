// Package health is the state machine of one node. It turns the outcomes of scans and health
// checks into a state, and decides when the next check is due. It does not start checks,
// log, or know other nodes.
//
//	unknown --check ok--> up --failure, hang, failed check--> down --check ok--> up
//	any state --EICAR not found, clean control bad, loop--> blind --check ok--> up
package health

import "time"

// State is the state of a node.
type State int

// The states. See the documentation of package engine for what they mean.
const (
	Unknown State = iota
	Up
	Down
	Blind
)

// String returns the word for s in the status. Blind nodes are "down" too; the reason shows
// the difference.
func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Up:
		return "up"
	}
	return "down"
}

// The pauses before a node that is not up is checked again. Each is twice as long as the
// one before, up to LastPause.
const (
	FirstPause = time.Second
	LastPause  = 30 * time.Second
)

// MaxTimeouts is how many timeouts in a row take a node out.
const MaxTimeouts = 2

// Node is the health of one node. It is not safe for concurrent use.
type Node struct {
	state   State
	logged  State // the state last reported by a Change
	reason  error // why it is down or blind
	retired bool  // it is no longer configured: changes are not reported
	lost    chan struct{}

	// What answers are worth, see Epoch.
	epoch         Epoch
	discardReason error // why answers from before the last change of epoch are discarded
	loop          error // the clean control of the check under way came back

	// What scans show.
	lastAnswer time.Time // of the last answer to a scan
	timeouts   int       // in a row
	suspected  bool      // it is silent, and another node could take its scans
	trial      bool      // without checks: one scan at a time, until one is answered

	// Checks.
	check   *Check // under way; nil: none
	again   bool   // another check follows the one under way
	due     time.Time
	pause   time.Duration
	checked time.Time // when the last check got its answers
	proven  time.Time // when the last check began that found the node up
}

// New returns an unknown node, whose first check is due.
func New() *Node { return &Node{lost: make(chan struct{})} }

// A Change is a change of state to be logged.
type Change struct {
	From, To State
	Reason   error
}

// State is the node's state.
func (n *Node) State() State { return n.state }

// Reason is why the node is down or blind.
func (n *Node) Reason() error { return n.reason }

// Lost returns a channel that is closed when the node is taken out.
func (n *Node) Lost() <-chan struct{} { return n.lost }

// Set changes the state. An up node is due for its next check after interval. Set returns
// nil if there is nothing to log.
func (n *Node) Set(s State, reason error, interval time.Duration) *Change {
	if n.retired {
		n.state, n.reason = s, reason
		return nil
	}
	if s != Up && n.state != s {
		close(n.lost)
		n.lost = make(chan struct{})
	}
	n.state, n.reason = s, reason
	if s == Up {
		n.pause, n.timeouts = 0, 0
		n.due = time.Now().Add(interval)
		if n.again {
			n.due = time.Now()
		}
	}
	if s == Unknown || s == n.logged {
		return nil
	}
	c := &Change{From: n.logged, To: s, Reason: reason}
	n.logged = s
	return c
}

// Reset makes the node unknown and due, after a change of configuration.
func (n *Node) Reset() {
	n.state, n.reason, n.pause, n.due = Unknown, nil, 0, time.Now()
}

// Retire marks a node that is no longer configured.
func (n *Node) Retire() { n.retired = true }

// Revive undoes Retire. The node keeps its state, and is checked soon.
func (n *Node) Revive() {
	n.retired = false
	n.CheckSoon()
}

// Retired reports whether the node is no longer configured.
func (n *Node) Retired() bool { return n.retired }

// Usable reports whether scans may use the node. checks says whether nodes have to pass
// health checks, busy whether the node has scans.
func (n *Node) Usable(checks, busy bool) bool {
	if n.retired {
		return false
	}
	return n.state == Up || n.state == Unknown && !checks && !(n.trial && busy)
}

// Serving reports whether the node is neither down nor blind nor retired.
func (n *Node) Serving() bool {
	return !n.retired && (n.state == Up || n.state == Unknown)
}

// Answered records that a scan was answered, even if by the engine's own error.
func (n *Node) Answered() {
	n.timeouts, n.lastAnswer, n.trial = 0, time.Now(), false
}

// LastAnswer is the time of the last answer to a scan.
func (n *Node) LastAnswer() time.Time { return n.lastAnswer }

// TimedOut records that a scan had no answer although it had enough time. It reports
// whether that takes the node out.
func (n *Node) TimedOut() bool {
	if n.timeouts++; n.timeouts < MaxTimeouts {
		return false
	}
	n.timeouts = 0
	return true
}

// Suspect records whether the node is silent while another one could take its scans.
func (n *Node) Suspect(silent bool) { n.suspected = silent }

// Suspected reports what Suspect recorded since the last check.
func (n *Node) Suspected() bool { return n.suspected }

// Try makes a down node unknown, and lets one scan at a time use it until one is
// answered. It is for nodes without health checks.
func (n *Node) Try() {
	n.trial = true
	n.Set(Unknown, n.reason, 0)
}
