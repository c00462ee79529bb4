package policy

import (
	"fmt"
	"slices"

	"polyclam/backends"
)

// Reason says why v, a verdict of p, has its action: the category that required it, the
// engine that reported the category, what that engine said, and the site's rules and keys
// that contributed. The text is raw. It is empty if every engine said ok.
func (p *Policy) Reason(v Verdict) string {
	if v.Category == backends.OK && v.Cause == backends.OK {
		return ""
	}
	reason := string(v.Cause)
	i := slices.IndexFunc(v.Reports, func(j Judged) bool { return j.Counts && j.Engine == v.ActionBy })
	if v.ActionBy == "" || i < 0 {
		if v.Detail != "" {
			reason += ": " + v.Detail
		}
		return reason + p.choice(v.Cause, v.Action)
	}
	said, rule := v.Reports[i].said(v.Cause)
	reason += " of " + v.ActionBy
	if said != "" {
		reason += ": " + said
	}
	if rule != "" {
		reason += fmt.Sprintf("; [[rule]] name = %q", rule)
	}
	if p.Mode == ByCategory && slices.ContainsFunc(v.Reports, func(j Judged) bool { return j.Counts && j.Action.Stricter(v.Action) }) {
		reason += `; [policy] action = "category"`
	}
	return reason + p.choice(v.Cause, v.Action)
}

// choice names the place where the site chose the action a for category c. It is empty if
// the site chose none.
func (p *Policy) choice(c backends.Category, a Action) string {
	switch source := p.sources[c]; {
	case p.action(c) != a:
		return "" // a virus does not pass, whatever precedence and mode
	case source != "":
		return fmt.Sprintf("; %s %s = %q", source, c, a)
	}
	return ""
}

// said returns what the engine said about c: the name of the finding, or the text of the
// failure. rule is the expression of the [[rule]] that gave the finding this category.
func (j Judged) said(c backends.Category) (said, rule string) {
	for _, r := range j.Ruled {
		if r.Category == c {
			return r.Name, r.Rule
		}
	}
	for _, f := range j.Result.Findings {
		ruled := slices.ContainsFunc(j.Ruled, func(r Ruled) bool { return r.Name == f.Name })
		if f.Category == c && f.Name != "" && !ruled {
			return f.Name, ""
		}
	}
	if c.IsFailure() && j.Err != nil {
		return j.Err.Error(), ""
	}
	return j.Result.Detail, ""
}
