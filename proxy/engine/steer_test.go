package engine

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

func wantMode(t *testing.T, what string, e *Engine, mode, configured Mode) {
	t.Helper()
	s := e.Status()
	if e.Mode() != mode || s.Mode != mode || s.ConfiguredMode != configured {
		t.Errorf("%s: Mode is %s, the status %s (configured %s), want %s (%s)", what, e.Mode(), s.Mode, s.ConfiguredMode, mode, configured)
	}
}

// TestMode changes the mode at run time and by reloads. Engines of a former configuration,
// which commands under way have, follow what is set at run time only.
func TestMode(t *testing.T) {
	with := func(m Mode) Config {
		cfg := identified(config(&fakeEngine{}))
		cfg.Mode = m
		return cfg
	}
	set := func(e *Engine, m Mode) {
		t.Helper()
		if err := e.SetMode(m); err != nil {
			t.Fatal(err)
		}
	}
	first := New(with(""))
	defer first.Close()
	wantMode(t, "at the start", first, On, On)
	if err := first.SetMode("loud"); err == nil || first.Mode() != On {
		t.Errorf("SetMode of an unknown mode: %v, now %s", err, first.Mode())
	}
	set(first, Off)
	wantMode(t, "set", first, Off, On)
	second := succeed(t, first, with(On))
	wantMode(t, "reloaded without a change", second, Off, On)
	third := succeed(t, second, with(Observe))
	wantMode(t, "reloaded with another mode", third, Observe, Observe)
	if first.Mode() != Off || second.Mode() != Off {
		t.Errorf("commands under way have %s and %s, want off", first.Mode(), second.Mode())
	}
	set(third, On)
	wantMode(t, "set again", third, On, Observe)
	if first.Mode() != On {
		t.Errorf("commands under way have %s, want on", first.Mode())
	}
	set(first, Off) // by someone who still has the first Engine
	wantMode(t, "set with a former engine", third, Off, Observe)
	fourth := succeed(t, third, with(Off))
	set(fourth, On)
	wantMode(t, "set after all that", fourth, On, Off)
}

// TestDrain drains the node that all scans use, while scans wait for its slot: they move to
// the other node, the one under way finishes, and health checks go on.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, a, b := &lines{}, &fakeEngine{}, &fakeEngine{}
		cfg := withCanary(a, b)
		cfg.MaxScans, cfg.Log = 1, zerolog.New(log)
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		drain(e)
		drained := func(address string) {
			t.Helper()
			if err := e.Drain(address); err != nil {
				t.Fatal(err)
			}
		}
		drained("b")
		gate := make(chan struct{})
		a.set(func(f *fakeEngine) { f.gate = gate })
		results := make(chan policy.Report, 3)
		for range cap(results) {
			go func() { results <- e.Scan(t.Context(), text("x"), false) }()
		}
		synctest.Wait()
		if a.asked() != 1 || b.asked() != 0 || e.Status().Waiting != 2 {
			t.Fatalf("a got %d, b got %d, %d wait", a.asked(), b.asked(), e.Status().Waiting)
		}
		drained("a")
		for range 2 {
			r := <-results
			if r.Err == nil || r.Node == "" || r.Elapsed != 0 || backends.CategoryOf(r.Err) != backends.CannotExecute ||
				!strings.Contains(r.Err.Error(), "drained by an administrator (polyclam node resume fake)") {
				t.Errorf("after %v at %q: %v", r.Elapsed, r.Node, r.Err)
			}
		}
		if r := e.Scan(t.Context(), text("x"), false); r.Err == nil || r.Elapsed != 0 {
			t.Errorf("all drained: %+v", r)
		}
		wantState(t, e, "up", "up")
		if s := e.Status(); !s.Nodes[0].Drained || !s.Nodes[1].Drained || usableNodes(e) != 0 {
			t.Errorf("status %+v, %d usable", s.Nodes, usableNodes(e))
		}
		close(gate)
		if r := <-results; r.Err != nil || r.Node != "a" {
			t.Errorf("the scan under way: %+v", r)
		}
		checks := len(a.checks())
		time.Sleep(3 * DefaultCanaryInterval)
		if len(a.checks()) < checks+2 {
			t.Errorf("%d health checks, then %d: none while drained", checks, len(a.checks()))
		}
		if err := e.Resume("b"); err != nil {
			t.Fatal(err)
		}
		wantScan(t, e, "x", backends.OK)
		if b.asked() != 1 || usableNodes(e) != 1 {
			t.Errorf("b was asked %d times, %d usable", b.asked(), usableNodes(e))
		}
		if err := e.Resume(""); err != nil || usableNodes(e) != 2 {
			t.Errorf("%v, %d usable", err, usableNodes(e))
		}
		if err := e.Drain("c"); err == nil || !strings.Contains(err.Error(), `no node "c"; its nodes are a, b`) || usableNodes(e) != 2 {
			t.Errorf("Drain of an unknown node: %v", err)
		}
		if n, m := log.count(`"node drained"`), log.count(`"node resumed"`); n != 2 || m != 2 {
			t.Errorf("%d lines about draining, %d about resuming", n, m)
		}
		synctest.Wait() // for health checks
		wantIdle(t, e)
	})
}

