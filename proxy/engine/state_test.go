package engine

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine/internal/health"
)

// missesEICAR is the reason reported for a blind node.
const missesEICAR = "does not find the EICAR test file"

// withCanary is config with health checks.
func withCanary(engines ...backends.Backend) Config {
	c := config(engines...)
	c.Canary = true
	return c
}

// run starts e.Run, until the test ends.
func run(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done; e.Close(); e.cfg.Cache.Close() })
}

// wantState checks the nodes of the status: their states, and that those down have a
// reason.
func wantState(t *testing.T, e *Engine, want ...string) {
	t.Helper()
	for i, n := range e.Status().Nodes {
		if n.State != want[i] || want[i] != "unknown" && (n.Reason == "") != (want[i] == "up") {
			t.Errorf("node %s is %s (%q), want %s", n.Address, n.State, n.Reason, want[i])
		}
	}
}

// TestNoCanary checks that without health checks a dead node is left alone for a while,
// also when there is no other one.
func TestNoCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{err: errRefused}, &fakeEngine{}
		e := New(config(a, b))
		run(t, e)
		for range 5 {
			wantScan(t, e, "x", backends.OK)
		}
		if a.asked() != 1 || b.asked() != 5 {
			t.Errorf("asked %d and %d", a.asked(), b.asked())
		}
		wantState(t, e, "down", "up")
		b.set(func(f *fakeEngine) { f.err = errRefused })
		for range 2 { // the second fails without reaching a node
			wantScan(t, e, "x", backends.CannotExecute)
		}
		if a.asked() != 1 || b.asked() != 6 {
			t.Errorf("asked %d and %d", a.asked(), b.asked())
		}
		a.set(func(f *fakeEngine) { f.err = nil })
		time.Sleep(2 * health.FirstPause)
		for range 2 { // one of them is sent to b
			wantScan(t, e, "x", backends.OK)
		}
		wantState(t, e, "up", "down")
		time.Sleep(time.Minute)
		b.set(func(f *fakeEngine) { f.err = nil })
		for range 2 {
			e.Scan(t.Context(), text("x"), false)
		}
		if len(a.checks())+len(b.checks()) != 0 {
			t.Error("there was a health check")
		}
		wantState(t, e, "up", "up")
	})
}

// TestFirstScanWaits checks that the first scan waits for the first health check, even
// without Run, and only for its limited time.
func TestFirstScanWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{hold: make(chan struct{})}
		e := New(withCanary(f))
		defer e.Close()
		r := e.Scan(within(t, time.Second), text("x"), false)
		if r.Err == nil || r.Err.Error() != "no answer to the test files within 1s, and no other node" {
			t.Errorf("error %v", r.Err)
		}
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		wantState(t, e, "unknown")
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				wantScan(t, e, "x", backends.OK)
			})
		}
		synctest.Wait()
		if f.asked() != 0 {
			t.Error("scanned before the health check ended")
		}
		close(f.hold)
		wg.Wait()
		if n := len(f.checks()); n != 1 || f.asked() != 100 || f.most > 10 {
			t.Errorf("%d health checks, %d scans, %d together", n, f.asked(), f.most)
		}
		wantState(t, e, "up")
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestBlind checks that an engine that does not find EICAR is never used, whatever its
// result, until it does.
func TestBlind(t *testing.T) {
	for _, category := range []backends.Category{backends.OK, backends.Partial, backends.Encrypted} {
		t.Run(string(category), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				blind, scans := true, 0
				b := backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
					mu.Lock()
					defer mu.Unlock()
					if string(read(o)) == "mail" {
						scans++
						return backends.Clean(0), nil
					}
					if blind && bytes.Equal(read(o), testfile.EICAR()) {
						return backends.Result{Category: category}, nil
					}
					return judged(read(o)), nil
				})
				e := New(withCanary(b))
				run(t, e)
				for range 20 {
					r := e.Scan(within(t, time.Minute), text("mail"), false)
					wantCategory(t, r.Result, r.Err, backends.SWErr)
					if r.Err == nil || r.Err.Error() != missesEICAR || r.Node != "a" {
						t.Errorf("node %q error %v", r.Node, r.Err)
					}
					time.Sleep(time.Second)
				}
				wantState(t, e, "down")
				mu.Lock()
				blind = false
				if scans != 0 {
					t.Errorf("a blind engine was used %d times", scans)
				}
				mu.Unlock()
				time.Sleep(30 * time.Second) // checks are no further apart
				r := e.Scan(within(t, time.Minute), text("mail"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				wantState(t, e, "up")
			})
		})
	}
}

// TestBlindStaysBlind has a blind engine die and come back blind.
func TestBlindStaysBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{blind: true}
		e := New(withCanary(f))
		run(t, e)
		synctest.Wait()
		for _, err := range []error{errRefused, nil, errors.New("odd"), nil} {
			f.set(func(f *fakeEngine) { f.err = err })
			for range 100 {
				r := e.Scan(within(t, time.Second), text("x"), false)
				if r.Err == nil {
					t.Fatal("a blind engine gave a result")
				}
				time.Sleep(time.Second)
			}
		}
		if n := len(f.checks()); f.asked() != 0 || n < 10 || n > 130 {
			t.Errorf("asked %d times, %d health checks", f.asked(), n)
		}
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestGoesBlind has an engine go blind while scans are under way. Its ok does not count,
// even if the engine dies or recovers before it answers. A virus still counts.
func TestGoesBlind(t *testing.T) {
	after := map[string]func(f *fakeEngine){
		"blind":    func(*fakeEngine) {},
		"dead":     func(f *fakeEngine) { f.canary = errRefused },
		"recovers": func(f *fakeEngine) { f.blind = false },
	}
	for name, change := range after {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeEngine{gate: make(chan struct{})}
				cfg := withCanary(f)
				cfg.Timeout, cfg.CanaryInterval = time.Hour, time.Minute
				e := New(cfg)
				run(t, e)
				synctest.Wait()
				var wg sync.WaitGroup
				for mail, want := range map[string]backends.Category{"a virus": backends.Virus, "mail": backends.SWErr} {
					wg.Go(func() {
						wantScan(t, e, mail, want)
					})
				}
				synctest.Wait()
				f.set(func(f *fakeEngine) { f.blind = true }) // the scans began before
				time.Sleep(60*time.Second + 500*time.Millisecond)
				wantState(t, e, "down")
				e.mu.Lock()
				e.markDown(e.nodes[0], errRefused)
				e.mu.Unlock()
				if s := e.Status().Nodes[0]; s.Reason != missesEICAR {
					t.Errorf("reason %q", s.Reason)
				}
				f.set(change)
				time.Sleep(5 * time.Second)
				close(f.gate)
				wg.Wait()
				synctest.Wait()
				wantIdle(t, e)
				if c := e.Status().Nodes[0].Counters; c.Scans != 2 || c.Failures != 1 {
					t.Errorf("counters %+v", c)
				}
			})
		})
	}
}
