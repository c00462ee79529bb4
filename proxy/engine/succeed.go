package engine

import (
	"slices"
	"time"

	"polyclam/proxy/engine/internal/health"
)

// Succeed hands the nodes and the queue of previous over to e, which replaces it in a new
// configuration: waiting scans keep waiting, counters go on, and a node that has not
// changed keeps its backend with its open connections, its slots and everything known about
// it. A mode that SetMode set stays unless the configured mode changes, and a drained node
// stays drained as long as its address does. Nodes that are gone are closed after their last
// scan.
//
// Call it before any other method of e. If the two are not the same engine, it changes
// nothing and returns false: then run e, and close previous. If it returns true do neither:
// the Run of previous continues for e.
//
// Scans that began with previous keep its Timeout, MaxSize and Required.
func (e *Engine) Succeed(previous *Engine) bool {
	if previous.Name() != e.Name() || previous.Kind() != e.Kind() {
		return false
	}
	fresh, p := e.pool, previous.pool
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return false
	}
	before, mode := p.checks(), p.mode()
	if e.cfg.Mode != p.config().Mode {
		p.modeChanges++
	}
	e.modeChange = p.modeChanges
	p.current.Store(e.cfg)
	unused := p.replaceNodes(fresh.nodes)
	for _, n := range p.nodes {
		p.adjust(n, before)
		p.updateStale(n)
	}
	p.wakeRun()
	p.dispatchAll()
	now := p.mode()
	p.mu.Unlock()
	e.pool = p
	e.logMode(mode, now, "a reload of the configuration")
	for _, n := range unused { // no scan has used their backends
		p.closeBackend(n)
	}
	fresh.end(errRetired)
	return true
}

// replaceNodes makes want the nodes of p, but keeps each old node that has the same
// configuration as a new one. It retires the old nodes that are gone, and returns the new
// ones that are not used. The caller holds mu.
func (p *pool) replaceNodes(want []*node) (unused []*node) {
	var nodes []*node
	for _, w := range want {
		i := slices.IndexFunc(p.nodes, func(n *node) bool { return n.sameConfig(w) })
		if i < 0 {
			w.drained = slices.ContainsFunc(p.nodes, func(n *node) bool { return n.drained && n.address == w.address })
			nodes = append(nodes, w)
			continue
		}
		nodes, unused = append(nodes, p.nodes[i]), append(unused, w)
	}
	for _, n := range p.nodes {
		if !slices.Contains(nodes, n) {
			p.retire(n)
		}
	}
	p.nodes = nodes
	return unused
}

// retire removes n permanently. A health check under way gets no further slot and does not
// count. The caller holds mu.
func (p *pool) retire(n *node) {
	n.health.Retire()
	n.size.age++
	n.dropWaiting()
	n.stopTimers()
	if n.inFlight == 0 {
		go p.closeBackend(n)
	}
}

// checks is what a configuration requires to be known about nodes.
type checks struct {
	canary, size bool
	largest      int64
}

func (p *pool) checks() checks {
	return checks{canary: p.config().Canary, size: p.checksSize(), largest: p.largest()}
}

// adjust discards whatever is known about n that the new configuration makes obsolete. The
// caller holds mu.
func (p *pool) adjust(n *node, before checks) {
	now := p.checks()
	if now.canary != before.canary { // health checks and scans prove different things
		n.stopRetryTimer()
		n.health.Reset()
	}
	switch {
	case !now.size:
		n.size.forget()
	case !before.size || now.largest != before.largest:
		p.markLargerUnproven(n, !before.size || now.largest > before.largest)
		p.checkSoon(n)
	}
	if n.health.State() == health.Up {
		n.health.DueBy(time.Now().Add(p.config().CanaryInterval))
	}
}
