package policy

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"polyclam/backends"
)

func TestMergeRules(t *testing.T) {
	rules := func(rs ...Rule) func(*Policy) { return func(p *Policy) { p.Rules = rs } }
	suspicious := Verdict{Code: 1, Category: backends.Suspicious, Action: Quarantine, Engine: "a", Names: []string{"PUA.X"}}
	virus := suspicious
	virus.Category = backends.Virus
	cases := []mergeCase{
		{name: "the only finding becomes suspicious", change: rules(rule("", `^PUA\.`, backends.Suspicious)), reports: []Report{found("a", "PUA.X")}, want: suspicious},
		{name: "the only finding becomes ok", change: rules(rule("", `^PUA\.`, backends.OK)), reports: []Report{found("a", "PUA.X")},
			want: Verdict{Code: 1, Category: backends.OK, Action: OK, Engine: "a"}},
		{name: "a rule for another engine", change: rules(rule("b", `^PUA\.`, backends.OK)), reports: []Report{found("a", "PUA.X")}, want: virus},
		{name: "a rule for this engine", change: rules(rule("a", `^PUA\.`, backends.Suspicious)), reports: []Report{found("a", "PUA.X")}, want: suspicious},
		{name: "the first rule that matches", change: rules(rule("b", `X`, backends.OK), rule("", `Y`, backends.OK), rule("", `X`, backends.Suspicious), rule("", `X`, backends.OK)),
			reports: []Report{found("a", "PUA.X")}, want: suspicious},
		{name: "other findings remain", change: rules(rule("", `^PUA\.`, backends.OK)), reports: []Report{found("a", "PUA.X", "Eicar", "Heuristics.Encrypted.Zip")},
			want: Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a", Names: []string{"Eicar", "Heuristics.Encrypted.Zip"}}},
		{name: "the result has another category than its findings", change: rules(rule("", `^PUA\.`, backends.OK)),
			reports: []Report{result("a", backends.Result{Category: backends.Encrypted, Findings: []backends.Finding{{Name: "PUA.X", Category: backends.Suspicious}}})},
			want:    Verdict{Category: backends.Encrypted, Action: OK, Engine: "a"}},
		{name: "a rule without a name matches nothing", change: rules(Rule{Category: backends.OK}), reports: []Report{found("a", "PUA.X")}, want: virus},
		{name: "a rule with an invalid category is a failure", change: rules(rule("", `X`, "clean")), reports: []Report{found("a", "PUA.X")},
			want: Verdict{Code: 1, Category: backends.SWErr, Action: Tempfail, Engine: "a", Names: []string{"PUA.X"}}},
		{name: "no rule matches a virus without a name", change: rules(rule("", `.*`, backends.OK)), reports: []Report{found("a")},
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
		{"no report", nil, "", backends.SWErr},
		{"ok", []Report{clean("a")}, "a", backends.OK},
		{"the winner", []Report{clean("a"), found("b", "B"), failing("c", true, errors.New("x"))}, "b", backends.Virus},
		{"another engine", []Report{result("a", encryptedZip), failing("b", true, context.DeadlineExceeded)}, "b", backends.Interrupted},
		{"a report that does not count", []Report{clean("a"), failing("b", false, errors.New("x")), result("c", encryptedZip)}, "c", backends.Encrypted},
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
		t.Error("Passed does not distinguish findings that a rule maps to ok")
	}
}
