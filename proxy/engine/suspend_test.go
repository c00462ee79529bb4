package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
)

const week = 7 * 24 * time.Hour

func suspending(log *lines, nodes ...*dated) Config {
	var list []backends.Backend
	for _, d := range nodes {
		list = append(list, d)
	}
	cfg := identified(withCanary(list...))
	cfg.MaxSignatureAge, cfg.SuspendStale, cfg.Log = week, true, zerolog.New(log)
	cfg.CanaryInterval = time.Hour
	return cfg
}

// TestSuspendStale has the signatures of one node, and then of both, become old.
func TestSuspendStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		a, b := &dated{database: time.Now()}, &dated{database: time.Now().Add(24 * time.Hour)}
		e := New(suspending(log, a, b))
		run(t, e)
		synctest.Wait()
		wantState(t, e, "up", "up")
		time.Sleep(week + 2*time.Hour)
		wantState(t, e, "down", "up")
		reason := e.Status().Nodes[0].Reason
		if !strings.Contains(reason, "its signatures are 7 days old, more than max_signature_age, 7 days, and stale is \"suspend\"") {
			t.Errorf("reason %q", reason)
		}
		for range 4 {
			wantScan(t, e, "x", backends.OK)
		}
		if a.asked() != 0 || b.asked() != 4 || e.Status().Nodes[0].Usable || !e.Status().Nodes[1].Usable {
			t.Errorf("a got %d scans, b got %d: %+v", a.asked(), b.asked(), e.Status().Nodes)
		}
		time.Sleep(24 * time.Hour)
		wantState(t, e, "down", "down")
		r := e.Scan(t.Context(), text("x"), false)
		if wantCategory(t, r.Result, r.Err, backends.CannotExecute); r.Elapsed != 0 || !strings.Contains(r.Err.Error(), "max_signature_age") {
			t.Errorf("%v after %v", r.Err, r.Elapsed)
		}
		b.set(func(*fakeEngine) { b.database = time.Now() })
		time.Sleep(health.LastPause + time.Second)
		wantState(t, e, "down", "up")
		wantScan(t, e, "x", backends.OK)
		if n := log.count(`"signatures are old"`, `"reason":"the node is not used`); n < 2 {
			t.Errorf("%d warnings that nodes are not used, want one for each at least", n)
		}

		cfg := suspending(log, a, b)
		cfg.SuspendStale = false
		next := succeed(t, e, cfg)
		wantState(t, next, "up", "up")
		cfg = suspending(log, a, b)
		cfg.MaxSignatureAge = 2 * week
		next = succeed(t, next, cfg)
		wantState(t, next, "up", "up")
		next = succeed(t, next, suspending(log, a, b))
		wantState(t, next, "down", "up")
		if !next.Status().Nodes[0].Stale {
			t.Error("the status does not say that the signatures are old")
		}
	})
}

// TestSuspendFromStart starts with old signatures. Not a single scan reaches the node, even
// those that wait for its first health check.
func TestSuspendFromStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dated{database: time.Now().Add(-2 * week)}
		e := New(suspending(&lines{}, d))
		run(t, e)
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.CannotExecute)
		synctest.Wait()
		wantState(t, e, "down")
		if d.asked() != 0 {
			t.Errorf("it got %d scans", d.asked())
		}
		d.set(func(f *fakeEngine) { f.blind = true })
		time.Sleep(time.Hour)
		if got := e.Status().Nodes[0]; got.State != "down" || !strings.Contains(got.Reason, "EICAR") {
			t.Errorf("%s: %s, want the reason of the health check", got.State, got.Reason)
		}
	})
}

// TestSuspendWhileWaiting suspends the only node while scans wait for its slot.
func TestSuspendWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dated{database: time.Now()}
		cfg := suspending(&lines{}, d)
		cfg.MaxScans, cfg.Timeout = 1, time.Hour
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		gate := make(chan struct{})
		d.set(func(f *fakeEngine) { f.gate = gate })
		results := make(chan error, 2)
		for range cap(results) {
			go func() { results <- e.Scan(t.Context(), text("x"), false).Err }()
		}
		synctest.Wait()
		d.set(func(*fakeEngine) { d.database = time.Now().Add(-2 * week) })
		time.Sleep(versionAge)
		e.Version(t.Context())
		if err := <-results; err == nil || !strings.Contains(err.Error(), "max_signature_age") {
			t.Errorf("the waiting scan: %v", err)
		}
		close(gate)
		if err := <-results; err != nil {
			t.Errorf("the scan under way: %v", err)
		}
	})
}

// TestOlderThanSibling names a node whose signatures are much older than those of another.
func TestOlderThanSibling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		a, b, c := &dated{database: time.Now()}, &dated{database: time.Now()}, &dated{}
		cfg := suspending(log, a, b, c)
		cfg.SuspendStale, cfg.MaxSignatureAge = false, 0
		e := New(cfg)
		run(t, e)
		expect := func(when, than string, by time.Duration, lines int) {
			t.Helper()
			time.Sleep(2 * time.Hour)
			s := e.Status()
			if got := s.Nodes[0]; got.OlderThan != than || got.OlderBy != by {
				t.Errorf("%s: older than %q by %v, want %q by %v", when, got.OlderThan, got.OlderBy, than, by)
			}
			if s.Nodes[1].OlderThan != "" || s.Nodes[2].OlderThan != "" {
				t.Errorf("%s: %+v", when, s.Nodes)
			}
			if n := log.count(`"signatures are older than another node's"`, `"node":"a"`, `"newest":"b"`); n != lines {
				t.Errorf("%s: %d lines, want %d", when, n, lines)
			}
		}
		update := func(d *dated, by time.Duration) { d.set(func(*fakeEngine) { d.database = d.database.Add(by) }) }
		expect("alike", "", 0, 0)
		update(b, 25*time.Hour)
		expect("a day", "", 0, 0)
		update(b, 24*time.Hour)
		expect("two days", "b", 49*time.Hour, 1)
		time.Sleep(24 * time.Hour)
		expect("a day later", "b", 49*time.Hour, 1)
		update(a, 49*time.Hour)
		expect("updated", "", 0, 1)
		update(b, 49*time.Hour)
		expect("old again", "b", 49*time.Hour, 2)
	})
}
