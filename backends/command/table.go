package command

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"polyclam/backends"
)

// table is the compiled answer table of a program. Unset expressions are nil.
type table struct {
	program string // for messages
	exit    map[int]outcome
	mask    []bit
	rest    *outcome // for every other status; if nil, those are failures

	patterns
	// unfilled are the expressions with placeholders, which filled replaces.
	unfilled []expression
	version  *regexp.Regexp

	rules    []rule
	known    bool
	okSilent bool
}

// patterns are the expressions for lines.
type patterns struct {
	virus, flag, suspicious, encrypted, partial *regexp.Regexp
	failure, cannot, ok, ignore                 *regexp.Regexp
	// anywhere are the expressions for findings and failures, without the "^" at their
	// beginning.
	anywhere []*regexp.Regexp
}

// outcome is what an exit status means.
type outcome struct {
	category backends.Category
	asks     bool // "?": the lines decide; the category applies if they mean nothing
	unlisted bool // the status is not in the table
}

type bit struct {
	bit int
	outcome
}

type rule struct {
	re       *regexp.Regexp
	category backends.Category
}

// outcomes looks up an exit status. If it is a mask, all its bits count.
func (t *table) outcomes(code int) []outcome {
	if o, ok := t.exit[code]; ok {
		return []outcome{o}
	}
	masked := slices.ContainsFunc(t.mask, func(b bit) bool { return code&b.bit != 0 })
	switch {
	case masked:
		return t.bits(code)
	case t.rest != nil:
		return []outcome{*t.rest}
	}
	return []outcome{{category: backends.SWErr, asks: true, unlisted: true}}
}

// bits returns the outcomes of all bits. A bit that is not in the mask is looked up in
// exit.
func (t *table) bits(code int) (all []outcome) {
	for _, b := range t.mask {
		if code&b.bit != 0 {
			all = append(all, b.outcome)
			code &^= b.bit
		}
	}
	for single := 1; code != 0; single <<= 1 {
		if code&single == 0 {
			continue
		}
		code &^= single
		o, ok := t.exit[single]
		if !ok {
			o = outcome{category: backends.SWErr, unlisted: true}
		}
		all = append(all, o)
	}
	return all
}

// trusts reports whether the site trusts an exit status whatever the output.
func (t *table) trusts(code int) bool {
	o, ok := t.exit[code]
	return ok && o.category == backends.OK && !o.asks
}

// isShellSignal reports whether an unlisted status is what a shell returns for a program
// killed by a signal: 128 plus the signal number.
func isShellSignal(code int) bool { return code > 128 && code <= 128+int(syscall.SIGSYS) }

// category returns the category of a named finding: virus, unless a rule or a known name
// says otherwise.
func (t *table) category(name, kind string) backends.Category {
	for _, r := range t.rules {
		if r.re.MatchString(kind) {
			return r.category
		}
	}
	if t.known {
		return backends.NameCategory(name)
	}
	return backends.Virus
}

// compile checks the keys of the answer table and builds it.
func (c *Config) compile() (*table, error) {
	t := &table{exit: map[int]outcome{}, known: c.KnownNames, okSilent: c.OKSilent}
	var errs []error
	if len(c.Argv) > 0 { // else there is enough to say already
		t.program = filepath.Base(c.Argv[0])
		errs = append(errs, t.addExit(c.Exit, len(c.Mask) > 0)...)
	}
	errs = append(errs, t.addExpressions(c)...)
	errs = append(errs, t.addMask(c.Mask)...)
	errs = append(errs, t.addRules(c.NameRules)...)
	return t, errors.Join(errs...)
}

func (t *table) addExit(exit map[string]string, mask bool) (errs []error) {
	if len(exit) == 0 && !mask {
		return []error{backends.KeyErrorf("exit", `must be a table of what each exit status means, for example { "0" = "?ok", "1" = "virus", "2" = "?swerr" }`)}
	}
	for _, status := range slices.Sorted(maps.Keys(exit)) {
		key := "exit." + status
		o, err := parseOutcome(key, exit[status])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if status == "*" {
			if o.category == backends.OK {
				errs = append(errs, backends.KeyErrorf(key, "must not be %q: an unknown status does not mean clean; list those that do", exit[status]))
			}
			t.rest = &o
			continue
		}
		code, err := strconv.Atoi(status)
		if err != nil || code < 0 || code > 255 || strconv.Itoa(code) != status {
			errs = append(errs, backends.KeyErrorf("exit", "%q is not an exit status; write \"0\" to \"255\", or \"*\" for all others", status))
			continue
		}
		t.exit[code] = o
	}
	return errs
}

func (t *table) addMask(mask []Bit) (errs []error) {
	for i, b := range mask {
		key := fmt.Sprintf("mask[%d].", i)
		o, err := parseOutcome(key+"category", b.Category)
		switch {
		case err != nil:
			errs = append(errs, err)
		case b.Bit < 1 || b.Bit > 128 || b.Bit&(b.Bit-1) != 0:
			errs = append(errs, backends.KeyErrorf(key+"bit", "%d is not a bit; write 1, 2, 4, ... 128", b.Bit))
		case o.category == backends.OK:
			errs = append(errs, backends.KeyErrorf(key+"category", "must not be %q: bits that mean nothing belong in exit", b.Category))
		case slices.ContainsFunc(t.mask, func(other bit) bool { return other.bit == b.Bit }):
			errs = append(errs, backends.KeyErrorf(key+"bit", "%d is there twice", b.Bit))
		}
		t.mask = append(t.mask, bit{b.Bit, o})
	}
	return errs
}

// addRules accepts only the categories of findings: a rule with ok would remove a
// finding.
func (t *table) addRules(rules []NameRule) (errs []error) {
	for i, r := range rules {
		key := fmt.Sprintf("name_rules[%d].", i)
		re, err := regexp.Compile(r.Name)
		if err != nil {
			errs = append(errs, backends.KeyErrorf(key+"name", "%w; write a regular expression of RE2", err))
		}
		category := backends.Category(r.Category)
		if category.IsFailure() || category == backends.OK {
			errs = append(errs, backends.KeyErrorf(key+"category", "must be \"virus\", \"suspicious\", \"encrypted\" or \"partial\", not %q", r.Category))
		}
		t.rules = append(t.rules, rule{re, category})
	}
	return errs
}

// parseOutcome parses an outcome such as "ok" or "?ok".
func parseOutcome(key, text string) (outcome, error) {
	word, asks := strings.CutPrefix(text, "?")
	category := backends.Category(word)
	return outcome{category: category, asks: asks}, backends.OneOf(key, category, backends.Categories()...)
}
