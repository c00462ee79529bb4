package backendtest

import (
	"context"
	"errors"
	"testing"

	"polyclam/backends"
)

func TestRunFakeEngine(t *testing.T) {
	Run(t, func(*testing.T) backends.Backend { return Engine() }, Options{Encrypted: true, Large: 2 << 20, NoTrace: true})
}

func TestCheck(t *testing.T) {
	many := make([]backends.Finding, maxFindings+1)
	for i := range many {
		many[i].Category = backends.Virus
	}
	for _, r := range []backends.Result{
		{},
		{Category: "nonsense"},
		{Category: backends.SWErr},
		{Category: backends.OK, Findings: []backends.Finding{{Name: "x", Category: backends.Encrypted}}},
		{Category: backends.Partial, Findings: []backends.Finding{{Name: "x", Category: backends.Virus}}},
		{Category: backends.Virus, Findings: []backends.Finding{{Name: "x"}}},
		{Category: backends.Virus, Findings: []backends.Finding{{Name: "x", Category: backends.Interrupted}}},
		{Category: backends.Virus, Findings: many},
		{Category: backends.Virus, Detail: string(make([]byte, maxText+1))},
	} {
		if Check(r) == "" {
			t.Errorf("Check accepts %.200v", r)
		}
	}
	for _, r := range []backends.Result{
		backends.Clean(0),
		backends.Found(1, "x", "Heuristics.Encrypted.Zip"),
		{Category: backends.Virus, Findings: []backends.Finding{{Name: "x", Category: backends.Encrypted}}},
	} {
		if problem := Check(r); problem != "" {
			t.Errorf("%+v: %s", r, problem)
		}
	}
}

func TestFake(t *testing.T) {
	o := CleanObject(t)
	broken := errors.New("broken")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	until := make(chan struct{})
	close(until)

	if r, err := Says(backends.Clean(3)).Scan(ctx, o); r.Code != 3 || err != nil {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := Fails(broken).Scan(t.Context(), o); err != broken {
		t.Error(err)
	}
	for name, f := range map[string]*Fake{
		"hang":  {Hang: true, Result: backends.Clean(0)},
		"delay": {Delay: 1 << 60, Result: backends.Clean(0)},
	} {
		if _, err := f.Scan(ctx, o); err != broken {
			t.Errorf("%s: %v", name, err)
		}
	}
	f := &Fake{Until: until, Delay: 1, Read: true, Result: backends.Clean(0)}
	for range 2 {
		if _, err := f.Scan(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	if f.Calls() != 2 || f.Running() != 0 || f.Most() != 1 {
		t.Errorf("%d calls, %d running, %d at most", f.Calls(), f.Running(), f.Most())
	}
	defer func() {
		if recover() != "panic" {
			t.Error("no panic")
		}
	}()
	(&Fake{Panic: "panic"}).Scan(t.Context(), o)
}
