package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/test/chaos/checker"
)

// edit replaces a text that occurs exactly once in a file of the module.
type edit struct{ file, old, new string }

// mutants are polyclamds with a bug that the checker must notice. The source tree stays
// untouched: the compiler gets the changed files as an overlay.
var mutants = []struct {
	name  string
	edits []edit
	fault planned  // exposes the bug; without targets none is needed
	rules []string // one of them must be broken
	inCI  bool
	// cached makes it a longer run about the cache, with these faults.
	cached bool
	faults []planned
}{
	{
		name: "an interrupted scan is taken for ok",
		edits: []edit{{"backends/clamd/clamd.go", "\ta.Fail(clamdclient.Failure(ctx, err))\n\treturn b.result(a, false)\n",
			"\ta.Add(backends.OK, 0, \"\")\n\treturn b.result(a, false)\n"}},
		fault: planned{targets: []string{"clam/0", "clam/1"}, m: mode{Fault: "mute", Share: 50, Spare: true}},
		rules: []string{checker.Unproven},
		inCI:  true,
	},
	{
		name: "a connection is used again after a timeout",
		edits: []edit{
			{"backends/internal/engineconn/client.go", "stop := context.AfterFunc(ctx, func() { conn.Close() })",
				"stop := context.AfterFunc(ctx, func() { conn.nc.SetDeadline(time.Unix(1, 0)) })"},
			{"backends/internal/engineconn/client.go", "\tcase stopped || err != nil || conn.noReuse:\n",
				"\tcase stopped:\n\t\tconn.nc.SetDeadline(time.Time{})\n\t\tc.pool.Put(conn)\n\tcase err != nil || conn.noReuse:\n"},
		},
		fault: planned{targets: []string{"sophos/0", "sophos/1"}, m: mode{Fault: "late", Share: 30, Spare: true, Delay: 5000}},
		rules: []string{checker.Reused, checker.Unproven},
	},
	{
		name: "the replies of a session are exchanged",
		edits: []edit{{"proxy/reply.go", "strconv.AppendInt(b, int64(r.id), 10)",
			"strconv.AppendInt(b, int64((r.id-1)^1+1), 10)"}},
		rules: []string{checker.Unproven, checker.Foreign, checker.Stray},
		inCI:  true,
	},
	{
		name: "the verdict of another object of the same size",
		edits: []edit{{"backends/clamd/clamd.go", "func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {\n",
			`var remembered = struct {
	sync.Mutex
	m map[int64]backends.Result
}{m: map[int64]backends.Result{}}

func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	remembered.Lock()
	r, ok := remembered.m[o.Size()]
	remembered.Unlock()
	if ok && o.Size() > 1000 {
		return r, nil
	}
	r, err := b.scanTruly(ctx, o)
	if err == nil {
		remembered.Lock()
		remembered.m[o.Size()] = r
		remembered.Unlock()
	}
	return r, err
}

func (b *Backend) scanTruly(ctx context.Context, o backends.Object) (backends.Result, error) {
`}, {"backends/clamd/clamd.go", "\t\"context\"\n", "\t\"context\"\n\t\"sync\"\n"}},
		rules: []string{checker.Unproven, checker.Foreign},
	},
	{
		name:  "an early ok is accepted",
		edits: []edit{{"backends/answer.go", "func (a *Answer) Early() {\n", "func (a *Answer) Early() {\n\tif a != nil {\n\t\treturn\n\t}\n"}},
		fault: planned{targets: []string{"sophos/0", "sophos/1"}, m: mode{Fault: "early", Share: 100, Spare: true}},
		rules: []string{checker.EarlyOK},
	},
	{
		name:  "files of the spool are left",
		edits: []edit{{"proxy/spool/named.go", "unix.Unlinkat(int(d.sub.Fd()), name, 0)", "_ = name"}},
		rules: []string{checker.Left},
	},
	{
		name: "a node is used although it does not find EICAR",
		edits: []edit{{"proxy/engine/check.go", `return found.blind("does not find the EICAR test file")`,
			"found.state = health.Up\n\t\treturn found"}},
		fault: planned{targets: []string{"sophos/0"}, m: mode{Fault: "blind", Share: 100}},
		rules: []string{checker.Blind},
	},
	{
		name: "a stream that breaks off is scanned",
		edits: []edit{{"proxy/scan.go", "\tdefault:\n\t\tr.lost(err)\n",
			"\tdefault:\n\t\tif object, err := w.Finish(); err == nil {\n\t\t\treturn object\n\t\t}\n\t\tr.lost(err)\n"}},
		rules: []string{checker.Vanished},
	},
	{
		name: "a result counts without a later health check",
		edits: []edit{{"proxy/engine/confirm.go", "	if w.results.Add(k, e, c.CacheTTL) {\n",
			"	c.Cache.Add(k, e, c.CacheTTL)\n	if w.results.Add(k, e, c.CacheTTL) {\n"}},
		faults: []planned{{at: 6 * time.Second, length: 6 * time.Second, kind: "blind", targets: []string{"clam/0", "clam/1"}, m: mode{Fault: "blind", Share: 100}}},
		rules:  []string{checker.Doubtful},
		cached: true,
	},
	{
		name:   "results of an engine are used for another one",
		edits:  []edit{{"proxy/engine/cachekey.go", "	b.text(c.Fingerprint)\n	b.text(version)\n", "	b.text(version)\n"}},
		rules:  []string{checker.Unproven, checker.Stale, checker.Doubtful},
		cached: true,
	},
	{
		name: "results are used after RELOAD",
		edits: []edit{
			{"proxy/engine/node.go", "	n.changedUntil(time.Now().Add(loadTime))\n", ""},
			{"proxy/engine/confirm.go", "	n.waiting.epoch++\n	n.waiting.checked = time.Time{}\n", "	n.waiting.checked = time.Time{}\n"},
		},
		faults: []planned{{at: 9 * time.Second, kind: "reload"}},
		rules:  []string{checker.Stale},
		cached: true,
	},
	{
		name:   "the version of the signatures does not matter",
		edits:  []edit{{"proxy/engine/cachekey.go", "	b.text(version)\n", "	_ = version\n"}},
		faults: []planned{{at: 7 * time.Second, kind: "learn silently"}},
		rules:  []string{checker.Stale},
		cached: true,
	},
	{
		name:  "the signature of a shared result does not cover its key",
		edits: []edit{{"proxy/cache/seal.go", "	h.Write(k[:])\n", ""}},
		faults: []planned{
			{at: 8 * time.Second, kind: "redis forged"}, {at: 8100 * time.Millisecond, kind: "polyclamd killed"},
			{at: 14 * time.Second, kind: "redis forged"}, {at: 14100 * time.Millisecond, kind: "polyclamd killed"},
		},
		rules:  []string{checker.Unproven, checker.Stale, checker.Doubtful, checker.Foreign},
		cached: true,
	},
}

