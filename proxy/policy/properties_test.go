package policy

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"polyclam/backends"
)

// randomReport returns a report that may be invalid in any way.
func randomReport(r *rand.Rand) Report {
	any := func() backends.Category {
		cs := append(backends.Categories(), "", "maybe-ok")
		return cs[r.IntN(len(cs))]
	}
	rep := Report{Engine: string(rune('a' + r.IntN(3))), Required: r.IntN(2) == 0, Cancelled: r.IntN(8) == 0}
	kind := r.IntN(5) // 4: a result and an error
	switch kind {
	case 0, 4:
		rep.Err = &backends.Failure{Category: any(), Code: r.IntN(9)}
	case 1:
		rep.Err = []error{context.Canceled, fs.ErrNotExist, fs.ErrPermission, errors.New("x")}[r.IntN(4)]
	}
	if kind >= 2 {
		rep.Result = backends.Result{Category: any(), Code: r.IntN(9)}
		for range r.IntN(4) {
			rep.Result.Findings = append(rep.Result.Findings, backends.Finding{Name: string(rune('A' + r.IntN(5))), Category: any()})
		}
	}
	return rep
}

func randomReports(r *rand.Rand) []Report {
	rs := make([]Report, r.IntN(6))
	for i := range rs {
		rs[i] = randomReport(r)
	}
	return rs
}

// TestMergeProperties checks on random reports what must hold for every policy.
func TestMergeProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(2003, 1))
	for _, p := range somePolicies() {
		p.Rules = []Rule{rule("a", "A", backends.OK), rule("", "B", backends.Suspicious)}
		for range 1500 {
			rs := randomReports(r)
			v := p.Merge(rs)
			checkVerdict(t, p, v)
			at := r.IntN(len(rs) + 1)
			checkVirusAdded(t, p, v, p.Merge(slices.Insert(slices.Clone(rs), at, found("v", "V"))))
			failed := p.Merge(slices.Insert(slices.Clone(rs), at, failing("f", true, &backends.Failure{Category: backends.Interrupted})))
			if failed.Category == backends.OK || p.Mode == Strictest && v.Action.Stricter(failed.Action) && len(v.Engine) > 0 {
				t.Fatalf("a required failure changed (%s, %s) to (%s, %s)", v.Category, v.Action, failed.Category, failed.Action)
			}
			checkFailureAdded(t, p, v, rs, r.IntN(len(rs)+1), r)
			shuffled := slices.Clone(rs)
			r.Shuffle(len(rs), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if s := p.Merge(shuffled); s.Category != v.Category || s.Action != v.Action {
				t.Fatalf("another order changed (%s, %s) to (%s, %s)", v.Category, v.Action, s.Category, s.Action)
			}
			if t.Failed() {
				t.Fatalf("reports: %+v", rs)
			}
		}
	}
}

func checkVerdict(t *testing.T, p *Policy, v Verdict) {
	t.Helper()
	if !v.Category.Valid() || !v.Action.Valid() {
		t.Errorf("verdict (%s, %s)", v.Category, v.Action)
	}
	counting := 0
	for _, j := range v.Reports {
		if !j.Category.Valid() || !j.Action.Valid() {
			t.Errorf("judged (%s, %s)", j.Category, j.Action)
		}
		if !j.Counts {
			continue
		}
		counting++
		if v.Category == backends.OK && (j.Category != backends.OK || j.Err != nil) {
			t.Errorf("ok with a report of %s", j.Category)
		}
		if p.Mode == Strictest && j.Action.Stricter(v.Action) {
			t.Errorf("%s with a report of %s", v.Action, j.Action)
		}
		for _, f := range j.Result.Findings {
			own := known(f.Category)
			if r := p.rule(j.Engine, f.Name); r != nil {
				own = known(r.Category)
			}
			if p.Mode == Strictest && own == backends.Virus && p.action(backends.Virus).Stricter(v.Action) {
				t.Errorf("%s with a virus", v.Action)
			}
		}
	}
	if counting == 0 && (v.Category != backends.SWErr || v.Action == OK || v.Engine != "") {
		t.Errorf("no report counts: (%s, %s) by %q", v.Category, v.Action, v.Engine)
	}
	if v.Category == backends.OK && v.Action != OK {
		t.Errorf("ok with %s", v.Action)
	}
}

