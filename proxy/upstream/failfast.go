package upstream

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
)

// How long a scan that has no usable node waits for the health check under way.
const (
	// firstWait is for a node of which nothing is known yet, from the start of its
	// first check.
	firstWait = 10 * time.Second
	// againWait is for a node that was taken out: a check that has gone well by then
	// has cost the scan nothing.
	againWait = 50 * time.Millisecond
)

// awaitsCanary returns how long t may wait for a health check that may make a node
// usable which t has not tried; 0: there is none, or none that is worth waiting for.
// All scans wait for the same check: an engine that does not answer is dialled once at
// a time. The caller has mu.
func (u *pool) awaitsCanary(t *ticket) time.Duration {
	if !u.config().Canary {
		return 0
	}
	var wait time.Duration
	for _, n := range u.nodes {
		if n.state == blind || slices.Contains(t.tried, n) {
			continue
		}
		if n.state == unknown && !n.checking && !time.Now().Before(n.due) {
			u.startCheck(n)
		}
		if !n.checking {
			continue
		}
		limit := againWait
		if n.state == unknown {
			limit = firstWait
		}
		wait = max(wait, limit-time.Since(n.checkBegan))
	}
	return wait
}

// hopeless says why there is no node for t. The caller has mu.
func (u *pool) hopeless(t *ticket) error {
	if t.err != nil {
		return t.err
	}
	if u.life.Err() != nil {
		return ended(u.life, nil)
	}
	for _, n := range u.nodes {
		if n.reason != nil && !slices.Contains(t.tried, n) {
			t.last = n
			return n.reason
		}
	}
	for _, n := range u.nodes {
		if n.state == unknown && n.checking {
			t.last = n
			return &backends.Failure{
				Category: backends.Interrupted, Code: backends.NoCode,
				Text: fmt.Sprintf("no answer to the test files within %v", time.Since(n.checkBegan).Round(time.Millisecond)),
			}
		}
	}
	return errors.New("no node left")
}

// The bounds of the time that a node has for one test object before it counts as hung.
const (
	checkMin   = time.Second
	checkTimes = 20 // as long as such objects usually take
)

// checkTime is how long n has for a test object. Where another node is there to take
// the scans, little is lost if n is taken out although it is only busy; the last
// one gets half of a scan's time.
func (u *pool) checkTime(n *node) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	half := u.config().Timeout / 2
	for _, other := range u.nodes {
		if other != n && u.usable(other) {
			usual, _ := n.times[0].usual()
			return min(half, max(checkMin, checkTimes*usual))
		}
	}
	return half
}

// watchCheck takes n out if it does not answer a test object in time, until the function
// that it returns is called.
func (u *pool) watchCheck(n *node, name string) (stop func()) {
	asked, limit := time.Now(), u.checkTime(n)
	var timer *time.Timer
	timer = time.AfterFunc(limit, func() {
		if u.presumeHung(n, name, asked) {
			return
		}
		asked = time.Now()
		timer.Reset(limit)
	})
	return func() { timer.Stop() }
}

// presumeHung takes n out because it has not answered a test object that it has had
// since asked. The check goes on: if the answer comes after all, n is back immediately.
// It reports false if n has answered a scan meanwhile: then it may only be slow.
func (u *pool) presumeHung(n *node, name string, asked time.Time) bool {
	u.mu.Lock()
	if n.heard.After(asked) {
		u.mu.Unlock()
		return false
	}
	var c *change
	if n.checking && !n.retired && !n.reloading && (n.state == up || n.state == unknown) {
		reason := &backends.Failure{
			Category: backends.Interrupted, Code: backends.NoCode,
			Text: fmt.Sprintf("hangs: no answer to a test file (%s) within %v", name, time.Since(n.checkBegan).Round(time.Millisecond)),
		}
		u.disappoint(n, reason)
		c = u.set(n, down, reason)
	}
	u.mu.Unlock()
	u.tell(c)
	return true
}
