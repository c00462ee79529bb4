package engine

import (
	"context"
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
		if n.state == unknown && !n.checking() && !time.Now().Before(n.due) {
			u.startCheck(n)
		}
		if !n.checking() {
			continue
		}
		limit := againWait
		if n.state == unknown {
			limit = firstWait
		}
		wait = max(wait, limit-time.Since(n.check.began))
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
		if n.state == unknown && n.checking() {
			t.last = n
			return &backends.Failure{
				Category: backends.Interrupted, Code: backends.NoCode,
				Text: fmt.Sprintf("no answer to the test files within %v", time.Since(n.check.began).Round(time.Millisecond)),
			}
		}
	}
	return errors.New("no node left")
}

// A healthCheck is one check of a node that is under way.
type healthCheck struct {
	began time.Time
	// late says that the node has taken too long for a test object. The check goes on,
	// since an answer shows that the node is back, until the next one begins.
	late   bool
	cancel context.CancelFunc
}

// errSuperseded is why a late check is called off.
const errSuperseded = CalledOff("another health check has begun")

// startCheck begins a health check of n unless one is under way that is not late. The
// caller has mu.
func (u *pool) startCheck(n *node) {
	if n.checking() {
		return
	}
	if n.check != nil {
		n.check.cancel()
	}
	ctx, end := u.checkContext(n)
	ctx, cancel := context.WithCancelCause(ctx)
	check := &healthCheck{began: time.Now()}
	check.cancel = func() { cancel(errSuperseded) }
	n.check, n.rush, n.loop = check, false, nil
	go func() {
		defer end()
		defer cancel(nil)
		u.check(ctx, n, check)
	}()
}

// checking reports whether a health check is under way that may end soon. The caller has
// mu.
func (n *node) checking() bool { return n.check != nil && !n.check.late }

// The bounds of the time that a node has for one test object before it counts as hung.
const (
	checkMin   = time.Second
	checkTimes = 20 // as long as such objects usually take
	checkOut   = 5 * time.Second
)

// checkTime is how long n has for a test object. Where another node is there to take
// the scans, or n gets none anyway, little is lost if n is taken for hung although it is
// only busy; the last one in use gets half of a scan's time.
func (u *pool) checkTime(n *node) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	half := u.config().Timeout / 2
	usual, _ := n.times[0].usual()
	if n.state == down || n.state == blind {
		return min(half, max(checkMin, min(checkOut, u.config().CanaryInterval), checkTimes*usual))
	}
	for _, other := range u.nodes {
		if other != n && u.usable(other) {
			return min(half, max(checkMin, checkTimes*usual))
		}
	}
	return half
}

// watchCheck makes a check late if n does not answer a test object in time, until the
// function that it returns is called.
func (u *pool) watchCheck(n *node, c *healthCheck, name string) (stop func()) {
	asked, limit := time.Now(), u.checkTime(n)
	var timer *time.Timer
	timer = time.AfterFunc(limit, func() {
		if u.presumeHung(n, c, name, asked) {
			return
		}
		asked = time.Now()
		timer.Reset(limit)
	})
	return func() { timer.Stop() }
}

// presumeHung takes n out because it has not answered a test object that it has had
// since asked, and has another check begin after a pause. The first one goes on until
// then: if the answer comes after all, n is back immediately. A node that loads
// signatures may take its time, but is checked again as well.
//
// It reports false if n has answered a scan meanwhile: then it may only be slow.
func (u *pool) presumeHung(n *node, check *healthCheck, name string, asked time.Time) bool {
	u.mu.Lock()
	if n.heard.After(asked) {
		u.mu.Unlock()
		return false
	}
	var c *change
	if n.check == check && !n.retired {
		check.late = true
		u.backOff(n)
		u.rouse()
		if !n.reloading && (n.state == up || n.state == unknown) {
			reason := &backends.Failure{
				Category: backends.Interrupted, Code: backends.NoCode,
				Text: fmt.Sprintf("test file (%s): no answer within %v, the engine hangs (key timeout)", name, time.Since(asked).Round(time.Millisecond)),
			}
			u.disappoint(n, reason)
			c = u.set(n, down, reason)
		}
	}
	u.mu.Unlock()
	u.tell(c)
	return true
}
