package engine

import (
	"slices"

	"polyclam/proxy/resolve"
)

// rebuild makes the configured nodes and those of the names the nodes of p. An address is one
// node, however many names have it. It returns what has changed, and the nodes that are not
// used and whose backends must be closed. The caller holds mu, and offers the nodes to the
// queue.
func (p *pool) rebuild() (change nodeChange, unused []*node) {
	var want []*node
	seen := map[string]bool{}
	add := func(n *node, origin string, rank int, share float64) {
		if seen[n.address] {
			return
		}
		seen[n.address] = true
		n.origin, n.rank, n.share = origin, rank, share
		want = append(want, n)
	}
	for _, n := range p.fixed {
		add(n, "", 0, 1)
	}
	room := len(p.fixed)
	for _, n := range p.names {
		room += n.Limit
		ranks, shares := ranking(n.wanted)
		for i, w := range n.wanted {
			add(w.node, n.Address, ranks[i], shares[i])
		}
	}
	want = p.fitting(want, room)
	before := p.nodes
	replaced := p.replaceNodes(want)
	p.substitute(replaced)
	p.updateRanks()
	if p.ledger != nil {
		p.ledger.update(p)
	}
	for _, n := range p.nodes {
		n.used = true
	}
	for w, n := range replaced {
		if w == n || w.used {
			continue
		}
		delete(p.candidates, w)
		unused = append(unused, w)
	}
	unused = append(unused, p.dropCandidates()...)
	return changeOf(before, p.nodes), unused
}

// fitting returns the first of want that are in use or for which there is room: nodes that
// are gone, but still have scans, count too. So an engine never has more slots than its
// configuration allows, however fast the answers change. The caller holds mu.
func (p *pool) fitting(want []*node, room int) []*node {
	isOld := func(w *node) bool {
		same := func(n *node) bool { return n.sameConfig(w) }
		return slices.ContainsFunc(p.nodes, same) || slices.ContainsFunc(p.leaving, same)
	}
	taken := len(p.leaving)
	for _, n := range p.nodes {
		if n.inFlight > 0 || slices.ContainsFunc(want, n.sameConfig) {
			taken++
		}
	}
	var list []*node
	p.short = false
	for _, w := range want {
		if !isOld(w) && w.origin != "" {
			if taken >= room {
				p.short = true
				continue
			}
			taken++
		}
		list = append(list, w)
	}
	return list
}

// substitute makes the names refer to the nodes that are in use instead of those that
// replaceNodes did not use. The caller holds mu.
func (p *pool) substitute(replaced map[*node]*node) {
	for w, n := range replaced {
		n.origin, n.rank, n.share = w.origin, w.rank, w.share
		if i := slices.Index(p.fixed, w); i >= 0 {
			p.fixed[i] = n
		}
	}
	for _, one := range p.names {
		for i, w := range one.wanted {
			if n := replaced[w.node]; n != nil {
				one.wanted[i].node = n
			}
			p.candidates[one.wanted[i].node] = true
		}
	}
}

// dropCandidates returns the nodes of names that were never used, because another name or the
// configuration has their address, and that no name wants any more. The caller holds mu.
func (p *pool) dropCandidates() (gone []*node) {
	wanted := map[*node]bool{}
	for _, one := range p.names {
		for _, w := range one.wanted {
			wanted[w.node] = true
		}
	}
	for n := range p.candidates {
		if wanted[n] {
			continue
		}
		delete(p.candidates, n)
		if !n.used {
			gone = append(gone, n)
		}
	}
	return gone
}

// ranking returns the rank of each target, 0 for the lowest priority number, and its share of
// the load of its rank, on average 1. A target with the weight 0 gets about a hundredth of
// what the heaviest gets, see RFC 2782.
func ranking(list []wanted) (ranks []int, shares []float64) {
	var priorities []uint16
	for _, w := range list {
		priorities = append(priorities, w.Priority)
	}
	slices.Sort(priorities)
	priorities = slices.Compact(priorities)
	sum, heaviest, count := make([]float64, len(priorities)), make([]float64, len(priorities)), make([]float64, len(priorities))
	weight := func(w wanted, rank int) float64 {
		if heaviest[rank] == 0 {
			return 1
		}
		return max(float64(w.Weight), heaviest[rank]/100)
	}
	for _, w := range list {
		r, _ := slices.BinarySearch(priorities, w.Priority)
		ranks = append(ranks, r)
		heaviest[r] = max(heaviest[r], float64(w.Weight))
	}
	for i, w := range list {
		sum[ranks[i]] += weight(w, ranks[i])
		count[ranks[i]]++
	}
	for i, w := range list {
		r := ranks[i]
		shares = append(shares, weight(w, r)*count[r]/sum[r])
	}
	return ranks, shares
}

// updateRanks finds out whether ranks and shares make a difference. The caller holds mu.
func (p *pool) updateRanks() {
	p.ranked = slices.ContainsFunc(p.nodes, func(n *node) bool { return n.rank != p.nodes[0].rank })
	p.weighted = slices.ContainsFunc(p.nodes, func(n *node) bool { return n.share != 1 })
	for _, n := range p.nodes {
		n.given = 0
	}
}

// outranked reports whether another node that t may use has a lower rank than n. The caller
// holds mu.
func (p *pool) outranked(t *ticket, n *node) bool {
	return p.ranked && n.rank > 0 && slices.ContainsFunc(p.nodes, func(other *node) bool {
		return other.rank < n.rank && !t.HasTried(other) && p.usable(other)
	})
}

// recently is the part of the scans given to a node that still counts after one more scan:
// the last fifty or so matter.
const recently = 0.98

// burden is the load of n, compared with its share: the scans that it has, and where weights
// differ those that it was given lately. So even scans that come one after another are
// distributed by weight. The caller holds mu.
func (p *pool) burden(n *node) float64 {
	if !p.weighted {
		return float64(n.inFlight + 1)
	}
	return (float64(n.inFlight+1) + n.given) / n.share
}

// countGiven counts a scan given to n, see burden. The caller holds mu.
func (p *pool) countGiven(n *node) {
	if !p.weighted {
		return
	}
	for _, other := range p.nodes {
		other.given *= recently
	}
	n.given++
}

// changeOf returns the addresses of the nodes that only one of two lists has.
func changeOf(before, after []*node) nodeChange {
	only := func(a, b []*node) (list []string) {
		for _, n := range a {
			if !slices.Contains(b, n) {
				list = append(list, bounded(n.address))
			}
		}
		return list
	}
	return nodeChange{only(after, before), only(before, after)}
}

// park remembers that n, which leaves, is drained: it still is if its address comes back. The
// caller holds mu.
func (p *pool) park(n *node) {
	if !n.drained || n.origin == "" || slices.Contains(p.parked, n.address) {
		return
	}
	if len(p.parked) >= resolve.MaxTargets {
		p.parked = p.parked[1:]
	}
	p.parked = append(p.parked, n.address)
}

// unpark reports whether the address was drained when its node left. The caller holds mu.
func (p *pool) unpark(address string) bool {
	i := slices.Index(p.parked, address)
	if i < 0 {
		return false
	}
	p.parked = slices.Delete(p.parked, i, i+1)
	return true
}
