package policy

import (
	"cmp"
	"errors"
	"slices"

	"polyclam/backends"
)

// Merge makes one verdict of the reports, which stand in the order of the
// configuration. It is pure and total.
//
// The category is the strongest among the reports that count, and the earliest
// of these upstreams is the winner: code, names and detail are its own. The
// action is the strictest of all reports that count, or in mode ByCategory that
// of the winning category. A failure of an optional upstream does not count
// while another upstream gave a finding or an ok.
//
// If nobody looked, because no report counts or there is none, the verdict is
// SWErr without a winner, and its action is never OK, not even where the site
// lets content pass when an engine fails.
//
// A virus is never weakened in mode Strictest: with any report of a virus the
// action is at least that of Virus, wherever the precedence puts it. In mode
// ByCategory the site has said that the winner alone decides; [Policy.Validate]
// refuses what would make an OK of a virus there.
func (p *Policy) Merge(reports []Report) Verdict {
	js := make([]judgement, len(reports))
	for i, r := range reports {
		js[i] = p.judge(r)
	}
	answered := slices.ContainsFunc(js, judgement.answered)
	o := p.decide(js, answered)
	v := Verdict{
		Code:     backends.NoCode,
		Category: o.category,
		Action:   o.action,
		Detail:   "no engine gave an answer",
		Reports:  make([]Judged, len(js)),
	}
	for i, j := range js {
		j.Counts = j.counts(answered)
		v.Reports[i] = j.Judged
	}
	if o.winner < 0 {
		return v
	}
	w := js[o.winner]
	v.Code, v.Upstream, v.Names, v.Detail = w.Code, w.Upstream, w.Names, w.Result.Detail
	if w.Err != nil {
		v.Detail = w.Err.Error()
	}
	return v
}

// judgement is a report with everything that the merge needs to know of it.
type judgement struct {
	Judged
	// failed says that the engine told nothing but a failure. An engine that
	// found something and then failed has not failed in this sense: its finding
	// counts, optional or not.
	failed bool
}

// answered reports whether the upstream gave a finding or an ok.
func (j judgement) answered() bool { return !j.Cancelled && !j.failed }

// counts reports whether the report has a say, where answered tells whether any
// upstream gave a finding or an ok.
func (j judgement) counts(answered bool) bool {
	return !j.Cancelled && (j.Required || !j.failed || !answered)
}

// outcome is what the merge decides; the winner is an index, -1 for nobody.
type outcome struct {
	winner   int
	category backends.Category
	action   Action
}

// decide is the merge proper.
func (p *Policy) decide(js []judgement, answered bool) outcome {
	o := outcome{winner: -1, action: OK}
	for i, j := range js {
		if !j.counts(answered) {
			continue
		}
		if o.winner < 0 || p.rank(j.Category) < p.rank(o.category) {
			o.winner, o.category = i, j.Category
		}
		if j.Action.Stricter(o.action) {
			o.action = j.Action
		}
	}
	switch {
	case o.winner < 0:
		o.category, o.action = backends.SWErr, strictest(Tempfail, p.action(backends.SWErr))
	case p.Mode == ByCategory:
		o.action = p.action(o.category)
	}
	return o
}

// judge applies the rules and the actions to one report.
func (p *Policy) judge(r Report) judgement {
	if r.Err != nil || r.Cancelled && !r.Result.Category.Valid() {
		return p.judgeFailure(r)
	}
	j := judgement{Judged: Judged{Report: r, Code: r.Result.Code, Action: OK}}
	named, categories := p.categories(r)
	j.Category = slices.MinFunc(categories, func(a, b backends.Category) int { return cmp.Compare(p.rank(a), p.rank(b)) })
	j.failed = j.Category.IsFailure() && !slices.ContainsFunc(categories, isFinding)
	j.Action = p.action(j.Category)
	if p.Mode != ByCategory {
		// A virus and a locked part in one answer: whichever the site puts first,
		// the virus is not waved through.
		for _, c := range categories {
			j.Action = strictest(j.Action, p.action(c))
		}
	}
	slices.SortStableFunc(named, func(a, b backends.Finding) int {
		return cmp.Compare(p.rank(a.Category), p.rank(b.Category))
	})
	for _, f := range named {
		if f.Category != backends.OK {
			j.Names = append(j.Names, f.Name)
		}
	}
	return j
}

func (p *Policy) judgeFailure(r Report) judgement {
	j := judgement{Judged: Judged{Report: r, Code: backends.NoCode}, failed: true}
	j.Category = backends.CategoryOf(r.Err)
	if r.Cancelled {
		// Called off by us: however the engine's dialogue ended, that is why.
		j.Category = backends.Interrupted
	}
	var failure *backends.Failure
	if errors.As(r.Err, &failure) {
		j.Code = failure.Code
	}
	j.Action = p.action(j.Category)
	return j
}

// categories applies the rules to the findings of r. It returns the findings
// with their categories, and all categories that r amounts to: those of the
// findings, and that of the result as a whole where no finding accounts for it
// (a rule that maps the only finding elsewhere would have no effect otherwise).
// A result whose own category is not valid is always a failure beside what it
// found. There is at least one category, and all are known.
func (p *Policy) categories(r Report) ([]backends.Finding, []backends.Category) {
	var (
		named     []backends.Finding
		all       []backends.Category
		accounted bool
	)
	for _, f := range r.Result.Findings {
		own := known(f.Category)
		if own == r.Result.Category {
			accounted = true
		}
		f.Category = p.rule(r.Upstream, f.Name, own)
		named = append(named, f)
		all = append(all, f.Category)
	}
	if !accounted {
		all = append(all, known(r.Result.Category))
	}
	return named, all
}

// rule returns the category that the first matching rule gives to the name, and
// own if there is none.
func (p *Policy) rule(upstream, name string, own backends.Category) backends.Category {
	for _, r := range p.Rules {
		if (r.Upstream == "" || r.Upstream == upstream) && r.Name != nil && r.Name.MatchString(name) {
			return known(r.Category)
		}
	}
	return own
}

// isFinding reports whether c says that an engine saw something.
func isFinding(c backends.Category) bool { return c != backends.OK && !c.IsFailure() }

func strictest(a, b Action) Action {
	if b.Stricter(a) {
		return b
	}
	return a
}
