package policy

import (
	"cmp"
	"errors"
	"slices"

	"polyclam/backends"
)

// Merge merges the reports, which are in the order of the configuration, into one verdict.
// It is pure and total.
//
// A report may hold findings and a failure; then both count. The verdict's category is
// the strongest among the reports that count. The first engine that reported it is the
// winner, and supplies code, names and detail. The action is the strictest for all
// categories of all reports that count, or in mode ByCategory that of the winning category.
// An optional engine that failed and found nothing does not count while another engine
// gave a finding or an ok.
//
// If no report counts, no engine has looked at the object. The verdict is then SWErr
// without a winner, and its action is never OK, not even if the site lets objects pass
// when an engine fails.
//
// In mode Strictest a virus is never weakened: if any report has a virus, the action is at
// least that of Virus, wherever the precedence puts it. In mode ByCategory the winner alone
// decides, except that an OK becomes the action of Virus; [Policy.Validate] refuses
// policies for which that would matter.
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

// cause returns the engine that demanded the action, and for which category. The winner
// comes first, then the reports in order.
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

// judgement is a report with what the merge needs to know about it.
type judgement struct {
	Judged
	// categories are those of all findings and failures, strongest first.
	categories []backends.Category
	// failed says that the engine failed and found nothing. If it found something and then
	// failed, both count, even if it is optional.
	failed bool
}

// answered reports whether the engine gave a finding or an ok.
func (j judgement) answered() bool { return !j.Cancelled && !j.failed }

// counts reports whether the report counts. answered says whether any engine gave a
// finding or an ok.
func (j judgement) counts(answered bool) bool {
	return !j.Cancelled && (j.Required || !j.failed || !answered)
}

// outcome is what the merge decides.
type outcome struct {
	winner   int // index of a report; -1: none
	category backends.Category
	action   Action
}

// decide is the merge itself.
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

// byCategory is the action in mode ByCategory: that of the winning category. If another
// category beat a virus, the virus still does not pass as ok.
func (p *Policy) byCategory(winner backends.Category, virus bool) Action {
	a := p.action(winner)
	if a == OK && virus {
		return p.action(backends.Virus)
	}
	return a
}

// judge applies the rules and the actions to one report: to its findings and to its
// failure.
func (p *Policy) judge(r Report) judgement {
	j := judgement{Judged: Judged{Report: r, Code: backends.NoCode}}
	var failure *backends.Failure
	if errors.As(r.Err, &failure) {
		j.Code = failure.Code
	}
	if r.Cancelled && (r.Err != nil || !r.Result.Category.Valid()) {
		// The scan ended because polyclam cancelled it, whatever the error.
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

// actionOf is the action for one report with these categories, strongest first. In mode
// Strictest it is the strictest of their actions, whatever their order.
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

// addFound adds the categories and names of the result of j, after the rules.
//
// The categories are those of the findings. The category of the result as a whole is added
// only if no finding has it, or a rule that maps the only finding to another category would
// have no effect. If the result's own category is not valid, that is a failure in addition
// to the findings. There is always at least one category, and all are valid.
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

// rule returns the first rule that matches the name, or nil. No rule matches an empty name.
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

// isFinding reports whether c means that an engine found something.
func isFinding(c backends.Category) bool { return c != backends.OK && !c.IsFailure() }

func strictest(a, b Action) Action {
	if b.Stricter(a) {
		return b
	}
	return a
}
