package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/proxy/count"
)

// engineCounts are the counters of an engine. They are found once, when the engine is
// made, and outlive it if there is a [Ledger].
type engineCounts struct {
	scans     atomic.Uint64
	failed    atomic.Uint64
	replays   atomic.Uint64
	hedged    atomic.Uint64    // scans sent to a second node
	hedgesWon atomic.Uint64    // of those, answered first by the second node
	unasked   count.Categories // results of scans that no node received
	observed  observed
	cache     cacheCounts
}

// nodeCounts are the counters of a node, see engineCounts.
type nodeCounts struct {
	scans     atomic.Uint64
	failures  atomic.Uint64
	replays   atomic.Uint64
	cancelled atomic.Uint64
	results   count.Categories
	kinds     count.Categories // of failures
	times     count.Times
}

// answered counts the outcome of q after it has been corrected, see reconsider.
func (c *nodeCounts) answered(q *question, r backends.Result, err error) {
	if calledOff(q.ctx) {
		c.cancelled.Add(1)
		return
	}
	c.results.Add(categoryOf(r, err))
	if err != nil {
		for _, kind := range backends.CategoriesOf(err) {
			c.kinds.Add(kind)
		}
	}
	c.times.Observe(q.object.Size(), time.Since(q.began))
}

// calledOff reports whether the caller of a scan has cancelled it. A scan that the caller
// no longer waits for because the engine is too slow does not count as cancelled.
func calledOff(ctx context.Context) bool {
	return ctx.Err() == context.Canceled && !errors.As(context.Cause(ctx), new(Overdue))
}

// notAsked counts a scan that no node received.
func (c *engineCounts) notAsked(ctx context.Context, category backends.Category) {
	if !calledOff(ctx) {
		c.unasked.Add(category)
	}
}

// removedNodes is how many nodes a [Ledger] remembers that are no longer configured. It
// bounds the memory of a daemon that is reloaded with ever new names.
const removedNodes = 256

// A Ledger keeps the counters of engines and nodes by their names and addresses, so that
// no reload resets them, not even one that replaces an engine. It is safe for concurrent
// use. Scans do not use it.
type Ledger struct {
	mu      sync.Mutex
	engines map[string]*account
	round   uint64 // counts configurations
}

type account struct {
	counts *engineCounts
	nodes  map[string]*entry
}

type entry struct {
	counts *nodeCounts
	round  uint64 // of the last configuration with the node
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{engines: map[string]*account{}} }

// Open makes engines of a new configuration go on with the counters of those before them
// that have the same names, and the nodes with those of the same addresses. Call it before
// any other method of the engines. It forgets the nodes that were removed first if there
// are too many.
func (l *Ledger) Open(engines []*Engine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.round++
	for _, e := range engines {
		l.open(e)
	}
	for l.removed() > removedNodes {
		l.forgetOldest()
	}
}

func (l *Ledger) open(e *Engine) {
	a := l.engines[e.Name()]
	if a == nil {
		a = &account{counts: e.counts, nodes: map[string]*entry{}}
		l.engines[e.Name()] = a
	}
	e.counts, e.ledger = a.counts, l
	for _, n := range e.nodes {
		known := a.nodes[n.address]
		if known == nil {
			known = &entry{counts: n.counts}
			a.nodes[n.address] = known
		}
		known.round = l.round
		n.counts = known.counts
	}
}

// update makes the nodes of p those of its engine from now on. One that was not in use yet
// goes on with the counters of its address. The caller holds p.mu.
func (l *Ledger) update(p *pool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.engines[p.config().Name]
	if a == nil {
		return
	}
	for _, other := range l.engines {
		for _, known := range other.nodes {
			if other != a && known.round == l.round {
				known.round++
			}
		}
	}
	l.round++
	for _, n := range p.nodes {
		known := a.nodes[n.address]
		if known == nil {
			known = &entry{counts: n.counts}
			a.nodes[n.address] = known
		} else if !n.used {
			n.counts = known.counts
		}
		known.round = l.round
	}
	for l.removed() > removedNodes {
		l.forgetOldest()
	}
}

// removed is the number of nodes that the newest configuration does not have. The caller
// holds mu.
func (l *Ledger) removed() (n int) {
	for _, a := range l.engines {
		for _, node := range a.nodes {
			if node.round != l.round {
				n++
			}
		}
	}
	return n
}

// forgetOldest forgets the nodes that were removed first, and engines that have no other
// nodes. The caller holds mu.
func (l *Ledger) forgetOldest() {
	oldest := l.round
	for _, a := range l.engines {
		for _, node := range a.nodes {
			oldest = min(oldest, node.round)
		}
	}
	for name, a := range l.engines {
		for address, node := range a.nodes {
			if node.round == oldest {
				delete(a.nodes, address)
			}
		}
		if len(a.nodes) == 0 {
			delete(l.engines, name)
		}
	}
}
