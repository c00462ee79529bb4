package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/test/chaos/checker"
)

// The duration of the tests: one run with a fixed seed, one about the cache with a random
// seed. The
// machine may be busy with other work.
const (
	ciLength = 24 * time.Second
	ciSlack  = 5 * time.Second
)

// fixedSeed is the seed of the run that is the same each time: many kinds of faults in
// little time.
const fixedSeed = 7015

// TestChaos is a short version of make chaos.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	binary := filepath.Join(t.TempDir(), "polyclamd")
	var flags []string
	race := os.Getenv("POLYCLAM_RACE") == "1"
	if race {
		flags = append(flags, "-race")
	}
	if err := build(binary, "polyclam/cmd/polyclamd", flags...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		seed   uint64
		cached bool
	}{{"fixed", fixedSeed, false}, {"random", uint64(rand.Uint32()), true}} {
		t.Run(c.name, func(t *testing.T) {
			o := options{dir: filepath.Join(t.TempDir(), "run"), binary: binary, seed: c.seed, clients: 6, sizeless: race, cached: c.cached, plan: newPlan(c.seed, ciLength, c.cached)}
			t.Logf("seed %d, %d faults", c.seed, len(o.plan.faults))
			report, err := chaos(t.Context(), o, ciSlack)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			print(&text, o, report)
			t.Log(text.String())
			if n := len(report.Violations); n > 0 {
				keep(t, o)
				t.Errorf("%d violations", n)
			}
			t.Logf("count: chaos, seed %d: %d faults, %s; %d violations", c.seed, len(o.plan.faults), counts(report.Counts), len(report.Violations))
			if right := report.Counts[checker.Right]; right < 50 {
				t.Errorf("only %d requests were answered right: nothing is proven", right)
			}
			t.Logf("count: chaos, seed %d: from the cache: %s", c.seed, counts(report.Cached))
			for _, source := range []string{"memory", "joined"} {
				if c.cached && report.Cached[source] == 0 {
					t.Errorf("no result has the origin %q: nothing is proven about the cache", source)
				}
			}
		})
	}
}

// keep copies the history of a run to the directory in CHAOS_KEEP.
func keep(t *testing.T, o options) {
	if dir := os.Getenv("CHAOS_KEEP"); dir != "" {
		os.RemoveAll(filepath.Join(o.dir, "spool"))
		if err := os.CopyFS(filepath.Join(dir, t.Name()), os.DirFS(o.dir)); err != nil {
			t.Log(err)
		}
	}
}

// TestPlanIsFixed checks that the seed determines the schedule of faults.
func TestPlanIsFixed(t *testing.T) {
	a, b, other := newPlan(3, time.Minute, true), newPlan(3, time.Minute, true), newPlan(4, time.Minute, true)
	if len(a.faults) < 10 || len(a.faults) != len(b.faults) {
		t.Fatalf("%d and %d faults", len(a.faults), len(b.faults))
	}
	same := len(a.faults) == len(other.faults)
	for i := range a.faults {
		if a.faults[i].kind != b.faults[i].kind || a.faults[i].at != b.faults[i].at || a.faults[i].m != b.faults[i].m {
			t.Errorf("fault %d: %+v and %+v", i, a.faults[i], b.faults[i])
		}
		same = same && a.faults[i].kind == other.faults[i].kind
	}
	if same {
		t.Error("another seed gives the same faults")
	}
}
