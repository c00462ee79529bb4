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
	"polyclam/backends/testfile"
)

// stopsAt is an engine that looks at the members of an archive in turn, and stops at the
// first one if that is locked, or nested too deep.
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

// TestHeuristicsFirst: what a node calls encrypted is suspicious if the node stops at the
// first heuristic finding, and encrypted otherwise.
func TestHeuristicsFirst(t *testing.T) {
	tests := []struct {
		name                   string
		locked, deep, archives bool
		want                   backends.Category
	}{
		{"working", false, false, true, backends.Encrypted},
		{"stops at locked members", true, false, true, backends.Suspicious},
		{"stops at limits", false, true, true, backends.Suspicious},
		{"stops at both", true, true, true, backends.Suspicious},
		{"does not look into archives", true, true, false, backends.Encrypted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, log := &answering{}, &lines{}
				f.set(stopsAt(tt.locked, tt.deep, tt.archives))
				cfg := withCanary(f)
				cfg.Log = zerolog.New(log)
				e := New(cfg)
				run(t, e)
				r := e.Scan(within(t, time.Minute), text("locked mail"), false)
				wantCategory(t, r.Result, r.Err, tt.want)
				stops := tt.want == backends.Suspicious
				if got := e.Status().Nodes[0]; got.HeuristicsFirst != stops || got.State != "up" || got.Canary.Encrypted != backends.Encrypted {
					t.Errorf("status %+v", got)
				}
				if stops != strings.Contains(r.Result.Detail, "HeuristicScanPrecedence") || len(r.Result.Findings) != 1 || r.Result.Findings[0].Name == "" {
					t.Errorf("result %+v", r.Result)
				}
				time.Sleep(20 * time.Minute)
				if n := log.count("heuristics first"); stops != (n == 1) || n > 1 {
					t.Errorf("%d lines", n)
				}
				f.set(stopsAt(false, false, true)) // clamd.conf is corrected
				time.Sleep(6 * time.Minute)
				r = e.Scan(within(t, time.Minute), text("locked mail"), false)
				wantCategory(t, r.Result, r.Err, backends.Encrypted)
			})
		})
	}
}

// TestHeuristicsKept: a check that learns nothing keeps what is known.
func TestHeuristicsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &answering{}
		f.set(stopsAt(true, false, true))
		e := New(withCanary(f))
		run(t, e)
		synctest.Wait()
		before := e.Status().Nodes[0]
		f.set(func(data []byte) (backends.Result, error, bool) {
			return backends.Result{}, errors.New("busy"), bytes.HasPrefix(data, []byte("PK"))
		})
		time.Sleep(6 * time.Minute)
		after := e.Status().Nodes[0]
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
		{"refused because of its size", backends.Result{Category: backends.Partial}, backends.Partial},
		{"virus", backends.Result{Category: backends.Virus, Findings: []backends.Finding{{Name: "X", Category: backends.Virus}, locked}}, backends.Virus},
		{"empty, beside an error", backends.Result{}, ""},
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
