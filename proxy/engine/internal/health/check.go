package health

import (
	"context"
	"time"
)

// A Check is a health check that is under way.
type Check struct {
	Began  time.Time
	cancel context.CancelFunc
	late   bool // see Node.Late
}

// StartCheck begins a check that cancel ends early. A late check is canceled.
func (n *Node) StartCheck(cancel context.CancelFunc) *Check {
	if n.check != nil {
		n.check.cancel()
	}
	n.check = &Check{Began: time.Now(), cancel: cancel}
	n.again, n.loop = false, nil
	return n.check
}

// Checking reports whether a check is under way that may still end soon.
func (n *Node) Checking() bool { return n.check != nil && !n.check.late }

// CheckAge is how long ago the check under way began; 0: there is none.
func (n *Node) CheckAge() time.Duration {
	if n.check == nil {
		return 0
	}
	return time.Since(n.check.Began)
}

// Late marks c as late: it has waited too long for an answer. The check goes on until the
// next one begins, since an answer shows that the node is back. Late reports false if c is
// no longer the check under way.
func (n *Node) Late(c *Check) bool {
	if n.check != c || n.retired {
		return false
	}
	c.late = true
	return true
}

// EndCheck ends c. It reports false if another check has begun since.
func (n *Node) EndCheck(c *Check) bool {
	if n.check != c {
		return false
	}
	n.check, n.suspected = nil, false
	return true
}

// Postpone makes the next check due after the first pause. It is for a check that never
// reached the node, for the given reason.
func (n *Node) Postpone(reason error) {
	n.due = time.Now().Add(FirstPause)
	if n.state == Unknown {
		n.reason = reason
	}
}

// Outcome is what a health check found.
type Outcome struct {
	State  State // Up, Down or Blind
	Reason error // why it is not up
	// Alarm says that the node is blind because it calls a harmless text a virus.
	Alarm bool
	// Answered says that the node answered every test object it was given.
	Answered bool
	At       time.Time // of the last answer
}

// Conclude records the outcome of the ended check c, and returns the state and reason for
// [Node.Set]. They differ from the outcome if the node loops, or was blind before.
func (n *Node) Conclude(c *Check, o Outcome) (State, error) {
	n.checked = o.At
	switch {
	case n.loop != nil:
		return Blind, n.loop
	case o.Alarm:
		n.epoch.alarm++
	case o.State == Blind:
		n.epoch.blind++
	case o.State == Down && n.state == Blind:
		o.State = Blind // a node that stops answering stays blind
	}
	if o.State == Blind && o.Answered {
		n.discardReason = o.Reason
	}
	if o.State == Up {
		n.proven = c.Began
	}
	return o.State, o.Reason
}

// Loop records that the clean control came back: the node leads back to polyclam. It holds
// until a later check begins.
func (n *Node) Loop(reason error) {
	n.loop, n.discardReason = reason, reason
	n.epoch.alarm++
}

// Looped reports whether the clean control of the check under way came back.
func (n *Node) Looped() bool { return n.loop != nil }

// Proven reports whether the node has passed a check that began at t or later.
func (n *Node) Proven(t time.Time) bool { return !n.proven.Before(t) }

// Due is when the next check is due.
func (n *Node) Due() time.Time { return n.due }

// DueBy makes the next check due at t, unless it already is due earlier. It reports
// whether that changed anything.
func (n *Node) DueBy(t time.Time) bool {
	if !t.Before(n.due) {
		return false
	}
	n.due = t
	return true
}

// CheckNow makes a check due immediately. If one is under way, another follows it, since
// that one may predate the reason.
func (n *Node) CheckNow() {
	n.due = time.Now()
	n.again = n.Checking()
}

// CheckSoon makes a check due before the regular one, but not before the first pause after
// the last check. It reports whether that changed when the next check is due.
func (n *Node) CheckSoon() bool {
	if n.Checking() {
		n.again = true // the one under way may predate the reason
		return false
	}
	soon := time.Now()
	if earliest := n.checked.Add(FirstPause); soon.Before(earliest) {
		soon = earliest
	}
	return n.DueBy(soon)
}

// BackOff lengthens the pause before the next check, to at most interval. Call it once per
// try, however many scans failed in the meantime.
func (n *Node) BackOff(interval time.Duration) {
	n.pause = min(max(2*n.pause, FirstPause), LastPause, interval)
	n.due = time.Now().Add(n.pause)
}

// Pause is the current pause before the next check.
func (n *Node) Pause() time.Duration { return n.pause }

// Epoch counts how often earlier answers turned out to be worthless. A scan stores the
// epoch in which it began, for [Node.DiscardReason].
type Epoch struct {
	blind int // EICAR was not found: clean results are worthless
	alarm int // the clean control failed or came back: detections are worthless too
}

// Epoch is the current epoch.
func (n *Node) Epoch() Epoch { return n.epoch }

// DiscardReason returns why the answer to a scan that began in epoch e must be discarded,
// or nil. clean says that the answer is a result without a detection.
func (n *Node) DiscardReason(e Epoch, clean bool) error {
	if n.epoch.alarm != e.alarm || n.epoch.blind != e.blind && clean {
		return n.discardReason
	}
	return nil
}
