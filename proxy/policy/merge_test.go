package policy

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"testing"

	"polyclam/backends"
)

func found(engine string, names ...string) Report {
	return Report{Engine: engine, Required: true, Result: backends.Found(1, names...)}
}

func clean(engine string) Report {
	return Report{Engine: engine, Required: true, Result: backends.Clean(0)}
}

func result(engine string, r backends.Result) Report {
	return Report{Engine: engine, Required: true, Result: r}
}

func both(engine string, r backends.Result, err error) Report {
	return Report{Engine: engine, Required: true, Result: r, Err: err}
}

func failing(engine string, required bool, err error) Report {
	return Report{Engine: engine, Required: required, Err: err}
}

func rule(engine, name string, c backends.Category) Rule {
	return Rule{Engine: engine, Name: regexp.MustCompile(name), Category: c}
}

type mergeCase struct {
	name    string
	change  func(*Policy)
	reports []Report
	want    Verdict // without Reports
}

func (c mergeCase) run(t *testing.T) {
	p := Default()
	if c.change != nil {
		c.change(p)
	}
	got := p.Merge(c.reports)
	w := c.want
	if got.Code != w.Code || got.Category != w.Category || got.Action != w.Action ||
		got.Engine != w.Engine || !slices.Equal(got.Names, w.Names) || got.Detail != w.Detail {
		got.Reports = nil
		t.Errorf("got  %+v\nwant %+v", got, w)
	}
	if len(got.Reports) != len(c.reports) {
		t.Errorf("%d reports, want %d", len(got.Reports), len(c.reports))
	}
}

const nobody = "no engine gave an answer"

var encryptedZip = backends.Result{Category: backends.Encrypted, Code: 2, Detail: "Password protected file foo.zip/foo.txt"}

