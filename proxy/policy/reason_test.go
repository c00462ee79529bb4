package policy

import (
	"errors"
	"testing"

	"polyclam/backends"
)

func TestReason(t *testing.T) {
	encrypted := result("inspect", backends.Result{Category: backends.Encrypted, Code: 2,
		Findings: []backends.Finding{{Name: "Heuristics.Encrypted.Zip", Category: backends.Encrypted}}})
	clean := result("clamav", backends.Clean(0))
	down := failing("icap", true, errors.New("connection refused"))
	own := func(p *Policy) *Policy {
		return p.WithActionsFrom("client = \"x\":", map[backends.Category]Action{backends.Encrypted: OK}).
			WithActionsFrom("[policy.actions]", map[backends.Category]Action{backends.Encrypted: Quarantine, backends.SWErr: OK})
	}
	rules := func(rs ...Rule) func(*Policy) *Policy {
		return func(p *Policy) *Policy { p.Rules = rs; return p }
	}
	for _, tt := range []struct {
		name    string
		change  func(*Policy) *Policy
		reports []Report
		want    string
	}{
		{"clean", nil, []Report{clean}, ""},
		{"virus", nil, []Report{clean, found("sophos", "Eicar")}, "virus of sophos: Eicar"},
		{"encrypted passes", nil, []Report{clean, encrypted}, "encrypted of inspect: Heuristics.Encrypted.Zip"},
		{"encrypted, and an engine failed", nil, []Report{encrypted, down}, "swerr of icap: connection refused"},
		{"only failures", nil, []Report{down}, "swerr of icap: connection refused"},
		{"nobody looked", nil, []Report{{Engine: "a", Required: true, Cancelled: true}}, "swerr: no engine gave an answer"},
		{"no engines", nil, nil, "swerr: no engine gave an answer"},
		{"the site's action", own, []Report{encrypted}, `encrypted of inspect: Heuristics.Encrypted.Zip; [policy.actions] encrypted = "quarantine"`},
		{"the site lets failures pass", own, []Report{down}, `swerr of icap: connection refused; [policy.actions] swerr = "ok"`},
		{"a rule", rules(rule("", "^PUA", backends.Suspicious)), []Report{found("a", "PUA.X")}, `suspicious of a: PUA.X; [[rule]] name = "^PUA"`},
		{"a rule lets the finding pass", rules(rule("", "^PUA", backends.OK)), []Report{found("a", "PUA.X")}, ""},
		{"a rule for one of two", rules(rule("", "^PUA", backends.OK)), []Report{found("a", "PUA.X", "Eicar")}, "virus of a: Eicar"},
		{"the winner decides", func(p *Policy) *Policy { p.Mode = ByCategory; return p }, []Report{encrypted, down},
			`encrypted of inspect: Heuristics.Encrypted.Zip; [policy] action = "category"`},
		{"the winner decides alone", func(p *Policy) *Policy { p.Mode = ByCategory; return p }, []Report{encrypted}, "encrypted of inspect: Heuristics.Encrypted.Zip"},
	} {
		p := Default()
		if tt.change != nil {
			p = tt.change(p)
		}
		if got := p.Reason(p.Merge(tt.reports)); got != tt.want {
			t.Errorf("%s: got  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
