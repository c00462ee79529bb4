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

// randomReport makes a report of anything, valid or not.
func randomReport(r *rand.Rand) Report {
	any := func() backends.Category {
		cs := append(backends.Categories(), "", "maybe-ok")
		return cs[r.IntN(len(cs))]
	}
	rep := Report{Engine: string(rune('a' + r.IntN(3))), Required: r.IntN(2) == 0, Cancelled: r.IntN(8) == 0}
	kind := r.IntN(5) // one in five has a result and an error
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

// TestMergeProperties holds what no policy may break against random reports.
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
				t.Fatalf("a required failure made (%s, %s) of (%s, %s)", failed.Category, failed.Action, v.Category, v.Action)
			}
			checkFailureAdded(t, p, v, rs, r.IntN(len(rs)+1), r)
			shuffled := slices.Clone(rs)
			r.Shuffle(len(rs), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if s := p.Merge(shuffled); s.Category != v.Category || s.Action != v.Action {
				t.Fatalf("the order made (%s, %s) of (%s, %s)", s.Category, s.Action, v.Category, v.Action)
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
		t.Errorf("nobody looked: (%s, %s) by %q", v.Category, v.Action, v.Engine)
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
	// In mode category the winner decides; it is the virus if that is first.
	if p.Mode == ByCategory && p.rank(backends.Virus) == 0 && after.Action != virus {
		t.Errorf("%s with a virus first, want %s", after.Action, virus)
	}
	// Where nothing is stricter than a virus, a virus never weakens.
	if p.Validate() == nil && virus == Quarantine && p.Mode == Strictest && before.Action.Stricter(after.Action) {
		t.Errorf("a virus made %s of %s", after.Action, before.Action)
	}
	if p.Stronger(before.Category, after.Category) && before.Category != backends.SWErr && !before.Category.IsFailure() {
		t.Errorf("a virus made %s of %s", after.Category, before.Category)
	}
}

// checkFailureAdded lets one of the engines fail beside what it reported, which may
// never weaken the verdict.
func checkFailureAdded(t *testing.T, p *Policy, before Verdict, rs []Report, at int, r *rand.Rand) {
	t.Helper()
	if at == len(rs) || rs[at].Err != nil || rs[at].Result.Category == "" {
		return // an empty result beside an error is none
	}
	failures := []backends.Category{backends.SWErr, backends.Interrupted, backends.CannotExecute, backends.NotInstalled}
	rs = slices.Clone(rs)
	rs[at].Err = &backends.Failure{Category: failures[r.IntN(len(failures))]}
	after := p.Merge(rs)
	if p.Mode == Strictest && before.Action.Stricter(after.Action) {
		t.Errorf("%v beside report %d made %s of %s", rs[at].Err, at, after.Action, before.Action)
	}
	if rs[at].Required && !rs[at].Cancelled && (after.Category == backends.OK || p.Stronger(before.Category, after.Category)) {
		t.Errorf("%v beside report %d made %s of %s", rs[at].Err, at, after.Category, before.Category)
	}
}

// TestFailureBeside: every finding with every failure in one report, next to every
// other report, in every policy. The category is the strongest of both, and in mode
// Strictest no action of either is lost.
func TestFailureBeside(t *testing.T) {
	for number, p := range somePolicies() {
		for _, c := range backends.Categories() {
			for _, f := range backends.Categories() {
				if !f.IsFailure() {
					continue
				}
				for _, other := range states() {
					for _, optional := range []bool{false, true} {
						both := state{category: c, beside: f, optional: optional}.report(0)
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
							t.Fatalf("policy %d, %s+%s beside %v: judged %s, verdict %s", number, c, f, other, j.Category, v.Category)
						}
						for _, a := range []Action{p.action(c), p.action(f)} {
							if p.Mode == Strictest && j.Counts && a.Stricter(v.Action) {
								t.Fatalf("policy %d, %s+%s beside %v: %s is lost in %s", number, c, f, other, a, v.Action)
							}
						}
					}
				}
			}
		}
	}
}
