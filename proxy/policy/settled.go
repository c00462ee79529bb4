package policy

import (
	"slices"

	"polyclam/backends"
)

// Settled reports whether the scan can be answered now: no answer of the
// engines still pending can change the verdict's category or action. pending[i]
// says that reports[i] is not in yet; of such a report nothing is read. The pending
// ones may then be called off and reported as Cancelled: Merge gives the category
// and the action that waiting would have given. Winner, code and names are those of
// the engines that were faster, so they may differ from one scan to the next.
//
// It is false if the site waits for every engine (AnswerFirst is not set): then the
// whole verdict depends on the engines' answers alone. It is true if nothing is
// pending and at least one report counts.
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
		return false // something stronger can come
	case p.Mode != ByCategory && p.strictestAction().Stricter(now.action):
		return false
	case p.Mode == ByCategory && now.action == OK && p.action(backends.Virus) != OK:
		return false // a virus would change the action, though not the category
	}
	// With the first answer the failures of optional engines stop counting.
	then := p.decide(js, true)
	return then.winner >= 0 && then.category == now.category && then.action == now.action
}

// strictestAction is the strictest action any report can ask for.
func (p *Policy) strictestAction() Action {
	a := OK
	for _, c := range backends.Categories() {
		a = strictest(a, p.action(c))
	}
	return a
}
