package engine

import (
	"slices"
	"time"
)

// giveBackUnused gives back a slot that was not used.
func (p *pool) giveBackUnused(n *node, g grant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveBack(n, g)
}

// giveBack frees a slot of n for the next ticket in the queue that may use it. The caller
// holds mu.
func (p *pool) giveBack(n *node, g grant) {
	n.inFlight--
	p.inFlight--
	if n.held[g.client]--; n.held[g.client] == 0 {
		delete(n.held, g.client)
	}
	if n.health.Retired() && n.inFlight == 0 {
		p.left(n)
	}
	p.updateShared(time.Now())
	p.dispatch(n)
	if p.closing && p.inFlight == 0 {
		go p.closeBackends()
	}
}

// dispatch gives the free slots of n to queued tickets. The caller holds mu.
func (p *pool) dispatch(n *node) {
	may := func(t *ticket) bool { return p.eligible(t, n) && p.hasRoom(t, n) }
	for {
		t, found := p.queue.Next(may)
		if !found {
			return
		}
		p.take(t, n)
		t.ready <- slot{node: n}
	}
}

// dispatchAll goes through the whole queue after a node has changed its state. It gives
// slots to the tickets that can have one now, and errors to those that have nothing left to
// wait for. The caller holds mu.
func (p *pool) dispatchAll() {
	for _, n := range p.nodes {
		p.dispatch(n)
	}
	for _, t := range p.queue.Heads() {
		n, err := p.pick(t)
		switch {
		case n != nil:
			p.give(t, slot{node: n})
		case err != nil:
			for _, t := range p.queue.Alike(t) {
				p.give(t, slot{err: p.noNode(t)})
			}
		case t.checkWait > 0:
			wait := t.checkWait
			for _, t := range p.queue.Alike(t) {
				p.limitWait(t, wait)
			}
		}
	}
}

// give ends the wait of t.
func (p *pool) give(t *ticket, s slot) {
	p.dequeue(t)
	t.ready <- s
}

// dequeue takes t out of the queue. The caller holds mu.
func (p *pool) dequeue(t *ticket) {
	p.queue.Remove(t)
	if t.limit != nil {
		t.limit.Stop()
	}
}

// limitWait lets t, which is queued, wait for a health check for no longer than d. The
// caller holds mu.
func (p *pool) limitWait(t *ticket, d time.Duration) {
	if t.limit == nil {
		t.limit = time.AfterFunc(d, func() { p.giveUp(t) })
		return
	}
	t.limit.Reset(d)
}

// giveUp ends the wait of t for a health check that takes too long.
func (p *pool) giveUp(t *ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.IsQueued() && !slices.ContainsFunc(p.nodes, func(n *node) bool { return p.eligible(t, n) }) {
		p.give(t, slot{err: p.noNode(t)})
	}
}

// failWaiters marks n as tried for every ticket that has no usable node left. The caller
// holds mu.
func (p *pool) failWaiters(n *node, reason error) {
	if n.health.Retired() || p.isWithdrawn(n) {
		return
	}
	for _, first := range p.queue.Heads() {
		if first.IsTest() || p.anyUsable(first) || first.HasTried(n) {
			continue
		}
		for _, t := range p.queue.Alike(first) {
			p.queue.Exclude(t, n)
			t.last, t.err = n, reason
		}
	}
}

// updateShared updates whether slots are kept back for other clients. When they no longer
// are, queued tickets may take them. The caller holds mu.
func (p *pool) updateShared(now time.Time) {
	before := p.shared
	p.shared = p.recent.Several(now)
	if before && !p.shared {
		p.dispatchAll()
	}
}