func TestMerge(t *testing.T) {
	cases := []mergeCase{
		{
			name: "no engine at all",
			want: Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Detail: nobody},
		}, {
			name:    "the case of 2003",
			reports: []Report{result("sophos", encryptedZip), clean("clamav")},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: OK, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "encrypted does not wave through what another engine did not see",
			reports: []Report{result("sophos", encryptedZip), failing("clamav", true, context.DeadlineExceeded)},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "nor what the same engine did not get to",
			reports: []Report{both("sophos", encryptedZip, &backends.Failure{Category: backends.SWErr, Code: 9, Text: "virus data missing"}), clean("clamav")},
			want: Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "sophos",
				Detail: encryptedZip.Detail + "; virus data missing"},
		}, {
			name:    "one of several failures beside a finding is as good as another",
			change:  func(p *Policy) { p.Actions[backends.SWErr] = OK },
			reports: []Report{both("sophos", encryptedZip, backends.Failures{{Text: "a"}, {Category: backends.Interrupted, Text: "b"}})},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "sophos", Detail: encryptedZip.Detail + "; a; b"},
		}, {
			name:    "an ok beside a failure is none",
			reports: []Report{both("sophos", backends.Clean(0), &backends.Failure{Category: backends.Interrupted, Code: 7, Text: "killed"})},
			want:    Verdict{Code: 7, Category: backends.Interrupted, Action: Tempfail, Engine: "sophos", Detail: "killed"},
		}, {
			name:    "an optional engine that found something counts, and so does its failure",
			reports: []Report{clean("a"), {Engine: "b", Result: encryptedZip, Err: errors.New("no idea")}},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "b", Detail: encryptedZip.Detail + "; no idea"},
		}, {
			name:    "a virus stays one",
			reports: []Report{both("a", backends.Found(1, "A"), context.DeadlineExceeded)},
			want: Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a", Names: []string{"A"},
				Detail: context.DeadlineExceeded.Error()},
		}, {
			name:    "a finding without a name counts",
			reports: []Report{result("a", backends.Result{Category: backends.Encrypted, Findings: []backends.Finding{{Name: "X", Category: backends.Encrypted}, {Category: backends.Suspicious}}})},
			want:    Verdict{Category: backends.Suspicious, Action: Quarantine, Engine: "a", Names: []string{"X"}},
		}, {
			name: "a virus that loses by category is never ok",
			change: func(p *Policy) {
				slices.Reverse(p.Precedence[:3])
				p.Mode = ByCategory
			},
			reports: []Report{result("sophos", encryptedZip), found("b", "B")},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Quarantine, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "encrypted waves a failure through where the site wants it so",
			change:  func(p *Policy) { p.Mode = ByCategory },
			reports: []Report{result("sophos", encryptedZip), failing("clamav", true, context.DeadlineExceeded)},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: OK, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "equals: the earlier engine wins",
			reports: []Report{clean("a"), found("b", "B"), found("c", "C")},
			want:    Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "b", Names: []string{"B"}},
		}, {
			name:    "names strongest first, else in the engine's order, repetitions kept",
			reports: []Report{found("a", "Heuristics.Encrypted.Zip", "A", "Heuristics.Broken.X", "B", "A")},
			want: Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a",
				Names: []string{"A", "B", "A", "Heuristics.Broken.X", "Heuristics.Encrypted.Zip"}},
		}, {
			name:    "an error's text is the detail",
			reports: []Report{clean("a"), failing("b", true, errors.New("no idea"))},
			want:    Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Engine: "b", Detail: "no idea"},
		}, {
			name:    "a failure has a code",
			reports: []Report{failing("b", true, &backends.Failure{Category: backends.Interrupted, Code: 137, Text: "killed"})},
			want:    Verdict{Code: 137, Category: backends.Interrupted, Action: Tempfail, Engine: "b", Detail: "killed"},
		}, {
			name:    "an optional engine's failure is made up for",
			reports: []Report{failing("a", false, fs.ErrNotExist), clean("b")},
			want:    Verdict{Code: 0, Category: backends.OK, Action: OK, Engine: "b"},
		}, {
			name:    "by an optional engine too",
			reports: []Report{failing("a", false, fs.ErrNotExist), {Engine: "b", Result: backends.Clean(0)}},
			want:    Verdict{Code: 0, Category: backends.OK, Action: OK, Engine: "b"},
		}, {
			name:    "but not by another failure",
			reports: []Report{failing("a", false, context.DeadlineExceeded), failing("b", true, fs.ErrNotExist)},
			want:    Verdict{Code: 999, Category: backends.Interrupted, Action: Tempfail, Engine: "a", Detail: context.DeadlineExceeded.Error()},
		}, {
			name:    "an optional engine's finding counts",
			reports: []Report{clean("a"), {Engine: "b", Result: backends.Found(1, "B")}},
			want:    Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "b", Names: []string{"B"}},
		}, {
			name:    "everything called off",
			reports: []Report{{Engine: "a", Required: true, Cancelled: true, Err: context.Canceled}, {Engine: "b", Cancelled: true}},
			want:    Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Detail: nobody},
		}, {
			name:    "what was called off makes up for nothing",
			reports: []Report{failing("a", false, fs.ErrNotExist), {Engine: "b", Required: true, Cancelled: true, Result: backends.Clean(0)}},
			want:    Verdict{Code: 999, Category: backends.NotInstalled, Action: Tempfail, Engine: "a", Detail: fs.ErrNotExist.Error()},
		}, {
			name: "nobody looked is never ok",
			change: func(p *Policy) {
				p.Actions[backends.SWErr] = OK
				p.Mode = ByCategory
			},
			want: Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Detail: nobody},
		}, {
			name:   "nobody looked can be stricter",
			change: func(p *Policy) { p.Actions[backends.SWErr] = Quarantine },
			want:   Verdict{Code: 999, Category: backends.SWErr, Action: Quarantine, Detail: nobody},
		}, {
			name:    "virus and a locked part in one answer, locked parts first in the precedence",
			change:  func(p *Policy) { slices.Reverse(p.Precedence[:3]) },
			reports: []Report{found("a", "A", "Heuristics.Encrypted.Zip")},
			want: Verdict{Code: 1, Category: backends.Encrypted, Action: Quarantine, Engine: "a",
				Names: []string{"Heuristics.Encrypted.Zip", "A"}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

func TestMergeUnknown(t *testing.T) {
	swerr := Verdict{Category: backends.SWErr, Action: Tempfail, Engine: "a"}
	withNames := swerr
	withNames.Names = []string{"A"}
	virus := Verdict{Category: backends.Virus, Action: Quarantine, Engine: "a", Names: []string{"A"}}
	finding := func(c backends.Category) []backends.Finding { return []backends.Finding{{Name: "A", Category: c}} }
	toOK := func(p *Policy) { p.Rules = []Rule{rule("", "A", backends.OK)} }
	cases := []mergeCase{
		{name: "the zero result", reports: []Report{result("a", backends.Result{}), clean("b")}, want: swerr},
		{name: "a category nobody knows", reports: []Report{result("a", backends.Result{Category: "OK"}), clean("b")}, want: swerr},
		{name: "a finding without a category", reports: []Report{result("a", backends.Result{Category: backends.OK, Findings: finding("")})}, want: withNames},
		{name: "nothing but unknown", reports: []Report{result("a", backends.Result{Findings: finding("")})}, want: withNames},
		{name: "a virus in a result without a category", reports: []Report{result("a", backends.Result{Findings: finding(backends.Virus)})}, want: virus},
		{name: "a virus in a result that calls itself ok", reports: []Report{result("a", backends.Result{Category: backends.OK, Findings: finding(backends.Virus)})}, want: virus},
		{name: "a rule does not mend a result without a category", change: toOK, reports: []Report{result("a", backends.Result{Findings: finding(backends.Virus)})}, want: swerr},
		{name: "a result that is a failure", reports: []Report{result("a", backends.Result{Category: backends.SWErr}), clean("b")}, want: swerr},
		{
			name:    "an optional engine that found something and failed counts",
			change:  func(p *Policy) { p.Precedence[0], p.Precedence[4] = backends.SWErr, backends.Virus },
			reports: []Report{{Engine: "a", Result: backends.Result{Category: backends.SWErr, Findings: finding(backends.Virus)}}, clean("b")},
			want:    Verdict{Category: backends.SWErr, Action: Quarantine, Engine: "a", Names: []string{"A"}},
		},
		{
			name:    "a policy with nothing in it is safe",
			change:  func(p *Policy) { *p = Policy{} },
			reports: []Report{clean("b"), found("a", "A")},
			want:    Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a", Names: []string{"A"}},
		},
		{
			name: "a policy that puts ok first and stops it is safe",
			change: func(p *Policy) {
				slices.Reverse(p.Precedence)
				p.Actions[backends.OK] = Quarantine
				p.Actions[backends.NotInstalled] = "pass"
			},
			reports: []Report{clean("b"), failing("a", true, fs.ErrNotExist)},
			want:    Verdict{Code: 999, Category: backends.NotInstalled, Action: Tempfail, Engine: "a", Detail: fs.ErrNotExist.Error()},
		},
	}
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

func TestMergeRules(t *testing.T) {
	rules := func(rs ...Rule) func(*Policy) { return func(p *Policy) { p.Rules = rs } }
	suspicious := Verdict{Code: 1, Category: backends.Suspicious, Action: Quarantine, Engine: "a", Names: []string{"PUA.X"}}
	virus := suspicious
	virus.Category = backends.Virus
	cases := []mergeCase{
		{name: "the only finding becomes suspicious", change: rules(rule("", `^PUA\.`, backends.Suspicious)), reports: []Report{found("a", "PUA.X")}, want: suspicious},
		{name: "the only finding becomes ok", change: rules(rule("", `^PUA\.`, backends.OK)), reports: []Report{found("a", "PUA.X")},
			want: Verdict{Code: 1, Category: backends.OK, Action: OK, Engine: "a"}},
		{name: "of another engine", change: rules(rule("b", `^PUA\.`, backends.OK)), reports: []Report{found("a", "PUA.X")}, want: virus},
		{name: "of this engine", change: rules(rule("a", `^PUA\.`, backends.Suspicious)), reports: []Report{found("a", "PUA.X")}, want: suspicious},
		{name: "the first that matches", change: rules(rule("b", `X`, backends.OK), rule("", `Y`, backends.OK), rule("", `X`, backends.Suspicious), rule("", `X`, backends.OK)),
			reports: []Report{found("a", "PUA.X")}, want: suspicious},
		{name: "another finding stays", change: rules(rule("", `^PUA\.`, backends.OK)), reports: []Report{found("a", "PUA.X", "Eicar", "Heuristics.Encrypted.Zip")},
			want: Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a", Names: []string{"Eicar", "Heuristics.Encrypted.Zip"}}},
		{name: "the result says more than its findings", change: rules(rule("", `^PUA\.`, backends.OK)),
			reports: []Report{result("a", backends.Result{Category: backends.Encrypted, Findings: []backends.Finding{{Name: "PUA.X", Category: backends.Suspicious}}})},
			want:    Verdict{Category: backends.Encrypted, Action: OK, Engine: "a"}},
		{name: "a rule without a name is none", change: rules(Rule{Category: backends.OK}), reports: []Report{found("a", "PUA.X")}, want: virus},
		{name: "a rule to nowhere is a failure", change: rules(rule("", `X`, "clean")), reports: []Report{found("a", "PUA.X")},
			want: Verdict{Code: 1, Category: backends.SWErr, Action: Tempfail, Engine: "a", Names: []string{"PUA.X"}}},
		{name: "a virus without a name has no rule", change: rules(rule("", `.*`, backends.OK)), reports: []Report{found("a")},
			want: Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a"}},
	}
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

func TestMergeJudged(t *testing.T) {
	v := Default().Merge([]Report{
		failing("a", false, fs.ErrPermission),
		found("b", "B"),
		{Engine: "c", Required: true, Cancelled: true, Err: errors.New("read: use of closed network connection")},
		failing("d", true, errors.New("x")),
	})
	want := []struct {
		category backends.Category
		action   Action
		counts   bool
	}{
		{backends.CannotExecute, Tempfail, false},
		{backends.Virus, Quarantine, true},
		{backends.Interrupted, Tempfail, false},
		{backends.SWErr, Tempfail, true},
	}
	for i, w := range want {
		if j := v.Reports[i]; j.Category != w.category || j.Action != w.action || j.Counts != w.counts {
			t.Errorf("report %d: %s, %s, counts %t; want %+v", i, j.Category, j.Action, j.Counts, w)
		}
	}
}

func TestMergeCause(t *testing.T) {
	tests := []struct {
		name    string
		reports []Report
		by      string
		cause   backends.Category
	}{
		{"nobody", nil, "", backends.SWErr},
		{"ok", []Report{clean("a")}, "a", backends.OK},
		{"the winner", []Report{clean("a"), found("b", "B"), failing("c", true, errors.New("x"))}, "b", backends.Virus},
		{"another", []Report{result("a", encryptedZip), failing("b", true, context.DeadlineExceeded)}, "b", backends.Interrupted},
		{"not one that does not count", []Report{clean("a"), failing("b", false, errors.New("x")), result("c", encryptedZip)}, "c", backends.Encrypted},
		{"a failure of the winner", []Report{clean("a"), both("b", encryptedZip, errors.New("x"))}, "b", backends.SWErr},
	}
	for _, tt := range tests {
		if v := Default().Merge(tt.reports); v.ActionBy != tt.by || v.Cause != tt.cause {
			t.Errorf("%s: %s by %q, want %s by %q", tt.name, v.Cause, v.ActionBy, tt.cause, tt.by)
		}
	}
}

func TestMergeRuled(t *testing.T) {
	p := Default()
	p.Rules = []Rule{rule("", `^PUA\.`, backends.OK), rule("", `^Heur`, backends.Suspicious)}
	v := p.Merge([]Report{found("a", "PUA.X", "Heur.Y", "Eicar", "PUA.Z")})
	want := []Ruled{{"PUA.X", backends.OK, `^PUA\.`}, {"Heur.Y", backends.Suspicious, `^Heur`}, {"PUA.Z", backends.OK, `^PUA\.`}}
	if got := v.Reports[0].Ruled; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !want[0].Passed() || want[1].Passed() {
		t.Error("what a rule lets pass is not told from the rest")
	}
}
