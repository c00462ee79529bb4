package engine

import (
	"slices"
	"time"

	"polyclam/proxy/client"
	"polyclam/proxy/engine/internal/queue"
)

// errRetired ends the health checks of a node that is no longer configured.
const errRetired = CalledOff("a reload or a new answer of the name servers has removed or changed the node")

// pick takes a slot for t. If it returns neither a node nor an error, t must wait.
//
// Slots and nodes that become usable are offered to the queue first. So a new ticket never
// overtakes a queued one that could use the same slot, nor an older one of its client.
func (p *pool) pick(t *ticket) (*node, error) {
	if t.IsTest() && t.Only.health.Retired() {
		return nil, errRetired
	}
	n, eligible := p.takeBest(t)
	if n != nil {
		return n, nil
	}
	if eligible {
		t.checkWait = 0
		return nil, nil
	}
	if t.checkWait = p.checkWait(t); t.checkWait > 0 {
		return nil, nil
	}
	return nil, p.noNode(t)
}

// takeBest takes a slot for t on the best node that has one free. eligible reports whether
// there is any node that t could use if it had a free slot.
func (p *pool) takeBest(t *ticket) (best *node, eligible bool) {
	now, fastest := time.Now(), p.fastest(t.class)
	bestAt, least := 0, 0.0
	for i := range p.nodes {
		at := (p.rotation + i) % len(p.nodes)
		n := p.nodes[at]
		if !p.eligible(t, n) {
			continue
		}
		eligible = true
		if !p.hasRoom(t, n) {
			continue
		}
		if load := p.burden(n) * n.times[t.class].Slowness(fastest, now); best == nil || load < least {
			best, bestAt, least = n, at, load
		}
	}
	if best != nil {
		p.rotation = bestAt + 1
		p.choose(t, best, now)
		p.take(t, best)
	}
	return best, eligible
}

// choose records the choice of a node for a scan, see timing.Times.
func (p *pool) choose(t *ticket, best *node, now time.Time) {
	if t.IsTest() {
		return
	}
	for _, n := range p.nodes {
		if n == best {
			n.times[t.class].Choose(now)
		} else {
			n.times[t.class].Pass()
		}
	}
}

// fastest is the mean time of the fastest usable node for objects of a class; 0: not
// known. The caller holds mu.
func (p *pool) fastest(class int) time.Duration {
	var fastest time.Duration
	for _, n := range p.nodes {
		if mean, known := n.times[class].Mean(); known && p.usable(n) && (fastest == 0 || mean < fastest) {
			fastest = mean
		}
	}
	return fastest
}

// eligible reports whether t may use n as soon as it has a free slot.
func (p *pool) eligible(t *ticket, n *node) bool {
	if n.health.Retired() {
		return false
	}
	if t.IsTest() {
		return n == t.Only
	}
	return !t.HasTried(n) && !p.standsBack(t, n) && p.usable(n) && !p.outranked(t, n)
}

// standsBack reports whether n takes no new scan because it is being reloaded and t may use
// another node. If that node fails, n is used again immediately.
func (p *pool) standsBack(t *ticket, n *node) bool {
	return n.reloading && slices.ContainsFunc(p.nodes, func(other *node) bool {
		return !other.reloading && p.usable(other) && !t.HasTried(other)
	})
}

// hasRoom reports whether n has a free slot that t may take. A lowered limit does not apply
// to health checks, which show when the node has recovered.
func (p *pool) hasRoom(t *ticket, n *node) bool {
	total := p.config().MaxScans
	if t.IsTest() && !t.Patient {
		// If hung scans hold all slots of a silent node, it gets one more for the check.
		return n.inFlight < total || n.health.Suspected() && n.inFlight == total
	}
	slots := n.limit.Slots(total)
	if n.inFlight >= slots {
		return false
	}
	return !p.shared || t.Client.IsZero() || n.held[t.Client] < slots-queue.Reserve(slots)
}

// take takes a slot of n for t. The caller holds mu.
func (p *pool) take(t *ticket, n *node) {
	t.grant = grant{client: t.Client, epoch: n.health.Epoch(), round: n.limit.Round()}
	n.inFlight++
	p.inFlight++
	if n.held == nil {
		n.held = map[client.Key]int{}
	}
	n.held[t.Client]++
	if !t.IsTest() {
		p.countGiven(n)
	}
}