// TestDrainMovesWaiting has scans wait for the slots of two nodes, and drains one.
func TestDrainMovesWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{gate: make(chan struct{})}, &fakeEngine{gate: make(chan struct{})}
		cfg := config(a, b)
		cfg.MaxScans, cfg.NoHedge = 1, true
		e := New(cfg)
		results := make(chan policy.Report, 4)
		for range cap(results) {
			go func() { results <- e.Scan(t.Context(), text("x"), false) }()
		}
		synctest.Wait()
		if err := e.Drain("a"); err != nil {
			t.Fatal(err)
		}
		close(a.gate)
		close(b.gate)
		for range cap(results) {
			if r := <-results; r.Err != nil {
				t.Errorf("%+v", r)
			}
		}
		if a.asked() != 1 || b.asked() != 3 {
			t.Errorf("a got %d, b got %d, want 1 and 3", a.asked(), b.asked())
		}
		wantIdle(t, e)
	})
}

// TestDrainedIsNoSpare has scans fail and hang on one node while the other is drained: there
// is neither a replay nor a hedge.
func TestDrainedIsNoSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{err: errRefused}, &fakeEngine{}
		cfg := withCanary(a, b)
		a.err = nil
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		if err := e.Drain("b"); err != nil {
			t.Fatal(err)
		}
		for range 400 { // fills the hedging budget
			wantScan(t, e, "x", backends.OK)
		}
		slow := func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			select {
			case <-time.After(8 * time.Second):
				return backends.Clean(0), nil
			case <-ctx.Done():
				return backends.Result{}, ctx.Err()
			}
		}
		a.set(func(f *fakeEngine) { f.answer = slow })
		wantScan(t, e, "slow", backends.OK)
		a.set(func(f *fakeEngine) { f.answer, f.err = nil, errRefused })
		r := e.Scan(t.Context(), text("x"), false)
		if r.Err == nil || strings.Contains(r.Err.Error(), "drained") {
			t.Errorf("%v, want the error of node a", r.Err)
		}
		r = e.Scan(t.Context(), text("x"), false)
		if r.Err == nil || !strings.Contains(r.Err.Error(), "another node is drained by an administrator (polyclam node resume fake)") {
			t.Errorf("%v, want a remark about the drained node", r.Err)
		}
		if b.asked() != 0 {
			t.Errorf("the drained node got %d scans", b.asked())
		}
	})
}

// TestDrainSurvivesReload checks that a node stays drained while its address stays.
func TestDrainSurvivesReload(t *testing.T) {
	e := New(identified(config(&fakeEngine{}, &fakeEngine{})))
	if err := e.Drain(""); err != nil {
		t.Fatal(err)
	}
	cfg := identified(config(&fakeEngine{}, &fakeEngine{}, &fakeEngine{}))
	cfg.Nodes[1].Identity = "changed"
	next := succeed(t, e, cfg)
	defer next.Close()
	var got []bool
	for _, n := range next.Status().Nodes {
		got = append(got, n.Drained)
	}
	if len(got) != 3 || !got[0] || !got[1] || got[2] {
		t.Errorf("drained: %v, want the two old addresses", got)
	}
}

func TestCheckNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{}
		e := New(withCanary(a, b))
		run(t, e)
		synctest.Wait()
		before := len(a.checks())
		b.set(func(f *fakeEngine) { f.blind = true })
		if err := e.CheckNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantState(t, e, "up", "down")
		if n := len(a.checks()); n != before+1 {
			t.Errorf("%d checks, want one more than %d", n, before)
		}

		// A check under way may predate what the administrator wants to know.
		hold := make(chan struct{})
		b.set(func(f *fakeEngine) { f.hold, f.blind = hold, false })
		e.mu.Lock()
		e.startCheck(e.nodes[1])
		e.mu.Unlock()
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- e.CheckNow(t.Context()) }()
		begun := len(b.checks())
		time.Sleep(100 * time.Millisecond)
		close(hold)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(b.checks()); n != begun+1 {
			t.Errorf("%d checks began after the call, want 1", n-begun)
		}
		wantState(t, e, "up", "up")

		// A node that hangs is waited for until that is known, or ctx ends.
		b.set(func(f *fakeEngine) { f.hold = make(chan struct{}) })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if err := e.CheckNow(ctx); err == nil || time.Since(begin) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if err := e.CheckNow(t.Context()); err != nil || time.Since(begin) > DefaultTimeout {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		wantState(t, e, "up", "down")
	})
	if err := New(config(&fakeEngine{})).CheckNow(t.Context()); err == nil {
		t.Error("no error without health checks")
	}
}

// slowVersion takes a moment to report its version.
type slowVersion struct{ versioned }

func (v *slowVersion) Version(ctx context.Context) (backends.Version, error) {
	time.Sleep(10 * time.Millisecond)
	return v.versioned.Version(ctx)
}

// TestCheckNowVersion loads other signatures between two checks.
func TestCheckNowVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &slowVersion{versioned{text: "one"}}
		e := New(withCanary(v))
		run(t, e)
		synctest.Wait()
		for _, text := range []string{"two", "three"} {
			time.Sleep(2 * versionAge) // between two commands
			v.set(func(*fakeEngine) { v.text = text })
			if err := e.CheckNow(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := e.Status().Nodes[0].Version; got != text {
				t.Errorf("the version is %q, want %q", got, text)
			}
		}
	})
}

func usableNodes(e *Engine) (n int) {
	for _, node := range e.Status().Nodes {
		if node.Usable {
			n++
		}
	}
	return n
}
