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

const noAnswer = "no engine gave an answer"

var encryptedZip = backends.Result{Category: backends.Encrypted, Code: 2, Detail: "Password protected file foo.zip/foo.txt"}

func TestMerge(t *testing.T) {
	cases := []mergeCase{
		{
			name: "no engine at all",
			want: Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Detail: noAnswer},
		}, {
			name:    "the request of 2003",
			reports: []Report{result("sophos", encryptedZip), clean("clamav")},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: OK, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "encrypted does not hide a failure of another engine",
			reports: []Report{result("sophos", encryptedZip), failing("clamav", true, context.DeadlineExceeded)},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "encrypted does not hide a failure of the same engine",
			reports: []Report{both("sophos", encryptedZip, &backends.Failure{Category: backends.SWErr, Code: 9, Text: "virus data missing"}), clean("clamav")},
			want: Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "sophos",
				Detail: encryptedZip.Detail + "; virus data missing"},
		}, {
			name:    "a finding and several failures",
			change:  func(p *Policy) { p.Actions[backends.SWErr] = OK },
			reports: []Report{both("sophos", encryptedZip, backends.Failures{{Text: "a"}, {Category: backends.Interrupted, Text: "b"}})},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "sophos", Detail: encryptedZip.Detail + "; a; b"},
		}, {
			name:    "an ok with a failure is a failure",
			reports: []Report{both("sophos", backends.Clean(0), &backends.Failure{Category: backends.Interrupted, Code: 7, Text: "killed"})},
			want:    Verdict{Code: 7, Category: backends.Interrupted, Action: Tempfail, Engine: "sophos", Detail: "killed"},
		}, {
			name:    "a finding and a failure of an optional engine both count",
			reports: []Report{clean("a"), {Engine: "b", Result: encryptedZip, Err: errors.New("no idea")}},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Tempfail, Engine: "b", Detail: encryptedZip.Detail + "; no idea"},
		}, {
			name:    "a virus with a failure is a virus",
			reports: []Report{both("a", backends.Found(1, "A"), context.DeadlineExceeded)},
			want: Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a", Names: []string{"A"},
				Detail: context.DeadlineExceeded.Error()},
		}, {
			name:    "a finding without a name counts",
			reports: []Report{result("a", backends.Result{Category: backends.Encrypted, Findings: []backends.Finding{{Name: "X", Category: backends.Encrypted}, {Category: backends.Suspicious}}})},
			want:    Verdict{Category: backends.Suspicious, Action: Quarantine, Engine: "a", Names: []string{"X"}},
		}, {
			name: "a virus that loses in mode category is never ok",
			change: func(p *Policy) {
				slices.Reverse(p.Precedence[:3])
				p.Mode = ByCategory
			},
			reports: []Report{result("sophos", encryptedZip), found("b", "B")},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: Quarantine, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "encrypted hides a failure in mode category",
			change:  func(p *Policy) { p.Mode = ByCategory },
			reports: []Report{result("sophos", encryptedZip), failing("clamav", true, context.DeadlineExceeded)},
			want:    Verdict{Code: 2, Category: backends.Encrypted, Action: OK, Engine: "sophos", Detail: encryptedZip.Detail},
		}, {
			name:    "among equals the first engine wins",
			reports: []Report{clean("a"), found("b", "B"), found("c", "C")},
			want:    Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "b", Names: []string{"B"}},
		}, {
			name:    "names strongest first, otherwise in the engine's order, repetitions kept",
			reports: []Report{found("a", "Heuristics.Encrypted.Zip", "A", "Heuristics.Broken.X", "B", "A")},
			want: Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "a",
				Names: []string{"A", "B", "A", "Heuristics.Broken.X", "Heuristics.Encrypted.Zip"}},
		}, {
			name:    "an error's text is the detail",
			reports: []Report{clean("a"), failing("b", true, errors.New("no idea"))},
			want:    Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Engine: "b", Detail: "no idea"},
		}, {
			name:    "a failure with a code",
			reports: []Report{failing("b", true, &backends.Failure{Category: backends.Interrupted, Code: 137, Text: "killed"})},
			want:    Verdict{Code: 137, Category: backends.Interrupted, Action: Tempfail, Engine: "b", Detail: "killed"},
		}, {
			name:    "an optional engine's failure does not count if another engine answers",
			reports: []Report{failing("a", false, fs.ErrNotExist), clean("b")},
			want:    Verdict{Code: 0, Category: backends.OK, Action: OK, Engine: "b"},
		}, {
			name:    "even if that one is optional too",
			reports: []Report{failing("a", false, fs.ErrNotExist), {Engine: "b", Result: backends.Clean(0)}},
			want:    Verdict{Code: 0, Category: backends.OK, Action: OK, Engine: "b"},
		}, {
			name:    "an optional engine's failure counts if the other engine fails too",
			reports: []Report{failing("a", false, context.DeadlineExceeded), failing("b", true, fs.ErrNotExist)},
			want:    Verdict{Code: 999, Category: backends.Interrupted, Action: Tempfail, Engine: "a", Detail: context.DeadlineExceeded.Error()},
		}, {
			name:    "an optional engine's finding counts",
			reports: []Report{clean("a"), {Engine: "b", Result: backends.Found(1, "B")}},
			want:    Verdict{Code: 1, Category: backends.Virus, Action: Quarantine, Engine: "b", Names: []string{"B"}},
		}, {
			name:    "all scans cancelled",
			reports: []Report{{Engine: "a", Required: true, Cancelled: true, Err: context.Canceled}, {Engine: "b", Cancelled: true}},
			want:    Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Detail: noAnswer},
		}, {
			name:    "a cancelled scan is not an answer",
			reports: []Report{failing("a", false, fs.ErrNotExist), {Engine: "b", Required: true, Cancelled: true, Result: backends.Clean(0)}},
			want:    Verdict{Code: 999, Category: backends.NotInstalled, Action: Tempfail, Engine: "a", Detail: fs.ErrNotExist.Error()},
		}, {
			name: "no report is never ok",
			change: func(p *Policy) {
				p.Actions[backends.SWErr] = OK
				p.Mode = ByCategory
			},
			want: Verdict{Code: 999, Category: backends.SWErr, Action: Tempfail, Detail: noAnswer},
		}, {
			name:   "no report can be stricter than tempfail",
			change: func(p *Policy) { p.Actions[backends.SWErr] = Quarantine },
			want:   Verdict{Code: 999, Category: backends.SWErr, Action: Quarantine, Detail: noAnswer},
		}, {
			name:    "a virus and an encrypted part in one answer, encrypted first in the precedence",
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
		{name: "an unknown category", reports: []Report{result("a", backends.Result{Category: "OK"}), clean("b")}, want: swerr},
		{name: "a finding without a category", reports: []Report{result("a", backends.Result{Category: backends.OK, Findings: finding("")})}, want: withNames},
		{name: "neither the result nor its finding has a category", reports: []Report{result("a", backends.Result{Findings: finding("")})}, want: withNames},
		{name: "a virus in a result without a category", reports: []Report{result("a", backends.Result{Findings: finding(backends.Virus)})}, want: virus},
		{name: "a virus in a result that calls itself ok", reports: []Report{result("a", backends.Result{Category: backends.OK, Findings: finding(backends.Virus)})}, want: virus},
		{name: "a rule does not supply the category of a result", change: toOK, reports: []Report{result("a", backends.Result{Findings: finding(backends.Virus)})}, want: swerr},
		{name: "a result that is a failure", reports: []Report{result("a", backends.Result{Category: backends.SWErr}), clean("b")}, want: swerr},
		{
			name:    "an optional engine that found something and failed counts",
			change:  func(p *Policy) { p.Precedence[0], p.Precedence[4] = backends.SWErr, backends.Virus },
			reports: []Report{{Engine: "a", Result: backends.Result{Category: backends.SWErr, Findings: finding(backends.Virus)}}, clean("b")},
			want:    Verdict{Category: backends.SWErr, Action: Quarantine, Engine: "a", Names: []string{"A"}},
		},
		{
			name:    "an empty policy is safe",
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
