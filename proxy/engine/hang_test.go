package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
)

// TestHungNode has one of two nodes stop during a scan. A health check notices, the scans
// go to the other node, and the node is back as soon as it answers again.
func TestHungNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{}
		e := New(withCanary(a, b))
		run(t, e)
		synctest.Wait()
		warmUp(t, e)
		drain(e) // no hedges: all scans must be moved
		resume := stop(a)
		before := a.asked()
		slowest := time.Duration(0)
		for range 6 {
			r := e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			slowest = max(slowest, r.Elapsed)
		}
		wantState(t, e, "down", "up")
		if n := a.asked() - before; n != 1 || slowest > 2*checkMin {
			t.Errorf("%d scans put to the hung node, the slowest took %v", n, slowest)
		}
		resume()
		synctest.Wait()
		wantState(t, e, "up", "up")
		wantIdle(t, e)
	})
}

// TestHungNodeNotHedged is TestHungNode for engines where only one node at a time may have
// an object: the hung node is called off before the other one is asked.
func TestHungNodeNotHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{}
		cfg := withCanary(acting{a}, acting{b})
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		warmUp(t, e)
		resume := stop(a)
		for range 6 {
			r := e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			if r.Elapsed > 3*checkMin {
				t.Errorf("took %v", r.Elapsed)
			}
		}
		wantState(t, e, "down", "up")
		if s := e.Status().Counters; s.Hedges != 0 {
			t.Errorf("%d hedges", s.Hedges)
		}
		resume()
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestOnlyNodeHangs checks that a hung engine costs one timeout, not one per scan.
func TestOnlyNodeHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		cfg := withCanary(f)
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		warmUp(t, e)
		resume := stop(f)
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if r.Elapsed != cfg.Timeout {
			t.Errorf("the first took %v", r.Elapsed)
		}
		for range 3 {
			time.Sleep(3 * time.Second)
			r = e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if r.Elapsed > 100*time.Millisecond {
				t.Errorf("another took %v: %v", r.Elapsed, r.Err)
			}
		}
		resume()
		time.Sleep(time.Second)
		r = e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
	})
}

// TestLostCheck has the answers to health checks get lost, as with a host that crashed.
// The next check takes place nevertheless, also while the node loads signatures.
func TestLostCheck(t *testing.T) {
	for _, tt := range []struct {
		reloading bool
		back      time.Duration // how long after the node answers again
	}{{false, 8 * time.Second}, {true, 25 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeEngine{}
			cfg := withCanary(f)
			cfg.Timeout, cfg.CanaryInterval = 40*time.Second, 2*time.Second
			e := New(cfg)
			run(t, e)
			synctest.Wait()
			e.mu.Lock()
			e.nodes[0].reloading = tt.reloading
			e.mu.Unlock()
			resume := stop(f)
			time.Sleep(25 * time.Second)
			f.set(func(f *fakeEngine) { f.gate, f.hold = nil, nil }) // earlier questions stay unanswered
			answers := time.Now()
			time.Sleep(tt.back)
			if last := e.Status().Nodes[0].Canary.Time; last.Before(answers) {
				t.Errorf("reloading %v: not checked %v after it answered again", tt.reloading, tt.back)
			}
			r := e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			synctest.Wait()
			wantIdle(t, e)
			resume()
		})
	}
}

// TestNodeComesLate has a scan hang on the only node. Another node that comes up while
// there is time gets the object.
func TestNodeComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{err: errRefused}
		cfg := withCanary(a, b)
		cfg.Timeout, cfg.CanaryInterval = 16*time.Second, time.Second
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		wantState(t, e, "up", "down")
		resume := stop(a)
		time.AfterFunc(11*time.Second, func() { b.set(func(f *fakeEngine) { f.err = nil }) })
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if r.Elapsed < 11*time.Second || r.Elapsed > 15*time.Second || r.Node != "b" {
			t.Errorf("took %v on node %s", r.Elapsed, r.Node)
		}
		resume()
	})
}

// TestOverdue has a caller that waits for less than the timeout, and cancels with Overdue:
// that takes the node out, as timeouts do.
func TestOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		e := New(withCanary(f))
		run(t, e)
		synctest.Wait()
		stop(f)
		for range health.MaxTimeouts {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(Overdue("no answer within 1s")) })
			r := e.Scan(ctx, text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
		}
		wantState(t, e, "down")
		e.Close()
		synctest.Wait()
	})
}

// TestTwoTimeouts checks that one timeout leaves the node in use and a second one takes it
// out.
func TestTwoTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		cfg := config(f) // without health checks, so that nothing else takes it out
		e := New(cfg)
		defer e.Close()
		warmUp(t, e)
		f.set(func(f *fakeEngine) { f.gate = make(chan struct{}) })
		for i, want := range []string{"up", "down"} {
			r := e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if s := e.Status().Nodes[0].State; s != want {
				t.Errorf("after %d timeouts: %s, want %s", i+1, s, want)
			}
		}
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if r.Elapsed != 0 {
			t.Errorf("waited %v for a node that is down", r.Elapsed)
		}
	})
}

// TestLittleTime has clients with less time than the timeout. If the node had all of it,
// that counts as a timeout; if most of it was spent waiting, it does not.
func TestLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		cfg := config(f)
		cfg.MaxScans = 1
		e := New(cfg)
		defer e.Close()
		for range health.MaxTimeouts {
			hog, free := context.WithTimeout(t.Context(), time.Hour)
			first := make(chan struct{})
			go func() { e.Scan(hog, text("x"), false); close(first) }()
			synctest.Wait()
			time.AfterFunc(900*time.Millisecond, free) // a canceled scan says nothing
			r := e.Scan(within(t, time.Second), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			<-first
		}
		wantState(t, e, "unknown")
		for range health.MaxTimeouts {
			e.Scan(within(t, time.Second), text("x"), false)
		}
		wantState(t, e, "down")
	})
}

// TestTrial checks that without health checks one scan at a time finds out whether a node
// is back.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{err: errRefused}
		e := New(config(f))
		defer e.Close()
		e.Scan(t.Context(), text("x"), false)
		f.set(func(f *fakeEngine) { f.err, f.gate = nil, make(chan struct{}) })
		time.Sleep(2 * health.FirstPause)
		outcome := make(chan error, 10)
		for range 10 {
			go func() { outcome <- e.Scan(t.Context(), text("x"), false).Err }()
		}
		synctest.Wait()
		if n := f.asked(); n != 2 || len(outcome) != 9 {
			t.Errorf("%d asked, %d answered", n, len(outcome))
		}
		for range 9 {
			if err := <-outcome; !errors.Is(err, errRefused) {
				t.Errorf("error %v, want the reason why it is down", err)
			}
		}
		f.gate <- struct{}{}
		if err := <-outcome; err != nil {
			t.Errorf("the trial: %v", err)
		}
		wantState(t, e, "up")
	})
}
