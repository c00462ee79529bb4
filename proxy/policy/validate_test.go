package policy

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
)

func TestDefault(t *testing.T) {
	p := Default()
	if err := p.Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
	if p.Mode != Strictest || !p.AnswerFirst || !slices.Equal(p.Precedence, backends.Categories()) {
		t.Errorf("default: %+v", p)
	}
	want := map[backends.Category]Action{
		backends.Virus: Quarantine, backends.Suspicious: Quarantine,
		backends.Encrypted: OK, backends.Partial: OK, backends.OK: OK,
		backends.SWErr: Tempfail, backends.Interrupted: Tempfail,
		backends.CannotExecute: Tempfail, backends.NotInstalled: Tempfail,
	}
	if !maps.Equal(p.Actions, want) {
		t.Errorf("actions: %v", p.Actions)
	}
}

func TestValidate(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Policy)
		want   []string // a part of each problem; none: valid
	}{
		{"empty", func(p *Policy) { *p = Policy{} }, []string{
			"precedence: lacks virus, suspicious,", `actions.virus: is missing`, `actions.suspicious: is missing`, `actions.encrypted: is missing`,
			`actions.partial: is missing`, `actions.swerr: is missing`, `actions.interrupted: is missing`, `actions.cannot-execute: is missing`,
			`actions.not-installed: is missing`, `actions.ok: is missing`, `action: "" is unknown; write one of strictest, category`}},
		{"twice and missing", func(p *Policy) { p.Precedence[1] = backends.Virus }, []string{`precedence: "virus" is listed twice`, "precedence: lacks suspicious;"}},
		{"unknown", func(p *Policy) { p.Precedence = append([]backends.Category{"maybe"}, p.Precedence...) }, []string{`precedence: "maybe" is unknown; write one of virus,`}},
		{"ok first", func(p *Policy) { slices.Reverse(p.Precedence) }, []string{`"ok" must be last`}},
		{"bad actions", func(p *Policy) { p.Actions["clean"], p.Actions[backends.Virus] = OK, "delete" }, []string{
			`actions.virus: "delete" is unknown; write one of quarantine,`, `actions: "clean" is unknown; write one of virus,`}},
		{"ok must pass", func(p *Policy) { p.Actions[backends.OK] = Tempfail }, []string{`actions.ok: "tempfail" would stop all clean objects; write "ok"`}},
		{"bad mode", func(p *Policy) { p.Mode = "weakest" }, []string{`action: "weakest" is unknown; write one of strictest, category`}},
		{"bad rules", func(p *Policy) {
			p.Rules = []Rule{{Name: regexp.MustCompile("x"), Category: backends.OK}, {Category: "pua"}}
		}, []string{"rule 2: has no name", `rule 2: "pua" is not a category`}},
		{"any order in mode strictest", func(p *Policy) { slices.Reverse(p.Precedence[:3]) }, nil},
		{"encrypted hides a virus in mode category", func(p *Policy) {
			slices.Reverse(p.Precedence[:3])
			p.Mode = ByCategory
		}, []string{`"encrypted" (action "ok") before "virus"`}},
		{"encrypted is stopped too", func(p *Policy) {
			slices.Reverse(p.Precedence[:3])
			p.Mode = ByCategory
			p.Actions[backends.Encrypted] = Quarantine
		}, nil},
		{"a virus passes anyway", func(p *Policy) {
			slices.Reverse(p.Precedence[:3])
			p.Mode = ByCategory
			p.Actions[backends.Virus] = OK
		}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := Default()
			c.change(p)
			err := p.Validate()
			if err == nil {
				if len(c.want) > 0 {
					t.Fatal("valid")
				}
				return
			}
			problems := strings.Split(err.Error(), "\n")
			if len(problems) != len(c.want) {
				t.Fatalf("%d problems, want %d:\n%v", len(problems), len(c.want), err)
			}
			for i, w := range c.want {
				if !strings.Contains(problems[i], w) {
					t.Errorf("problem %q, want %q", problems[i], w)
				}
			}
		})
	}
}

func TestWithActions(t *testing.T) {
	p := Default()
	q := p.WithActions(map[backends.Category]Action{backends.Encrypted: Quarantine})
	if p.Actions[backends.Encrypted] != OK || q.Actions[backends.Encrypted] != Quarantine || q.Actions[backends.Virus] != Quarantine {
		t.Errorf("p %v, q %v", p.Actions, q.Actions)
	}
	q.Precedence[0] = backends.OK
	q.Actions[backends.Virus] = OK
	if p.Precedence[0] != backends.Virus || p.Actions[backends.Virus] != Quarantine {
		t.Error("the copy shares memory with the original")
	}
	if none := p.WithActions(nil); !maps.Equal(none.Actions, p.Actions) {
		t.Errorf("without actions: %v", none.Actions)
	}
}

func TestStricter(t *testing.T) {
	order := []Action{Quarantine, Tempfail, OK}
	for i, a := range order {
		for j, b := range order {
			if got := a.Stricter(b); got != (i < j) {
				t.Errorf("%s stricter than %s: %t", a, b, got)
			}
		}
	}
	if Action("").Stricter(Tempfail) || Tempfail.Stricter("") || !Action("pass").Stricter(OK) {
		t.Error("an unknown action must count as tempfail")
	}
}
