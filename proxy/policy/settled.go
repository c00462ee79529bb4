package policy

import (
	"slices"

	"polyclam/backends"
)

// Settled reports whether the scan can be answered now because no pending engine can change
// the verdict's category or action. pending[i] says that reports[i] has not arrived; it is
// then not read. The pending scans may be cancelled and reported as Cancelled: Merge
// returns the category and the action that waiting would have led to. Winner, code and
// names come from the faster engines, so they may differ between scans of the same object.
//
// Settled is false if the site waits for every engine (AnswerFirst is not set), so that the
// verdict depends only on the engines' answers. Otherwise it is true if nothing is pending
// and at least one report counts.
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
	switch {
	case now.winner < 0:
		return false
	case !slices.Contains(pending, true):
		return true
	case p.rank(now.category) > 0:
		return false // a stronger category is possible
	case p.Mode != ByCategory && p.strictestAction().Stricter(now.action):
		return false
	case p.Mode == ByCategory && now.action == OK && p.action(backends.Virus) != OK:
		return false // a virus would change the action, though not the category
	}
	// Once an engine answers, failures of optional engines no longer count.
	then := p.decide(js, true)
	return then.winner >= 0 && then.category == now.category && then.action == now.action
}

// strictestAction is the strictest action that any report can require.
func (p *Policy) strictestAction() Action {
	a := OK
	for _, c := range backends.Categories() {
		a = strictest(a, p.action(c))
	}
	return a
}
