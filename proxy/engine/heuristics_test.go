package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/testfile"
)

// stopsAt is an engine that looks at the members of an archive in turn, and at no
// more than the first if it stops there.
func stopsAt(locked, deep, archives bool) func(data []byte) (backends.Result, error, bool) {
	return func(data []byte) (backends.Result, error, bool) {
		switch {
		case bytes.Equal(data, testfile.LockedThenEICAR()) && locked, string(data) == "locked mail":
			return backends.Found(1, "Heuristics.Encrypted.Zip"), nil, true
		case bytes.Equal(data, testfile.DeepThenEICAR()) && deep:
			return backends.Found(1, "Heuristics.Limits.Exceeded.MaxRecursion"), nil, true
		case bytes.HasPrefix(data, []byte("PK")) && bytes.Contains(data, testfile.EICAR()) && !archives:
			return backends.Clean(0), nil, true
		}
		return backends.Result{}, nil, false
	}
}

// TestHeuristicsFirst: what a node that stops at the first heuristic calls encrypted
// is suspicious, and encrypted of any other.
func TestHeuristicsFirst(t *testing.T) {
	tests := []struct {
		name                   string
		locked, deep, archives bool
		want                   backends.Category
	}{
		{"honest", false, false, true, backends.Encrypted},
		{"stops at the locked one", true, false, true, backends.Suspicious},
		{"stops at limits", false, true, true, backends.Suspicious},
		{"stops at both", true, true, true, backends.Suspicious},
		{"does not look into archives", true, true, false, backends.Encrypted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, log := &answering{}, &lines{}
				e.set(stopsAt(tt.locked, tt.deep, tt.archives))
				cfg := withCanary(e)
				cfg.Log = zerolog.New(log)
				u := New(cfg)
				run(t, u)
				r := u.Scan(within(t, time.Minute), content("locked mail"), false)
				wantCategory(t, r.Result, r.Err, tt.want)
				stops := tt.want == backends.Suspicious
				if got := u.Status().Nodes[0]; got.HeuristicsFirst != stops || got.State != "up" || got.Canary.Encrypted != backends.Encrypted {
					t.Errorf("status %+v", got)
				}
				if stops != strings.Contains(r.Result.Detail, "HeuristicScanPrecedence") || len(r.Result.Findings) != 1 || r.Result.Findings[0].Name == "" {
					t.Errorf("result %+v", r.Result)
				}
				time.Sleep(20 * time.Minute)
				if n := log.count("heuristics first"); stops != (n == 1) || n > 1 {
					t.Errorf("%d lines", n)
				}
				e.set(stopsAt(false, false, true)) // clamd.conf is mended
				time.Sleep(6 * time.Minute)
				r = u.Scan(within(t, time.Minute), content("locked mail"), false)
				wantCategory(t, r.Result, r.Err, backends.Encrypted)
			})
		})
	}
}

// TestHeuristicsKept: a check that cannot find out keeps what is known.
func TestHeuristicsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &answering{}
		e.set(stopsAt(true, false, true))
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		before := u.Status().Nodes[0]
		e.set(func(data []byte) (backends.Result, error, bool) {
			return backends.Result{}, errors.New("busy"), bytes.HasPrefix(data, []byte("PK"))
		})
		time.Sleep(6 * time.Minute)
		after := u.Status().Nodes[0]
		if after.State != "up" || !before.HeuristicsFirst || !after.HeuristicsFirst || after.Canary.Time == before.Canary.Time {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
}

func TestSuspicious(t *testing.T) {
	locked := backends.Finding{Name: "Heuristics.Encrypted.Zip", Category: backends.Encrypted}
	limits := backends.Finding{Name: "Heuristics.Limits.Exceeded.MaxFiles", Category: backends.Partial}
	tests := []struct {
		name string
		in   backends.Result
		want backends.Category
	}{
		{"clean", backends.Clean(0), backends.OK},
		{"encrypted", backends.Result{Category: backends.Encrypted, Findings: []backends.Finding{locked}}, backends.Suspicious},
		{"encrypted, nameless", backends.Result{Category: backends.Encrypted}, backends.Suspicious},
		{"limits", backends.Result{Category: backends.Partial, Findings: []backends.Finding{limits}}, backends.Suspicious},
		{"a refusal for size", backends.Result{Category: backends.Partial}, backends.Partial},
		{"virus", backends.Result{Category: backends.Virus, Findings: []backends.Finding{{Name: "X", Category: backends.Virus}, locked}}, backends.Virus},
		{"nothing, beside an error", backends.Result{}, ""},
	}
	for _, tt := range tests {
		findings := append([]backends.Finding(nil), tt.in.Findings...)
		if got := suspicious(tt.in, heuristicsFirstText); got.Category != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got.Category, tt.want)
		}
		for i, f := range tt.in.Findings {
			if f != findings[i] {
				t.Errorf("%s: the backend's findings were changed", tt.name)
			}
		}
	}
}