// TestMutants proves that the checker notices what it is for. A normal run tries two
// mutants, make chaos-mutants all of them.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds polyclamd again and again")
	}
	all := os.Getenv("CHAOS_MUTANTS") == "all"
	for _, m := range mutants {
		if !all && !m.inCI {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			binary := filepath.Join(dir, "polyclamd")
			if err := build(binary, "polyclam/cmd/polyclamd", "-overlay="+overlay(t, dir, m.edits)); err != nil {
				t.Fatal(err)
			}
			o := options{dir: filepath.Join(dir, "run"), binary: binary, seed: 1, clients: 6, plan: plan{duration: 6 * time.Second}}
			switch f := m.fault; {
			case f.targets != nil:
				f.kind, f.at, f.length = f.m.Fault, time.Second, 12*time.Second
				o.plan = plan{duration: 17 * time.Second, faults: []planned{f}}
			case m.cached:
				o.cached, o.plan = true, plan{duration: 25 * time.Second, faults: m.faults}
			}
			report, err := chaos(t.Context(), o, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for _, v := range report.Violations {
				seen[v.Rule]++
			}
			if !slices.ContainsFunc(m.rules, func(rule string) bool { return seen[rule] > 0 }) {
				t.Errorf("not noticed: broken are %v, want one of %q", seen, m.rules)
			}
			t.Logf("count: mutant, %s: %v, %d faults", m.name, seen, len(report.Recoveries))
		})
	}
}

// TestMutantsFollow checks that the edits of every mutant fit the code.
func TestMutantsFollow(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) { overlay(t, t.TempDir(), m.edits) })
	}
}

// overlay writes the changed files, and the overlay file for the compiler.
func overlay(t *testing.T, dir string, edits []edit) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..")
	texts := map[string]string{}
	for _, e := range edits {
		name := filepath.Join(root, e.file)
		if _, ok := texts[name]; !ok {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(b)
		}
		if n := strings.Count(texts[name], e.old); n != 1 {
			t.Fatalf("%s has %d times %q: the mutant has to follow the code", e.file, n, e.old)
		}
		texts[name] = strings.Replace(texts[name], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for name, text := range texts {
		copied := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(name, "/"), "/", "_"))
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		replace[name] = copied
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "overlay.json")
}
