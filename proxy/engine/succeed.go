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
	if fresh.ledger != nil {
		p.ledger = fresh.ledger
	}
	p.fixed = fresh.fixed
	for _, n := range p.fixed {
		n.used = false // by p
	}
	renew := p.replaceNames(fresh.names)
	_, unused := p.rebuild()
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
	for _, n := range renew {
		go p.renew(n)
	}
	fresh.end(errRetired)
	return true
}

// replaceNames makes want the names of p, but keeps each one whose lookups stay as they are.
// It returns those whose nodes must be opened again, since their configuration may have
// changed. Until then the present nodes stay in use. The caller holds mu.
func (p *pool) replaceNames(want []*name) (renew []*name) {
	var names []*name
	for _, w := range want {
		i := slices.IndexFunc(p.names, func(n *name) bool { return n.Address == w.Address })
		if i >= 0 && p.names[i].Key == w.Key {
			p.names[i].Name = w.Name
			p.names[i].version++
			w = p.names[i]
		} else if i >= 0 {
			w.inherit(p.names[i])
		}
		if names = append(names, w); len(w.targets) > 0 {
			renew = append(renew, w)
		}
	}
	for _, n := range p.names {
		if n.stop != nil && !slices.Contains(names, n) {
			n.stop()
		}
	}
	p.names = names
	return renew
}

// replaceNodes makes want the nodes of p, but keeps each old node that has the same
// configuration as a new one, also one that is still leaving. It retires the old nodes that
// are gone, and returns which node is in use instead of a new one. The caller holds mu.
func (p *pool) replaceNodes(want []*node) (replaced map[*node]*node) {
	var nodes []*node
	replaced = map[*node]*node{}
	for _, w := range want {
		same := func(n *node) bool { return n.sameConfig(w) }
		if i := slices.IndexFunc(p.nodes, same); i >= 0 {
			nodes, replaced[w] = append(nodes, p.nodes[i]), p.nodes[i]
			continue
		}
		if i := slices.IndexFunc(p.leaving, same); i >= 0 {
			n := p.leaving[i]
			p.leaving = slices.Delete(p.leaving, i, i+1)
			n.health.Revive()
			p.unpark(n.address)
			nodes, replaced[w] = append(nodes, n), n
			continue
		}
		w.drained = p.unpark(w.address) || slices.ContainsFunc(p.nodes, func(n *node) bool { return n.drained && n.address == w.address })
		for _, n := range p.nodes {
			if n.address == w.address {
				w.changedUntil(n.changed) // the same engine may be loading
			}
		}
		nodes = append(nodes, w)
	}
	for _, n := range p.nodes {
		if !slices.Contains(nodes, n) {
			p.retire(n)
		}
	}
	p.nodes = nodes
	return replaced
}

// retire removes n. A health check under way gets no further slot and does not count. If n
// has scans, it may come back while they last. The caller holds mu.
func (p *pool) retire(n *node) {
	p.park(n)
	if n.changed.After(p.changed) {
		p.changed = n.changed
	}
	n.health.Retire()
	n.size.age++
	n.dropWaiting()
	n.stopTimers()
	if n.inFlight == 0 {
		go p.closeBackend(n)
		return
	}
	p.leaving = append(p.leaving, n)
}

// left closes n, whose last scan has ended, and makes room for a node that waits for that.
// The caller holds mu.
func (p *pool) left(n *node) {
	p.leaving = slices.DeleteFunc(p.leaving, func(other *node) bool { return other == n })
	go p.closeBackend(n)
	if !p.short || p.closing {
		return
	}
	if _, unused := p.rebuild(); len(unused) > 0 {
		go func() {
			for _, n := range unused {
				p.closeBackend(n)
			}
		}()
	}
	p.wakeRun()
	p.dispatchAll()
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
