package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/engine"
	"polyclam/proxy/spool"
)

const steered = `
[[listener]]
address = "tcp:127.0.0.1:3311"

[[listener]]
address = "tcp:127.0.0.1:3312"
engines = ["second", "inspect"]
precedence = ["suspicious", "virus", "encrypted", "partial", "swerr", "interrupted", "cannot-execute", "not-installed", "ok"]

[[engine]]
name = "inspect"
backend = "inspect"

[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:/run/clamav/clamd.ctl"
mode = "off"

[[engine]]
name = "second"
backend = "clamd"
address = "unix:/run/second.ctl"
mode = "observe"
stale = "suspend"
`

// TestSteeringBuild checks that the keys arrive in the server's configuration.
func TestSteeringBuild(t *testing.T) {
	f := mustParse(t, steered)
	sp, err := spool.New(spool.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := f.Build(sp, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range cfg.Engines {
		defer e.Close()
	}
	if got := []engine.Mode{cfg.Engines[0].Mode(), cfg.Engines[1].Mode(), cfg.Engines[2].Mode()}; !slices.Equal(got, []engine.Mode{engine.On, engine.Off, engine.Observe}) {
		t.Errorf("modes %v", got)
	}
	all, some := cfg.Listeners[0], cfg.Listeners[1]
	if all.Engines != nil {
		t.Errorf("the first listener has the engines %v, want all (nil)", all.Engines)
	}
	if want := []*engine.Engine{cfg.Engines[0], cfg.Engines[2]}; !slices.Equal(some.Engines, want) {
		t.Errorf("the second listener has the engines %v, want %v: the order of the file", some.Engines, want)
	}
	if a, b := all.Policy.Precedence[0], some.Policy.Precedence[0]; a != backends.Virus || b != backends.Suspicious {
		t.Errorf("the precedences begin with %q and %q", a, b)
	}
}

func TestSteeringWarnings(t *testing.T) {
	for _, test := range []struct {
		name    string
		changes []string // pairs of old and new
		warns   string
		not     string
	}{
		{name: "suspend", warns: `engine.stale: if the signatures of every node of "second" are older than max_signature_age, clients hear ERROR`},
		{name: "suspend without an age", changes: []string{`stale = "suspend"`, "stale = \"suspend\"\nmax_signature_age = \"never\""},
			warns: "engine.stale: without max_signature_age"},
		{name: "inspect alone", warns: "listener.engines: clients of this listener hear OK for viruses"},
		{name: "second is on", changes: []string{`mode = "observe"`, ""}, not: "listener.engines"},
		{name: "nothing required", changes: []string{`mode = "observe"`, "required = false", `backend = "inspect"`, "backend = \"inspect\"\nmode = \"off\""},
			warns: "listener.engines: none of second, inspect is required and on"},
	} {
		f := mustParse(t, strings.NewReplacer(test.changes...).Replace(steered))
		has := func(part string) bool {
			return slices.ContainsFunc(f.Warnings, func(p Problem) bool { return strings.Contains(p.String(), part) })
		}
		if !has(test.warns) {
			t.Errorf("%s: no warning %q in\n%v", test.name, test.warns, f.Warnings)
		}
		if test.not != "" && has(test.not) {
			t.Errorf("%s: a warning %q in\n%v", test.name, test.not, f.Warnings)
		}
	}
}
