package policy

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/test/testkit"
)

// state is a possible outcome of one engine.
type state struct {
	category backends.Category
	optional bool
	failure  backends.Category // in addition to a finding; empty: none
}

// states are all outcomes, with some of the many pairs of a finding and a failure;
// TestFindingAndFailure has all of them. Optional matters for failures only.
func states() []state {
	var all []state
	for _, c := range backends.Categories() {
		all = append(all, state{category: c})
		if c.IsFailure() {
			all = append(all, state{category: c, optional: true})
		}
	}
	return append(all,
		state{category: backends.Virus, failure: backends.SWErr},
		state{category: backends.Encrypted, failure: backends.SWErr},
		state{category: backends.Encrypted, failure: backends.SWErr, optional: true},
		state{category: backends.Partial, failure: backends.Interrupted},
	)
}

func (s state) String() string {
	text := string(s.category)
	if s.failure != "" {
		text += "+" + string(s.failure)
	}
	if s.optional {
		text += "?"
	}
	return text
}

// report makes a report of s. Its code and name are those of engine i.
func (s state) report(i int) Report {
	r := Report{Engine: fmt.Sprintf("e%d", i), Required: !s.optional}
	if s.category.IsFailure() {
		r.Err = &backends.Failure{Category: s.category, Code: i, Text: fmt.Sprintf("text %d", i)}
		return r
	}
	r.Result = backends.Result{Category: s.category, Code: i}
	if isFinding(s.category) {
		r.Result.Findings = []backends.Finding{{Name: fmt.Sprintf("name%d", i), Category: s.category}}
	}
	if s.failure != "" {
		r.Err = &backends.Failure{Category: s.failure, Code: i, Text: fmt.Sprintf("text %d", i)}
	}
	return r
}

func reportsOf(ss []state) []Report {
	rs := make([]Report, len(ss))
	for i, s := range ss {
		rs[i] = s.report(i)
	}
	return rs
}

// combinations calls f with every selection of n states, repetitions included, in the
// order of states.
func combinations(n int, f func([]state)) {
	all := states()
	var chosen []state
	var choose func(from int)
	choose = func(from int) {
		if len(chosen) == n {
			f(chosen)
			return
		}
		for i := from; i < len(all); i++ {
			chosen = append(chosen, all[i])
			choose(i)
			chosen = chosen[:len(chosen)-1]
		}
	}
	choose(0)
}

// permutations calls f with every order of ss.
func permutations(ss []state, f func([]state)) {
	var permute func(k int)
	permute = func(k int) {
		if k == len(ss) {
			f(ss)
			return
		}
		for i := k; i < len(ss); i++ {
			ss[k], ss[i] = ss[i], ss[k]
			permute(k + 1)
			ss[k], ss[i] = ss[i], ss[k]
		}
	}
	permute(0)
}

// TestMergeGolden lists the verdict on every combination of outcomes of up to three
// engines, in both modes. A question mark means an optional engine, a plus sign a failure
// in addition to a finding. The winner is the number of an engine in the line.
func TestMergeGolden(t *testing.T) {
	strict, plain := Default(), Default()
	plain.Mode = ByCategory
	var b bytes.Buffer
	show := func(v Verdict) string {
		return fmt.Sprintf("(%d, %s, %s) by %s", v.Code, v.Category, v.Action, v.Engine)
	}
	fmt.Fprintf(&b, "no engine: strictest (%d, %s, %s), category (%d, %s, %s)\n",
		strict.Merge(nil).Code, strict.Merge(nil).Category, strict.Merge(nil).Action,
		plain.Merge(nil).Code, plain.Merge(nil).Category, plain.Merge(nil).Action)
	for n := 1; n <= 3; n++ {
		combinations(n, func(ss []state) {
			rs := reportsOf(ss)
			s, c := show(strict.Merge(rs)), show(plain.Merge(rs))
			fmt.Fprintf(&b, "%s: strictest %s", strings.Trim(fmt.Sprint(ss), "[]"), s)
			if c != s {
				fmt.Fprintf(&b, ", category %s", c)
			}
			b.WriteByte('\n')
		})
	}
	testkit.Golden(t, "testdata/merge.golden", b.Bytes())
}

// TestMergeOrder checks that the order of the engines matters only for the winner among
// equals.
func TestMergeOrder(t *testing.T) {
	for _, p := range somePolicies() {
		for n := 2; n <= 3; n++ {
			combinations(n, func(ss []state) {
				want := p.Merge(reportsOf(ss))
				permutations(ss, func(ss []state) {
					got := p.Merge(reportsOf(ss))
					if got.Category != want.Category || got.Action != want.Action {
						t.Fatalf("%v: (%s, %s), want (%s, %s)", ss, got.Category, got.Action, want.Category, want.Action)
					}
					// The winner is the first report that counts and has the category.
					for i, j := range got.Reports {
						if j.Counts && j.Category == got.Category {
							if got.Code != i || got.Engine != j.Engine {
								t.Fatalf("%v: winner %q, code %d, want number %d", ss, got.Engine, got.Code, i)
							}
							break
						}
					}
				})
			})
		}
	}
}

// somePolicies are policies that differ in all relevant ways.
func somePolicies() []*Policy {
	with := func(f func(*Policy)) *Policy {
		p := Default()
		f(p)
		return p
	}
	first := func(cs ...backends.Category) []backends.Category {
		for _, c := range backends.Categories() {
			if !strings.Contains(fmt.Sprint(cs), string(c)) || c == backends.OK {
				cs = append(cs, c)
			}
		}
		return cs
	}
	return []*Policy{
		Default(),
		with(func(p *Policy) { p.Mode = ByCategory }),
		with(func(p *Policy) { p.Precedence = first(backends.Encrypted) }),
		with(func(p *Policy) { p.Precedence, p.Mode = first(backends.Encrypted), ByCategory }),
		with(func(p *Policy) { p.Precedence = first(backends.SWErr, backends.Virus) }),
		with(func(p *Policy) { p.Precedence, p.Mode = first(backends.SWErr, backends.Virus), ByCategory }),
		with(func(p *Policy) { p.Actions[backends.Encrypted] = Quarantine }),
		with(func(p *Policy) {
			for c := range p.Actions {
				p.Actions[c] = OK
			}
		}),
		with(func(p *Policy) {
			p.Actions[backends.Virus] = Tempfail
			p.Actions[backends.Suspicious] = OK
			p.Actions[backends.NotInstalled] = OK
		}),
		with(func(p *Policy) {
			p.Actions[backends.Virus] = Tempfail
			p.Actions[backends.Suspicious] = Tempfail
		}),
		with(func(p *Policy) {
			p.Actions[backends.SWErr] = Quarantine
			p.Actions[backends.Interrupted] = OK
			p.Precedence = first(backends.Suspicious, backends.Interrupted)
		}),
	}
}
