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
// A report may hold findings and a failure, and then both count. The category is
// the strongest among the reports that count, and the earliest of these engines
// is the winner: code, names and detail are its own. The action is the strictest
// for all categories of all reports that count, or in mode ByCategory that of the
// winning category. An optional engine that failed and found nothing does not
// count while another engine gave a finding or an ok.
//
// If nobody looked, because no report counts or there is none, the verdict is
// SWErr without a winner, and its action is never OK, not even where the site
// lets content pass when an engine fails.
//
// A virus is never weakened in mode Strictest: with any report of a virus the
// action is at least that of Virus, wherever the precedence puts it. In mode
// ByCategory the site has said that the winner alone decides; an OK becomes the
// action of Virus there, and [Policy.Validate] refuses what would need it.
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
		v.Cause = v.Category
		return v
	}
	w := js[o.winner]
	v.Code, v.Engine, v.Names, v.Detail = w.Code, w.Engine, w.Names, w.Detail()
	v.ActionBy, v.Cause = p.cause(js, answered, o)
	return v
}

// cause finds who demanded the action, and for which category. The winner comes
// first, then the reports in their order.
func (p *Policy) cause(js []judgement, answered bool, o outcome) (string, backends.Category) {
	winner := js[o.winner]
	if p.action(o.category) == o.action {
		return winner.Engine, o.category
	}
	for _, j := range js {
		if !j.counts(answered) {
			continue
		}
		for _, c := range j.categories {
			if p.action(c) == o.action {
				return j.Engine, c
			}
		}
	}
	return winner.Engine, o.category
}

// judgement is a report with everything that the merge needs to know of it.
type judgement struct {
	Judged
	// categories are all that the report comes to, strongest first.
	categories []backends.Category
	// failed says that there is nothing but a failure. An engine that found
	// something and then failed has not failed in this sense: its finding counts,
	// optional or not, and its failure with it.
	failed bool
}

// answered reports whether the engine gave a finding or an ok.
func (j judgement) answered() bool { return !j.Cancelled && !j.failed }

// counts reports whether the report has a say, where answered tells whether any
// engine gave a finding or an ok.
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
	virus := false
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
		virus = virus || slices.Contains(j.categories, backends.Virus)
	}
	switch {
	case o.winner < 0:
		o.category, o.action = backends.SWErr, strictest(Tempfail, p.action(backends.SWErr))
	case p.Mode == ByCategory:
		o.action = p.byCategory(o.category, virus)
	}
	return o
}

// byCategory is the action in mode ByCategory: that of the winning category. A
// virus that lost to it still never passes as ok.
func (p *Policy) byCategory(winner backends.Category, virus bool) Action {
	a := p.action(winner)
	if a == OK && virus {
		return p.action(backends.Virus)
	}
	return a
}

// judge applies the rules and the actions to one report: to everything that was
// found, and to the failure beside it.
func (p *Policy) judge(r Report) judgement {
	j := judgement{Judged: Judged{Report: r, Code: backends.NoCode}}
	var failure *backends.Failure
	if errors.As(r.Err, &failure) {
		j.Code = failure.Code
	}
	if r.Cancelled && (r.Err != nil || !r.Result.Category.Valid()) {
		// Called off by us: however the engine's dialogue ended, that is why.
		j.Category, j.Failure, j.failed = backends.Interrupted, backends.Interrupted, true
		j.Action, j.categories = p.action(j.Category), []backends.Category{j.Category}
		return j
	}
	if r.Err == nil || r.Result.Category != "" || len(r.Result.Findings) > 0 {
		p.addFound(&j)
	}
	found := len(j.categories)
	if r.Err != nil {
		j.categories = append(j.categories, backends.CategoriesOf(r.Err)...)
	}
	j.Category = slices.MinFunc(j.categories, p.byRank)
	if slices.Contains(j.categories[:found], j.Category) {
		j.Code = r.Result.Code
	}
	slices.SortStableFunc(j.categories, p.byRank)
	if i := slices.IndexFunc(j.categories, backends.Category.IsFailure); i >= 0 {
		j.Failure = j.categories[i]
	}
	j.failed = j.Failure != "" && !slices.ContainsFunc(j.categories, isFinding)
	j.Action = p.actionOf(j.categories)
	return j
}

// actionOf is the action for one report, with its categories strongest first. A
// virus and a locked part in one answer, or a locked part and a failure: whichever
// the site puts first, the stricter action is taken.
func (p *Policy) actionOf(categories []backends.Category) Action {
	if p.Mode == ByCategory {
		return p.byCategory(categories[0], slices.Contains(categories, backends.Virus))
	}
	a := OK
	for _, c := range categories {
		a = strictest(a, p.action(c))
	}
	return a
}

func (p *Policy) byRank(a, b backends.Category) int { return cmp.Compare(p.rank(a), p.rank(b)) }

// addFound adds what the result of j says: its categories and names, after the
// rules.
//
// The categories are those of the findings, and that of the result as a whole where
// no finding accounts for it (a rule that maps the only finding elsewhere would
// have no effect otherwise). A result whose own category is not valid is always a
// failure beside what it found. There is at least one category, and all are known.
func (p *Policy) addFound(j *judgement) {
	var named []backends.Finding
	accounted := false
	for _, f := range j.Result.Findings {
		own := known(f.Category)
		if own == j.Result.Category {
			accounted = true
		}
		f.Category = own
		if r := p.rule(j.Engine, f.Name); r != nil {
			f.Category = known(r.Category)
			j.Ruled = append(j.Ruled, Ruled{Name: f.Name, Category: f.Category, Rule: r.Name.String()})
		}
		named = append(named, f)
		j.categories = append(j.categories, f.Category)
	}
	if !accounted {
		j.categories = append(j.categories, known(j.Result.Category))
	}
	slices.SortStableFunc(named, func(a, b backends.Finding) int { return p.byRank(a.Category, b.Category) })
	for _, f := range named {
		if f.Category != backends.OK && f.Name != "" {
			j.Names = append(j.Names, f.Name)
		}
	}
}

// rule returns the first rule that matches the name, or nil. What has no name has
// no rule.
func (p *Policy) rule(engine, name string) *Rule {
	if name == "" {
		return nil
	}
	for i, r := range p.Rules {
		if (r.Engine == "" || r.Engine == engine) && r.Name != nil && r.Name.MatchString(name) {
			return &p.Rules[i]
		}
	}
	return nil
}

// isFinding reports whether c says that an engine saw something.
func isFinding(c backends.Category) bool { return c != backends.OK && !c.IsFailure() }

func strictest(a, b Action) Action {
	if b.Stricter(a) {
		return b
	}
	return a
}
