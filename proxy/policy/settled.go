package policy

import (
	"slices"

	"polyclam/backends"
)

// Settled reports whether the scan can be answered now: no answer of the
// upstreams still pending can change the verdict's category, action, winner or
// names. pending[i] says that reports[i] is not in yet; of such a report nothing
// is read. The pending ones may then be called off and reported as Cancelled,
// and Merge gives the verdict that waiting would have given.
//
// It is false if the site waits for every engine (AnswerFirst is not set), and
// true if nothing is pending and somebody looked. The winner is deterministic:
// while an upstream before the winner is pending, it could still find the same
// and win, so nothing is settled.
func (p *Policy) Settled(reports []Report, pending []bool) bool {
	if !p.AnswerFirst || len(pending) != len(reports) {
		return false
	}
	js := make([]judgement, len(reports))
	for i, r := range reports {
		if pending[i] {
			r = Report{Cancelled: true}
		}
		js[i] = p.judge(r)
	}
	now := p.decide(js, slices.ContainsFunc(js, judgement.answered))
	first := slices.Index(pending, true)
	switch {
	case now.winner < 0:
		return false
	case first < 0:
		return true
	case p.rank(now.category) > 0 || first < now.winner:
		// Something stronger, or the same from an earlier upstream, can come.
		return false
	case p.Mode != ByCategory && p.strictestAction().Stricter(now.action):
		return false
	}
	// With the first answer the failures of optional upstreams stop counting.
	return p.decide(js, true) == now
}

// strictestAction is the strictest action any report can ask for.
func (p *Policy) strictestAction() Action {
	a := OK
	for _, c := range backends.Categories() {
		a = strictest(a, p.action(c))
	}
	return a
}
