package engine

import (
	"context"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/timing"
)

// slowUnknown is how long a scan may take while usual times are not known.
const slowUnknown = 2 * time.Second

// errTakenOut cancels a scan whose node was taken out.
const errTakenOut = CalledOff("the node was taken out while it scanned")

// slowAfter is how long a scan of that size class may take before its node counts as slow:
// the usual time of the fastest usable node. A slow node's own usual time is no reason to
// wait.
func (p *pool) slowAfter(class int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slowAfterLocked(class)
}

// slowAfterLocked is slowAfter for a caller that holds mu.
func (p *pool) slowAfterLocked(class int) time.Duration {
	slow := slowUnknown
	for _, n := range p.nodes {
		if d, known := n.times[class].Usual(); known && p.usable(n) {
			slow = min(slow, max(d, timing.Floor))
		}
	}
	return slow
}

// hedges reports whether two nodes may have the object at the same time.
func (r *race) hedges() bool {
	_, acts := r.running[0].node.backend.(backends.SideEffects)
	return !r.e.cfg.NoHedge && !acts && !r.observed
}

// slow is called repeatedly once the first node has taken longer than usual. It requests a
// health check, to see whether the node still answers at all, and sends the object to a
// second node, within the hedging budget.
func (r *race) slow(after time.Duration) {
	if len(r.running) != 1 {
		return
	}
	first := r.running[0]
	if !first.suspected {
		first.suspected = r.e.suspect(first.node, after)
	}
	if r.moving != nil || !r.hedges() || !r.e.budget.Spend() {
		return
	}
	n := r.e.tryAcquire(r.ticket)
	if n != nil && n.rank > first.node.rank { // a slow node is still usable
		r.e.giveBackUnused(n, r.ticket.grant)
		n = nil
	}
	if n == nil {
		r.e.budget.Refund()
		return
	}
	r.e.counts.hedged.Add(1)
	r.start(n)
	r.running[1].hedge = true
}

// silent reports whether the only node in use has not answered any scan lately. A node that
// answers other scans is only busy, and the next node may be busy too.
func (r *race) silent(lately time.Duration) bool {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	return len(r.running) == 1 && time.Since(r.running[0].node.health.LastAnswer()) >= lately
}

// move sends the object to another node as soon as one has a slot. It is for a first node
// that has been taken out, or has been silent for half of the time.
func (r *race) move() {
	if len(r.running) != 1 || r.moving != nil || !r.hedges() || !r.hasOther() {
		return
	}
	ctx, stop := context.WithCancel(r.ctx)
	moving := make(chan slot, 1)
	r.moving, r.stop = moving, stop
	go func() {
		n, err := r.e.acquire(ctx, r.ticket)
		moving <- slot{n, err}
	}()
}

// moved handles the slot that a move waited for. It reports whether the race is over.
func (r *race) moved(s slot) (over bool) {
	r.stop()
	r.moving, r.stop = nil, nil
	switch {
	case s.node != nil && !r.withheld():
		r.replay(s.node)
		return false
	case s.node != nil:
		r.e.giveBackUnused(s.node, r.ticket.grant)
	}
	return len(r.running) == 0
}

// endMove ends the move under way, if any.
func (r *race) endMove() {
	if r.moving == nil {
		return
	}
	moving, t, p := r.moving, r.ticket, r.e.pool
	r.stop()
	r.moving, r.stop = nil, nil
	go func() {
		if s := <-moving; s.node != nil {
			p.giveBackUnused(s.node, t.grant)
		}
	}()
}

// replaceFirst sends the object to another node, if there is one, because the first has
// been taken out. It reports whether the race is over.
func (r *race) replaceFirst() (over bool) {
	if len(r.running) != 1 {
		return false
	}
	if !r.hedges() {
		return r.abandonFirst()
	}
	r.move()
	return false
}

// abandonFirst is move for objects that only one node at a time may have: it cancels the
// first scan before it starts the next one. It reports whether the race is over.
func (r *race) abandonFirst() (over bool) {
	if !r.hasOther() {
		return false
	}
	q := r.running[0]
	q.cancel(errTakenOut)
	if !r.e.abandon(q) {
		return r.ended(<-r.answers)
	}
	r.remove(q)
	r.node, r.err = q.node, errTakenOut
	return r.next()
}

// hasOther reports whether another node could take the object.
func (r *race) hasOther() bool {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	return r.e.anyUsable(r.ticket)
}