func checkVirusAdded(t *testing.T, p *Policy, before, after Verdict) {
	t.Helper()
	virus := p.action(backends.Virus)
	if p.Mode == Strictest && virus.Stricter(after.Action) {
		t.Errorf("%s with a virus, want at least %s", after.Action, virus)
	}
	// In mode category the winner decides. A virus wins if it is first in the precedence.
	if p.Mode == ByCategory && p.rank(backends.Virus) == 0 && after.Action != virus {
		t.Errorf("%s with a virus first, want %s", after.Action, virus)
	}
	// If no action is stricter than that of a virus, a virus never weakens the verdict.
	if p.Validate() == nil && virus == Quarantine && p.Mode == Strictest && before.Action.Stricter(after.Action) {
		t.Errorf("a virus changed %s to %s", before.Action, after.Action)
	}
	if p.Stronger(before.Category, after.Category) && before.Category != backends.SWErr && !before.Category.IsFailure() {
		t.Errorf("a virus changed %s to %s", before.Category, after.Category)
	}
}

// checkFailureAdded adds a failure to one of the reports, which must never weaken the
// verdict.
func checkFailureAdded(t *testing.T, p *Policy, before Verdict, rs []Report, at int, r *rand.Rand) {
	t.Helper()
	if at == len(rs) || rs[at].Err != nil || rs[at].Result.Category == "" {
		return // an empty result with an error is not a result
	}
	failures := []backends.Category{backends.SWErr, backends.Interrupted, backends.CannotExecute, backends.NotInstalled}
	rs = slices.Clone(rs)
	rs[at].Err = &backends.Failure{Category: failures[r.IntN(len(failures))]}
	after := p.Merge(rs)
	if p.Mode == Strictest && before.Action.Stricter(after.Action) {
		t.Errorf("%v in report %d changed %s to %s", rs[at].Err, at, before.Action, after.Action)
	}
	if rs[at].Required && !rs[at].Cancelled && (after.Category == backends.OK || p.Stronger(before.Category, after.Category)) {
		t.Errorf("%v in report %d changed %s to %s", rs[at].Err, at, before.Category, after.Category)
	}
}

// TestFindingAndFailure merges every finding with every failure in one report, next to
// every other report, in every policy. The category is the stronger of both, and in mode
// Strictest no action of either is lost.
func TestFindingAndFailure(t *testing.T) {
	for number, p := range somePolicies() {
		for _, c := range backends.Categories() {
			for _, f := range backends.Categories() {
				if !f.IsFailure() {
					continue
				}
				for _, other := range states() {
					for _, optional := range []bool{false, true} {
						both := state{category: c, failure: f, optional: optional}.report(0)
						if c.IsFailure() {
							continue
						}
						v := p.Merge([]Report{both, other.report(1)})
						j := v.Reports[0]
						if j.Failure != f || isFinding(c) && (!j.Counts || len(j.Names) != 1) || j.Action == "" {
							t.Fatalf("policy %d, %s+%s: judged %+v", number, c, f, j)
						}
						strongest := c
						if p.Stronger(f, c) {
							strongest = f
						}
						if j.Category != strongest || p.Stronger(j.Category, v.Category) && j.Counts {
							t.Fatalf("policy %d, %s+%s next to %v: judged %s, verdict %s", number, c, f, other, j.Category, v.Category)
						}
						for _, a := range []Action{p.action(c), p.action(f)} {
							if p.Mode == Strictest && j.Counts && a.Stricter(v.Action) {
								t.Fatalf("policy %d, %s+%s next to %v: %s is lost in %s", number, c, f, other, a, v.Action)
							}
						}
					}
				}
			}
		}
	}
}
