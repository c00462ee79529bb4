package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"polyclam/backends"
)

// Validate reports everything that is wrong with p, each problem with what would
// be right, joined by errors.Join. Beyond the spelling it demands:
//
//   - every category stands in the precedence exactly once, OK last: before
//     another category it would let one engine's OK hide another's finding;
//   - every category has an action, and that of OK is OK: anything else would
//     stop all clean content;
//   - in mode ByCategory no category with the action OK stands before one with
//     the category Virus, unless Virus itself is OK: the winner alone decides
//     there, and a virus would be told as OK. In mode Strictest any order is
//     safe, since the strictest action of all reports is taken.
//
// Merge is total nevertheless: a policy that is not valid gives safe answers.
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
			errs = append(errs, backends.KeyErrorf("precedence", "%q is there twice; write every category once", c))
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
		errs = append(errs, backends.KeyErrorf("precedence", "%s missing; write every category once", list(missing)))
	}
	if seen[backends.OK] && p.Precedence[len(p.Precedence)-1] != backends.OK {
		errs = append(errs, backends.KeyErrorf("precedence", "%q must be the last, or one engine's ok would hide what another found", backends.OK))
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

// weakBeforeVirus finds the categories that would turn a virus into an OK in
// mode ByCategory.
func (p *Policy) weakBeforeVirus() (errs []error) {
	if p.action(backends.Virus) == OK {
		return nil
	}
	for _, c := range p.Precedence {
		if c == backends.Virus {
			break
		}
		if c.Valid() && c != backends.OK && p.action(c) == OK {
			errs = append(errs, backends.KeyErrorf("action", "%q with %q (action %q) before %q: clients would hear OK for a virus beside it; put %q first, give %q another action, or write action = %q",
				ByCategory, c, OK, backends.Virus, backends.Virus, c, Strictest))
		}
	}
	return errs
}

func (r Rule) problems(number int) (errs []error) {
	if r.Name == nil {
		errs = append(errs, fmt.Errorf("rule %d: has no name; want a regular expression for the signature's name, as in name = '^PUA\\.'", number))
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
