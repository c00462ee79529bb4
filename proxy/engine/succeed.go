package engine

import (
	"io"
	"slices"
	"time"
)

// errRetired ends the health checks of a node that the configuration no longer has.
const errRetired = CalledOff("a reload has removed or changed the node")

// Succeed hands the nodes and the queue of previous over to u, which replaces it in a new
// configuration: waiting scans keep waiting, counters go on, and a node that has not
// changed keeps its backend with its open connections, its slots and everything known
// about it. Nodes that are gone are closed after their last scan.
//
// Call it before anything else of u. It reports false and changes nothing if the two are
// not the same engine: then run u, and close previous. After true do neither: the nodes'
// Run goes on.
//
// Scans that began with previous keep its Timeout, MaxSize and Required.
func (u *Engine) Succeed(previous *Engine) bool {
	if previous.Name() != u.Name() || previous.Kind() != u.Kind() {
		return false
	}
	fresh, p := u.pool, previous.pool
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return false
	}
	before := p.checks()
	p.current.Store(u.cfg)
	var unused []*node
	p.nodes, unused = p.succeed(fresh.nodes)
	for _, n := range p.nodes {
		p.adjust(n, before)
	}
	p.rouse()
	p.dispatchAll()
	p.mu.Unlock()
	u.pool = p
	for _, n := range unused { // no scan has used their backends
		closeBackend(p, n)
	}
	fresh.end(errRetired)
	return true
}

// succeed returns the nodes to use from now on: for each node of want the one that is
// there already, if there is one. It retires those that are gone, and returns the nodes
// of want that are not used. The caller has mu.
func (u *pool) succeed(want []*node) (nodes, unused []*node) {
	for _, w := range want {
		i := slices.IndexFunc(u.nodes, func(n *node) bool { return n.same(w) })
		if i < 0 {
			nodes = append(nodes, w)
			continue
		}
		nodes, unused = append(nodes, u.nodes[i]), append(unused, w)
	}
	for _, n := range u.nodes {
		if !slices.Contains(nodes, n) {
			u.retire(n)
		}
	}
	return nodes, unused
}

// same reports whether w is n, configured in the same way.
func (n *node) same(w *node) bool {
	return n.address == w.address && n.identity != "" && n.identity == w.identity
}

// retire removes n for good. A health check under way gets no further slot and does not
// count. The caller has mu.
func (u *pool) retire(n *node) {
	n.retired = true
	n.sizeAge++
	n.stopTimer()
	n.stopSizeTimer()
	if n.inFlight == 0 {
		go closeBackend(u, n)
	}
}

// checks is what a configuration wants to know about nodes.
type checks struct {
	canary, size bool
	largest      int64
}

func (u *pool) checks() checks {
	return checks{canary: u.config().Canary, size: u.checksSize(), largest: u.largest()}
}

// adjust brings what is known about n in line with the new configuration. The caller
// has mu.
func (u *pool) adjust(n *node, before checks) {
	now := u.checks()
	if now.canary != before.canary {
		// What was found out in the other way proves nothing.
		n.stopTimer()
		n.state, n.reason, n.pause, n.due = unknown, nil, 0, time.Now()
	}
	switch {
	case !now.size:
		n.forgetSize()
	case !before.size || now.largest != before.largest:
		u.resizeDoubt(n, !before.size || now.largest > before.largest)
		u.hurry(n)
	}
	if latest := time.Now().Add(u.config().CanaryInterval); n.state == up && latest.Before(n.due) {
		n.due = latest
	}
}

// closeBackend closes the backend of n, if it can be closed, and forgets n.
func closeBackend(u *pool, n *node) {
	ownNonces.release(n)
	closer, ok := n.backend.(io.Closer)
	if !ok {
		return
	}
	if err := u.protect(n, closer.Close); err != nil {
		u.log.Debug().Str("node", bounded(n.address)).Str("reason", bounded(err.Error())).Msg("backend close")
	}
}
