package engine

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// observe observes s, and returns the report; false if there is no free slot.
func observe(t *testing.T, e *Engine, s string) (policy.Report, bool) {
	t.Helper()
	scan, ok := e.Observe(t.Context(), text(s), false)
	if !ok {
		return policy.Report{}, false
	}
	return scan(), true
}

// TestObserve observes with an engine that has one free slot, then none.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		cfg := withCanary(f)
		cfg.MaxScans, cfg.MaxSize = 2, 100
		e := New(cfg)
		if _, ok := observe(t, e, "x"); ok {
			t.Error("an engine that is not checked yet got an object")
		}
		run(t, e)
		synctest.Wait()
		r, ok := observe(t, e, "a virus")
		if wantCategory(t, r.Result, r.Err, backends.Virus); !ok || r.Engine != "fake" || r.Node != "a" || !r.Required {
			t.Errorf("%+v, %v", r, ok)
		}
		gate := make(chan struct{})
		f.set(func(f *fakeEngine) { f.gate = gate })
		reports := make(chan policy.Report, 2)
		for range cap(reports) {
			go func() { r, _ := observe(t, e, "x"); reports <- r }()
		}
		synctest.Wait()
		if _, ok := observe(t, e, "x"); ok || e.Status().Waiting != 0 {
			t.Error("a third object waits for a slot, or has one")
		}
		if r, ok := observe(t, e, strings.Repeat("x", 101)); !ok || r.Result.Category != backends.Partial {
			t.Errorf("an object above max_size: %+v, %v", r, ok)
		}
		close(gate)
		for range cap(reports) {
			r := <-reports
			wantCategory(t, r.Result, r.Err, backends.OK)
		}
		if f.asked() != 3 {
			t.Errorf("%d scans", f.asked())
		}
		wantIdle(t, e)
	})
}

// TestObserveNeverHedges has a slow node and a node that fails: the object is never on two
// nodes, and moves only if the other node has a free slot.
func TestObserveNeverHedges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{}
		cfg := withCanary(a, b)
		cfg.MaxScans = 1
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		warmUp(t, e) // fills the hedging budget
		drainB, gate := e.Drain("b"), make(chan struct{})
		if drainB != nil {
			t.Fatal(drainB)
		}
		a.set(func(f *fakeEngine) { f.gate = gate })
		before := b.asked()
		done := make(chan policy.Report, 1)
		go func() { r, _ := observe(t, e, "x"); done <- r }()
		synctest.Wait()
		if err := e.Resume("b"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(cfg.Timeout * 9 / 10) // beyond the half after which a scan moves
		if b.asked() != before || e.Status().Counters.Hedges != 0 {
			t.Errorf("the other node got %d scans, %d hedges", b.asked()-before, e.Status().Counters.Hedges)
		}
		close(gate)
		if r := <-done; r.Err != nil || r.Node != "a" {
			t.Errorf("%+v", r)
		}

		// A replay takes a free slot ...
		fails := func(f *fakeEngine) { f.gate, f.err = nil, backends.ErrNoReply }
		a.set(fails)
		for range 2 { // the rotation may begin with b
			if r, ok := observe(t, e, "x"); !ok || r.Err != nil || r.Node != "b" {
				t.Errorf("%+v, %v, want b's answer", r, ok)
			}
		}
		// ... but does not wait for one.
		busy := make(chan struct{})
		b.set(func(f *fakeEngine) { f.gate = busy })
		go e.Scan(t.Context(), text("x"), false)
		synctest.Wait()
		begin := time.Now()
		if r, ok := observe(t, e, "x"); ok && r.Err == nil || time.Since(begin) != 0 {
			t.Errorf("%+v, %v after %v", r, ok, time.Since(begin))
		}
		close(busy)
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestObserveHung has a backend that ignores its context: each observation ends after the
// timeout, and never more of them are running than there are slots.
func TestObserveHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		f := &fakeEngine{answer: func(context.Context, backends.Object) (backends.Result, error) {
			<-thaw
			return backends.Clean(0), nil
		}}
		cfg := config(f)
		cfg.MaxScans, cfg.Timeout = 3, time.Second
		e := New(cfg)
		o := text("x")
		before := runtime.NumGoroutine()
		begun := 0
		for range 100 {
			if scan, ok := e.Observe(t.Context(), o, false); ok {
				begun++
				go func() {
					if r := scan(); r.Err == nil {
						t.Errorf("%+v", r)
					}
				}()
			}
		}
		if begun != 3 {
			t.Errorf("%d scans begun, want 3", begun)
		}
		time.Sleep(2 * time.Second)
		if n := runtime.NumGoroutine() - before; n > 3 {
			t.Errorf("%d goroutines after the timeout, want those of 3 backends", n)
		}
		if _, ok := e.Observe(t.Context(), o, false); ok || o.users.Load() != 3 {
			t.Errorf("another scan begun: %v; %d users of the object", ok, o.users.Load())
		}
		close(thaw)
		synctest.Wait()
		if o.users.Load() != 0 {
			t.Errorf("%d users of the object are left", o.users.Load())
		}
		wantIdle(t, e)
	})
}

// TestObservePoison checks that an observed engine, too, does not get objects that it dies
// on.
func TestObservePoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		bomb(f)
		e := New(withPoison(f))
		run(t, e)
		synctest.Wait()
		for range 3 {
			if r, ok := observe(t, e, "bomb"); !ok || r.Err == nil {
				t.Errorf("%+v, %v", r, ok)
			}
			synctest.Wait()
			time.Sleep(2 * time.Second) // until the node is up again
		}
		before := f.asked()
		r, ok := observe(t, e, "bomb")
		if !ok || r.Err == nil || !strings.Contains(r.Err.Error(), "key poison_time") || f.asked() != before {
			t.Errorf("%+v, %v, %d scans", r, ok, f.asked()-before)
		}
		wantIdle(t, e)
	})
}
