package policy

import (
	"slices"
	"testing"

	"polyclam/backends"
)

// completions are all possible reports of a pending engine: each category on its own,
// several in one answer, and a cancelled scan.
func completions(i int, optional bool) []Report {
	var all []Report
	for _, c := range backends.Categories() {
		all = append(all, state{category: c, optional: optional}.report(i))
	}
	mixed := state{category: backends.Virus, optional: optional}.report(i)
	mixed.Result.Category = backends.SWErr
	locked := state{category: backends.Encrypted, optional: optional}.report(i)
	locked.Result.Category = backends.Interrupted
	both := state{category: backends.Encrypted, optional: optional}.report(i)
	both.Err = &backends.Failure{Category: backends.Interrupted}
	off := state{category: backends.Interrupted, optional: optional}.report(i)
	off.Cancelled = true
	return append(all, mixed, locked, both, off)
}

// complete calls f with every completion of the pending reports, until f returns false.
func complete(reports []Report, pending []bool, f func([]Report) bool) bool {
	i := slices.Index(pending, true)
	if i < 0 {
		return f(reports)
	}
	rs, left := slices.Clone(reports), slices.Clone(pending)
	left[i] = false
	for _, c := range completions(i, !reports[i].Required) {
		rs[i] = c
		if !complete(rs, left, f) {
			return false
		}
	}
	return true
}

func same(a, b Verdict) bool { return a.Category == b.Category && a.Action == b.Action }

// progress calls f with every state that a scan by n engines can be in. It leaves out
// categories that Settled does not distinguish.
func progress(n int, f func(reports []Report, pending []bool)) {
	reports, pending := make([]Report, n), make([]bool, n)
	var step func(i int)
	step = func(i int) {
		if i == n {
			f(reports, pending)
			return
		}
		for _, s := range states() {
			switch s.category {
			case backends.Partial, backends.CannotExecute, backends.NotInstalled:
				continue
			}
			if s.failure != "" && s.category != backends.Encrypted {
				continue
			}
			reports[i], pending[i] = s.report(i), false
			step(i + 1)
		}
		for _, required := range []bool{true, false} {
			// Settled must not read a pending report.
			reports[i], pending[i] = state{category: backends.Virus, optional: !required}.report(i), true
			step(i + 1)
		}
	}
	step(0)
}

// TestSettled compares Settled with all ways in which a scan by up to three engines can go
// on: it is settled if and only if they all lead to the same category and action.
func TestSettled(t *testing.T) {
	settled := 0
	for number, p := range somePolicies() {
		for n := 1; n <= 3; n++ {
			progress(n, func(reports []Report, pending []bool) {
				var want *Verdict
				constant := complete(reports, pending, func(rs []Report) bool {
					v := p.Merge(rs)
					if want == nil {
						want = &v
					}
					return same(v, *want)
				})
				if want.Engine == "" {
					constant = false // no engine has looked yet
				}
				if got := p.Settled(reports, pending); got != constant {
					t.Fatalf("policy %d: settled %t, want %t: %+v pending %v", number, got, constant, reports, pending)
				}
				if constant && slices.Contains(pending, true) {
					settled++
				}
			})
		}
	}
	if settled == 0 {
		t.Error("no scan was settled early")
	}
}

func TestSettledExamples(t *testing.T) {
	virus, ok := state{category: backends.Virus, optional: false}, state{category: backends.OK, optional: false}
	cases := []struct {
		name    string
		change  func(*Policy)
		states  []state
		pending []bool
		want    bool
	}{
		{"the first engine found a virus", nil, []state{virus, ok}, []bool{false, true}, true},
		{"the second engine found a virus", nil, []state{ok, virus}, []bool{true, false}, true},
		{"the third engine found a virus", nil, []state{ok, ok, virus}, []bool{true, true, false}, true},
		{"ok is never settled early", nil, []state{ok, ok}, []bool{false, true}, false},
		{"all have reported", nil, []state{ok, ok}, []bool{false, false}, true},
		{"wait for all", func(p *Policy) { p.AnswerFirst = false }, []state{virus, ok}, []bool{false, true}, false},
		{"wait for all, all have reported", func(p *Policy) { p.AnswerFirst = false }, []state{virus, ok}, []bool{false, false}, false},
		{"no engines", nil, nil, nil, false},
		{"lengths differ", nil, []state{virus, ok}, []bool{false}, false},
		{"a virus with the action ok settles nothing", func(p *Policy) { p.Actions[backends.Virus] = OK }, []state{virus, ok}, []bool{false, true}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := Default()
			if c.change != nil {
				c.change(p)
			}
			reports := reportsOf(c.states)
			if got := p.Settled(reports, c.pending); got != c.want {
				t.Errorf("settled %t, want %t", got, c.want)
			}
			for i, r := range reports {
				if r.Cancelled {
					t.Errorf("report %d of the caller was changed", i)
				}
			}
		})
	}
}
