package proxy

import (
	"regexp"
	"testing"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// TestReportedBy checks when a log line needs more than the category, the names and the
// failure of a result.
func TestReportedBy(t *testing.T) {
	found := func(names ...string) (r backends.Result) {
		for _, n := range names {
			r.Findings = append(r.Findings, backends.Finding{Name: n, Category: backends.Virus})
		}
		r.Category = backends.Virus
		return r
	}
	mixed := found("A", "B")
	mixed.Findings[1].Category = backends.Suspicious
	p := policy.Default()
	p.Rules = []policy.Rule{{Name: regexp.MustCompile("^Pass"), Category: backends.OK}}
	for _, tt := range []struct {
		name   string
		report policy.Report
		needed bool
	}{
		{"ok", policy.Report{Result: backends.Clean(0)}, false},
		{"one name", policy.Report{Result: found("A")}, false},
		{"several names", policy.Report{Result: found("A", "B")}, false},
		{"no name", policy.Report{Result: found("")}, false},
		{"no name beside one", policy.Report{Result: found("A", "")}, true},
		{"several categories", policy.Report{Result: mixed}, true},
		{"a name that passes beside another", policy.Report{Result: found("A", "Pass")}, true},
		{"failure", policy.Report{Err: &backends.Failure{Category: backends.SWErr}}, false},
		{"failure and finding", policy.Report{Result: found("A"), Err: &backends.Failure{Category: backends.SWErr}}, false},
		{"two failures", policy.Report{Err: backends.Failures{{Category: backends.SWErr}, {Category: backends.Interrupted}}}, true},
		{"unknown category", policy.Report{Result: backends.Result{Category: "maybe"}}, false},
		{"more than the log has", policy.Report{Result: found(make([]string, maxLoggedList+1)...)}, true},
	} {
		v := p.Merge([]policy.Report{tt.report})
		if got := reportedBy(&v.Reports[0]); (got != nil) != tt.needed {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
