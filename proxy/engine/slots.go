package engine

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/client"
)

// ticket is what a scan asks slots with. While it is queued it belongs to
// Engine.mu, else to the scan.
type ticket struct {
	client client.Key // zero for a test object
	only   *node      // a test object's: this node in whatever state, and before all scans
	// patient is for a test object that can wait: it goes to the end of the queue.
	patient bool
	class   int     // of the object's size
	control bool    // for the clean control of another polyclam
	tried   []*node // not to be used again
	last    *node   // of tried, the one whose canary failed last while the scan waited for it
	err     error   // and how

	grant grant // what came with the last slot

	patience time.Duration // for the health check that it waits for; 0: it waits for a slot

	number uint64        // see queue.number
	queued time.Time     // since when it waits
	list   *list.List    // of the queue; nil: not queued
	place  *list.Element // in list
	group  *group        // nil for a test object
	ready  chan slot     // takes the one slot, or reason, given to a queued ticket
}

// grant is what was true of a node when a slot of it was given.
type grant struct {
	client client.Key // who holds the slot
	doubt  doubt      // of the node
	round  int        // of its limit
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
	if t.only == nil {
		t.client = client.FromContext(ctx)
		u.recent.add(t.client, begin)
		u.updateShared(begin)
	}
	u.queue.number(t)
	if n, err := u.seek(t); n != nil || err != nil {
		u.mu.Unlock()
		return n, err
	}
	patience := t.patience
	u.queue.push(t)
	u.mu.Unlock()
	var check <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		check = timer.C
	}
	for {
		select {
		case s := <-t.ready:
			return s.node, s.err
		case <-ctx.Done():
			return nil, u.leave(ctx, t, begin)
		case <-check:
			u.giveUp(t)
		}
	}
}

// giveUp ends the wait of t for a health check that takes too long.
func (u *pool) giveUp(t *ticket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t.place != nil && !slices.ContainsFunc(u.nodes, func(n *node) bool { return u.eligible(t, n) }) {
		u.give(t, slot{err: u.hopeless(t)})
	}
}

// leave takes t out of the queue, or gives back what it has been given in the
// meantime, and says why there was no slot.
func (u *pool) leave(ctx context.Context, t *ticket, begin time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if t.place != nil {
		u.queue.remove(t)
	} else if s := <-t.ready; s.node != nil {
		u.giveBack(s.node, t.grant)
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
// usable, is given to the queue first. So a new ticket never overtakes another that
// could use the same slot, nor an older one of the same client.
func (u *pool) seek(t *ticket) (*node, error) {
	if t.only != nil && t.only.retired {
		return nil, errRetired
	}
	n, eligible := u.takeBest(t)
	if n != nil {
		return n, nil
	}
	if eligible {
		t.patience = 0
		return nil, nil
	}
	if t.patience = u.awaitsCanary(t); t.patience > 0 {
		return nil, nil
	}
	return nil, u.hopeless(t)
}

// takeBest takes a slot for t on the best node that has one free; eligible says
// whether there is a node that t could use if it had.
func (u *pool) takeBest(t *ticket) (best *node, eligible bool) {
	now, fastest := time.Now(), u.fastest(t.class)
	bestAt, least := 0, 0.0
	for i := range u.nodes {
		at := (u.rotation + i) % len(u.nodes)
		n := u.nodes[at]
		if !u.eligible(t, n) {
			continue
		}
		eligible = true
		if !u.room(t, n) {
			continue
		}
		if load := float64(n.inFlight+1) * n.times[t.class].slowness(fastest, now); best == nil || load < least {
			best, bestAt, least = n, at, load
		}
	}
	if best != nil {
		u.rotation = bestAt + 1
		u.take(t, best)
	}
	return best, eligible
}

// idle takes a slot for t on a node that has one free now; nil: none has.
func (u *pool) idle(t *ticket) *node {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, _ := u.takeBest(t)
	return n
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
	return u.usable(n)
}

func (u *pool) anyUsable(t *ticket) bool {
	return slices.ContainsFunc(u.nodes, func(n *node) bool {
		return u.usable(n) && !slices.Contains(t.tried, n)
	})
}

// take gives a slot of n to t. The caller has mu.
func (u *pool) take(t *ticket, n *node) {
	t.grant = grant{client: t.client, doubt: n.doubt, round: n.limit.round}
	n.inFlight++
	u.inFlight++
	if n.held == nil {
		n.held = map[client.Key]int{}
	}
	n.held[t.client]++
}

// handBack is giveBack for a slot that is not used.
func (u *pool) handBack(n *node, g grant) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.giveBack(n, g)
}

// giveBack frees the slot of n that came with g, for the next in the queue that may
// have it. The caller has mu.
func (u *pool) giveBack(n *node, g grant) {
	n.inFlight--
	u.inFlight--
	if n.held[g.client]--; n.held[g.client] == 0 {
		delete(n.held, g.client)
	}
	if n.retired && n.inFlight == 0 {
		go closeBackend(u, n)
	}
	u.updateShared(time.Now())
	u.handOut(n)
	if u.closing && u.inFlight == 0 {
		go u.closeBackends()
	}
}

// handOut gives the free slots of n to those in the queue who may have them.
func (u *pool) handOut(n *node) {
	for {
		t := u.queue.next(func(t *ticket) bool { return u.eligible(t, n) && u.room(t, n) })
		if t == nil {
			return
		}
		u.take(t, n)
		t.ready <- slot{node: n}
	}
}

// dispatchAll looks at the whole queue after nodes changed their state: for tickets
// that can have a slot now, and for those that need not wait any more.
func (u *pool) dispatchAll() {
	for _, n := range u.nodes {
		u.handOut(n)
	}
	for _, t := range u.queue.heads() {
		n, err := u.seek(t)
		switch {
		case n != nil:
			u.give(t, slot{node: n})
		case err != nil:
			for _, t := range u.queue.alike(t) {
				u.give(t, slot{err: u.hopeless(t)})
			}
		}
	}
}

// give ends the wait of t.
func (u *pool) give(t *ticket, s slot) {
	u.queue.remove(t)
	t.ready <- s
}
