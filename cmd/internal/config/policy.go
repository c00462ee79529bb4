package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// Policy is the [policy] table with the [[rule]] tables.
type Policy struct {
	Precedence []backends.Category
	Mode       policy.Mode
	FirstVirus string // "answer" or "wait"
	// Actions are those that the file gives, over the clients' presets.
	Actions map[backends.Category]policy.Action
	Rules   []policy.Rule
}

func defaultPolicy() Policy {
	return Policy{Precedence: backends.Categories(), Mode: policy.Strictest, FirstVirus: "answer"}
}

func (p *Policy) keys() []key {
	return []key{
		{"precedence", precedence(&p.Precedence)},
		{"action", word(&p.Mode, policy.Strictest, policy.ByCategory)},
		{"first_virus", word(&p.FirstVirus, "answer", "wait")},
		{"actions", actions(&p.Actions)},
	}
}

// policy returns the site's policy for a listener: the defaults, then the
// preset of the listener's client, then what the site says, then what the
// listener says itself.
func (p *Policy) policy(l *Listener) *policy.Policy {
	base := policy.Default()
	base.Precedence = p.Precedence
	base.Mode = p.Mode
	base.AnswerFirst = p.FirstVirus == "answer"
	base.Rules = p.Rules
	return base.WithActions(l.Profile.Actions).WithActions(p.Actions).WithActions(l.Actions)
}

func parseCategory(s string) (backends.Category, error) {
	if c := backends.Category(s); c.Valid() {
		return c, nil
	}
	return "", unknown("category", s, plain(backends.Categories()))
}

// precedence takes all nine categories in an order.
func precedence(p *[]backends.Category) setter {
	return func(r *reader, path string, v any) {
		var order []backends.Category
		before := len(r.problems)
		list(&order, parseCategory)(r, path, v)
		if len(r.problems) > before {
			return
		}
		seen := map[backends.Category]bool{}
		for i, c := range order {
			if seen[c] {
				r.fail(element(path, i), "%q stands twice; want each of the nine categories once", c)
			}
			seen[c] = true
		}
		missing := slices.DeleteFunc(backends.Categories(), func(c backends.Category) bool { return seen[c] })
		if len(missing) > 0 {
			r.fail(path, "%s missing; want each of the nine categories once", strings.Join(plain(missing), ", "))
			return
		}
		*p = order
	}
}

// actions takes a table of category = action.
func actions(p *map[backends.Category]policy.Action) setter {
	return func(r *reader, path string, v any) {
		table, ok := v.(map[string]any)
		if !ok {
			r.fail(path, "want a table of actions, as in encrypted = \"quarantine\", not %s", typeName(v))
			return
		}
		out := map[backends.Category]policy.Action{}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			c, err := parseCategory(name)
			if err != nil {
				r.fail(child(path, name), "%v", err)
				continue
			}
			var a policy.Action
			word(&a, policy.Quarantine, policy.Tempfail, policy.OK)(r, child(path, name), table[name])
			if a != "" {
				out[c] = a
			}
		}
		*p = out
	}
}

// readRule reads a [[rule]].
func (f *File) readRule(r *reader, path string, table map[string]any) {
	var rule policy.Rule
	r.table(path, table, []key{
		{"engine", text(&rule.Engine)},
		{"name", parsed(&rule.Name, parseRegexp)},
		{"category", parsed(&rule.Category, parseCategory)},
	}, nil)
	for _, name := range []string{"name", "category"} {
		if _, ok := table[name]; !ok {
			r.fail(path, "the rule has no %s; want engine (or none: all), name and category", name)
		}
	}
	f.Policy.Rules = append(f.Policy.Rules, rule)
}

func parseRegexp(s string) (*regexp.Regexp, error) {
	if s == "" {
		return nil, fmt.Errorf("an empty expression matches every name; want one as in '^PUA\\.'")
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("%w; want a regular expression of RE2, as in '^PUA\\.'", err)
	}
	return re, nil
}
