package upstream

import (
	"io"
	"slices"
	"time"
)

// Succeed makes u go on where previous, the upstream that a reload replaces, stands:
// scans that wait keep waiting, counters go on, and a node that stays keeps its
// backend with its open connections, its slots, and all that is known of it. It is
// for u's first moment, before anything else is called, and reports false, changing
// nothing, if the two are not the same engine. Then u has to be run, and previous to
// be closed. After true neither is to be done: the nodes are previous's, Run goes on,
// and nodes that are gone are closed after their last scan.
//
// Scans that began with previous keep its Timeout, MaxSize and Required.
func (u *Upstream) Succeed(previous *Upstream) bool {
	if previous.Name() != u.Name() || previous.Kind() != u.Kind() {
		return false
	}
	fresh, p := u.pool, previous.pool
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return false
	}
	before := p.largest()
	wasCanary := p.config().Canary
	p.current.Store(u.cfg)
	var unused []*node
	p.nodes, unused = p.succeed(fresh.nodes)
	for _, n := range p.nodes {
		p.adjust(n, wasCanary, before)
	}
	p.rouse()
	p.dispatchAll()
	p.mu.Unlock()
	u.pool = p
	for _, n := range unused { // nobody ever used their backends
		closeBackend(p, n)
	}
	fresh.end(CalledOff("the upstream was reloaded"))
	return true
}

// succeed returns the nodes to use from now on: for each that is wanted, the one that
// is there already, if there is one. Those that are gone are retired. The others of
// want are returned too, as unused. The caller has mu.
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

// retire takes n out for good. The caller has mu.
func (u *pool) retire(n *node) {
	n.retired = true
	n.stopTimer()
	n.stopSizeTimer()
	if n.inFlight == 0 {
		go closeBackend(u, n)
	}
}

// adjust makes n what the new configuration asks for. The caller has mu.
func (u *pool) adjust(n *node, wasCanary bool, largestBefore int64) {
	c := u.config()
	if wasCanary && !c.Canary && n.state != up {
		n.state, n.reason, n.pause = unknown, nil, 0
	}
	if u.largest() != largestBefore {
		n.renewSize()
		u.hurry(n)
	}
	if latest := time.Now().Add(c.CanaryInterval); n.state == up && latest.Before(n.due) {
		n.due = latest
	}
}

// closeBackend closes the backend of n, if it can be closed.
func closeBackend(u *pool, n *node) {
	closer, ok := n.backend.(io.Closer)
	if !ok {
		return
	}
	if err := u.protect(n, closer.Close); err != nil {
		u.log.Debug().Str("node", bounded(n.address)).Str("reason", bounded(err.Error())).Msg("backend close")
	}
}
