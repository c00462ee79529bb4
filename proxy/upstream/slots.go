package upstream

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
)

// ticket is what a scan asks slots with. While it is queued it belongs to
// Upstream.mu, else to the scan.
type ticket struct {
	only *node // a test object's: this node in whatever state, and before all scans
	// patient is for a test object that can wait: it goes to the end of the queue.
	patient bool
	control bool    // for the clean control of another polyclam
	tried   []*node // not to be used again
	last    *node   // of tried, the one whose canary failed last while the scan waited for it
	err     error   // and how

	doubt doubt // of the node, when it was given: see question

	place *list.Element // nil: not queued
	ready chan slot     // takes the one slot, or reason, given to a queued ticket
}

// slot is a slot taken on node, or the reason why there is none.
type slot struct {
	node *node
	err  error
}

func newTicket() *ticket { return &ticket{ready: make(chan slot, 1)} }

// acquire takes a slot on the best node that t may use, waiting for one if need
// be. ask gives it back.
func (u *pool) acquire(ctx context.Context, t *ticket) (*node, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx, nil)
	}
	begin := time.Now()
	u.mu.Lock()
	if u.mutual(t) {
		u.mu.Unlock()
		return nil, errMutual
	}
	if n, err := u.seek(t); n != nil || err != nil {
		u.mu.Unlock()
		return n, err
	}
	if t.only != nil && !t.patient {
		t.place = u.queue.PushFront(t)
	} else {
		t.place = u.queue.PushBack(t)
	}
	u.mu.Unlock()
	select {
	case s := <-t.ready:
		return s.node, s.err
	case <-ctx.Done():
		return nil, u.leave(ctx, t, begin)
	}
}

// leave takes t out of the queue, or gives back what it has been given in the
// meantime, and says why there was no slot.
func (u *pool) leave(ctx context.Context, t *ticket, begin time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t.place != nil {
		u.queue.Remove(t.place)
		t.place = nil
	} else if s := <-t.ready; s.node != nil {
		u.giveBack(s.node)
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ended(ctx, nil)
	}
	text := "no free slot within %v (keys max_scans, timeout)"
	if t.only == nil && !u.anyUsable(t) {
		text = "no answer to the test files within %v, and no other node"
	}
	return &backends.Failure{
		Category: backends.Interrupted,
		Code:     backends.NoCode,
		Text:     fmt.Sprintf(text, time.Since(begin).Round(time.Millisecond)),
	}
}

// seek takes a slot for t; neither a node nor an error means to wait.
//
// No ticket in the queue could take a slot that is free: what becomes free, or
// usable, is given to the queue first. So who comes new overtakes nobody.
func (u *pool) seek(t *ticket) (*node, error) {
	if t.only != nil && t.only.retired {
		return nil, errRetired
	}
	var best *node
	eligible := false
	bestAt := 0
	for i := range u.nodes {
		at := (u.rotation + i) % len(u.nodes)
		n := u.nodes[at]
		if !u.eligible(t, n) {
			continue
		}
		eligible = true
		if n.inFlight < u.config().MaxScans && (best == nil || n.inFlight < best.inFlight) {
			best, bestAt = n, at
		}
	}
	if best != nil {
		u.rotation = bestAt + 1
		u.take(t, best)
		return best, nil
	}
	if eligible || u.awaitsCanary(t) {
		return nil, nil
	}
	return nil, u.hopeless(t)
}

// eligible says whether t may use n as soon as it has a free slot.
func (u *pool) eligible(t *ticket, n *node) bool {
	if n.retired {
		return false
	}
	if t.only != nil {
		return n == t.only
	}
	if slices.Contains(t.tried, n) || u.spared(t, n) {
		return false
	}
	// Without canary the scan itself is the probe, when there is nothing better.
	return u.usable(n) || !u.config().Canary && !u.anyUsable(t)
}

func (u *pool) anyUsable(t *ticket) bool {
	return slices.ContainsFunc(u.nodes, func(n *node) bool {
		return u.usable(n) && !slices.Contains(t.tried, n)
	})
}

// awaitsCanary says whether a node that t has not tried may become usable by a
// canary now, and sees to it that the canary is under way. All scans wait for
// the same one: an engine that does not answer is dialled once at a time.
func (u *pool) awaitsCanary(t *ticket) bool {
	if !u.config().Canary {
		return false
	}
	awaits := false
	for _, n := range u.nodes {
		if n.state == blind || slices.Contains(t.tried, n) {
			continue
		}
		u.startCheck(n)
		awaits = true
	}
	return awaits
}

// hopeless says why there is no node for t.
func (u *pool) hopeless(t *ticket) error {
	if t.err != nil {
		return t.err
	}
	for _, n := range u.nodes {
		if n.reason != nil {
			t.last = n
			return n.reason
		}
	}
	return errors.New("no node left")
}

func (u *pool) take(t *ticket, n *node) {
	t.doubt = n.doubt
	n.inFlight++
	u.inFlight++
}

// giveBack frees a slot of n and hands it to the first in the queue who may
// have it.
func (u *pool) giveBack(n *node) {
	n.inFlight--
	u.inFlight--
	if n.retired && n.inFlight == 0 {
		go closeBackend(u, n)
	}
	// After a reload that lowers max_scans, n may have more scans than it may get.
	for e := u.queue.Front(); e != nil && n.inFlight < u.config().MaxScans; e = e.Next() {
		if t := e.Value.(*ticket); u.eligible(t, n) {
			u.take(t, n)
			u.give(t, slot{node: n})
			return
		}
	}
	if u.closing && u.inFlight == 0 {
		go u.closeBackends()
	}
}

// dispatchAll looks at every ticket after nodes changed their state.
func (u *pool) dispatchAll() {
	var next *list.Element
	for e := u.queue.Front(); e != nil; e = next {
		next = e.Next()
		t := e.Value.(*ticket)
		if n, err := u.seek(t); n != nil || err != nil {
			u.give(t, slot{n, err})
		}
	}
}

func (u *pool) give(t *ticket, s slot) {
	u.queue.Remove(t.place)
	t.place = nil
	t.ready <- s
}
