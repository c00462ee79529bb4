package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"polyclam/backends"
)

// Validate returns all problems of p, each with its remedy, joined by errors.Join. All
// names must be valid, and:
//
//   - The precedence lists every category exactly once, OK last. Otherwise one engine's OK
//     could hide another engine's finding.
//   - Every category has an action, and the action for OK is OK. Otherwise all clean
//     objects would be stopped.
//   - In mode ByCategory no category with the action OK comes before Virus, unless the
//     action for Virus is OK. The winner alone decides in that mode, so a virus would be
//     answered with OK. In mode Strictest any order is safe, because the strictest action
//     of all reports is taken.
//
// Merge gives safe answers even for a policy that is not valid.
func (p *Policy) Validate() error {
	errs := p.precedenceProblems()
	errs = append(errs, p.actionProblems()...)
	switch p.Mode {
	case Strictest:
	case ByCategory:
		errs = append(errs, p.weakBeforeVirus()...)
	default:
		errs = append(errs, backends.OneOf("action", p.Mode, Strictest, ByCategory))
	}
	for i, r := range p.Rules {
		errs = append(errs, r.problems(i+1)...)
	}
	return errors.Join(errs...)
}

func (p *Policy) precedenceProblems() (errs []error) {
	seen := make(map[backends.Category]bool)
	for _, c := range p.Precedence {
		switch {
		case !c.Valid():
			errs = append(errs, backends.OneOf("precedence", c, backends.Categories()...))
		case seen[c]:
			errs = append(errs, backends.KeyErrorf("precedence", "%q is listed twice; list every category once", c))
		}
		seen[c] = true
	}
	var missing []backends.Category
	for _, c := range backends.Categories() {
		if !seen[c] {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		errs = append(errs, backends.KeyErrorf("precedence", "lacks %s; list every category once", list(missing)))
	}
	if seen[backends.OK] && p.Precedence[len(p.Precedence)-1] != backends.OK {
		errs = append(errs, backends.KeyErrorf("precedence", "%q must be last, or one engine's ok would hide another's finding", backends.OK))
	}
	return errs
}

func (p *Policy) actionProblems() (errs []error) {
	for _, c := range backends.Categories() {
		key := "actions." + string(c)
		a, ok := p.Actions[c]
		switch {
		case !ok:
			errs = append(errs, backends.KeyErrorf(key, "is missing; write %s", actionWords))
		case !a.Valid():
			errs = append(errs, backends.OneOf(key, a, Quarantine, Tempfail, OK))
		case c == backends.OK && a != OK:
			errs = append(errs, backends.KeyErrorf(key, "%q would stop all clean objects; write %q", a, OK))
		}
	}
	var unknown []backends.Category
	for c := range p.Actions {
		if !c.Valid() {
			unknown = append(unknown, c)
		}
	}
	slices.Sort(unknown)
	for _, c := range unknown {
		errs = append(errs, backends.OneOf("actions", c, backends.Categories()...))
	}
	return errs
}

const actionWords = `"quarantine", "tempfail" or "ok"`

// weakBeforeVirus reports the categories that would turn a virus into an OK in mode
// ByCategory.
func (p *Policy) weakBeforeVirus() (errs []error) {
	if p.action(backends.Virus) == OK {
		return nil
	}
	for _, c := range p.Precedence {
		if c == backends.Virus {
			break
		}
		if c.Valid() && c != backends.OK && p.action(c) == OK {
			errs = append(errs, backends.KeyErrorf("action", "%q with %q (action %q) before %q: a virus would then be answered with ok; put %q first, give %q another action, or write action = %q",
				ByCategory, c, OK, backends.Virus, backends.Virus, c, Strictest))
		}
	}
	return errs
}

func (r Rule) problems(number int) (errs []error) {
	if r.Name == nil {
		errs = append(errs, fmt.Errorf("rule %d: has no name; want a regular expression for the signature name, as in name = '^PUA\\.'", number))
	}
	if !r.Category.Valid() {
		errs = append(errs, fmt.Errorf("rule %d: %q is not a category; the categories are %s", number, r.Category, list(backends.Categories())))
	}
	return errs
}

func list(cs []backends.Category) string {
	words := make([]string, len(cs))
	for i, c := range cs {
		words[i] = string(c)
	}
	return strings.Join(words, ", ")
}
