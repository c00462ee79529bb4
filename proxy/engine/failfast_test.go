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

// TestHungNode has one of two nodes stop in the middle of a scan: a health check shows
// it, its scans go to the other node, it gets no more, and it is back as soon as it
// goes on.
func TestHungNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &engine{}, &engine{}
		u := New(withCanary(a, b))
		run(t, u)
		synctest.Wait()
		warmUp(t, u)
		drain(u) // all of them have to be moved
		resume := stop(a)
		before := a.asked()
		slowest := time.Duration(0)
		for range 6 {
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			slowest = max(slowest, r.Elapsed)
		}
		wantState(t, u, "down", "up")
		if n := a.asked() - before; n != 1 || slowest > 2*checkMin {
			t.Errorf("%d scans put to the hung node, the slowest took %v", n, slowest)
		}
		resume()
		synctest.Wait()
		wantState(t, u, "up", "up")
		wantIdle(t, u)
	})
}

// TestHungNodeNotHedged is TestHungNode for engines that get each object from one node at
// a time: the hung one is called off before the other one is asked.
func TestHungNodeNotHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &engine{}, &engine{}
		cfg := withCanary(acting{a}, acting{b})
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		warmUp(t, u)
		resume := stop(a)
		for range 6 {
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			if r.Elapsed > 3*checkMin {
				t.Errorf("took %v", r.Elapsed)
			}
		}
		wantState(t, u, "down", "up")
		if s := u.Status().Counters; s.Hedges != 0 {
			t.Errorf("%d hedges", s.Hedges)
		}
		resume()
		synctest.Wait()
		wantIdle(t, u)
	})
}

// TestOnlyNodeHangs checks that a hung engine costs one timeout, not one a scan.
func TestOnlyNodeHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		cfg := withCanary(e)
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		warmUp(t, u)
		resume := stop(e)
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if r.Elapsed != cfg.Timeout {
			t.Errorf("the first took %v", r.Elapsed)
		}
		for range 3 {
			time.Sleep(3 * time.Second)
			r = u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if r.Elapsed > 100*time.Millisecond {
				t.Errorf("another took %v: %v", r.Elapsed, r.Err)
			}
		}
		resume()
		time.Sleep(time.Second)
		r = u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
	})
}

// TestLostCheck has the answers to health checks get lost, as with a host that died
// without a word: the next check is made all the same, also while the node loads
// signatures.
func TestLostCheck(t *testing.T) {
	for _, tt := range []struct {
		reloading bool
		back      time.Duration // after the node answers again
	}{{false, 8 * time.Second}, {true, 25 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			e := &engine{}
			cfg := withCanary(e)
			cfg.Timeout, cfg.CanaryInterval = 40*time.Second, 2*time.Second
			u := New(cfg)
			run(t, u)
			synctest.Wait()
			u.mu.Lock()
			u.nodes[0].reloading = tt.reloading
			u.mu.Unlock()
			resume := stop(e)
			time.Sleep(25 * time.Second)
			e.set(func(e *engine) { e.gate, e.hold = nil, nil }) // what was asked stays without an answer
			answers := time.Now()
			time.Sleep(tt.back)
			if last := u.Status().Nodes[0].Canary.Time; last.Before(answers) {
				t.Errorf("reloading %v: not checked %v after it answers again", tt.reloading, tt.back)
			}
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			synctest.Wait()
			wantIdle(t, u)
			resume()
		})
	}
}

// TestNodeComesLate has a scan hang on the only node; another node that comes up while
// there is time gets it.
func TestNodeComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &engine{}, &engine{err: errRefused}
		cfg := withCanary(a, b)
		cfg.Timeout, cfg.CanaryInterval = 16*time.Second, time.Second
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		wantState(t, u, "up", "down")
		resume := stop(a)
		time.AfterFunc(11*time.Second, func() { b.set(func(e *engine) { e.err = nil }) })
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if r.Elapsed < 11*time.Second || r.Elapsed > 15*time.Second || r.Node != "b" {
			t.Errorf("after %v by node %s", r.Elapsed, r.Node)
		}
		resume()
	})
}

// TestOverdue has a caller that waits for less than the timeout, and says so: that takes
// the node out, as timeouts do.
func TestOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		stop(e)
		for range health.MaxTimeouts {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(Overdue("no answer within 1s")) })
			r := u.Scan(ctx, content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
		}
		wantState(t, u, "down")
		u.Close()
		synctest.Wait()
	})
}

// TestTwoTimeouts checks that one scan without an end leaves its node in use and a
// second one takes it out, until a health check succeeds.
func TestTwoTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		cfg := config(e) // without health checks, that nothing else takes it out
		u := New(cfg)
		defer u.Close()
		warmUp(t, u)
		e.set(func(e *engine) { e.gate = make(chan struct{}) })
		for i, want := range []string{"up", "down"} {
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if s := u.Status().Nodes[0].State; s != want {
				t.Errorf("after %d timeouts: %s, want %s", i+1, s, want)
			}
		}
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if r.Elapsed != 0 {
			t.Errorf("waited %v for a node that is down", r.Elapsed)
		}
	})
}

// TestLittleTime has clients with less time than the timeout. If they have all of it on
// the node, that counts as a timeout; if most of it has gone by before, it does not.
func TestLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		cfg := config(e)
		cfg.MaxScans = 1
		u := New(cfg)
		defer u.Close()
		for range health.MaxTimeouts {
			hog, free := context.WithTimeout(t.Context(), time.Hour)
			first := make(chan struct{})
			go func() { u.Scan(hog, content("x"), false); close(first) }()
			synctest.Wait()
			time.AfterFunc(900*time.Millisecond, free) // called off: that says nothing
			r := u.Scan(within(t, time.Second), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			<-first
		}
		wantState(t, u, "unknown")
		for range health.MaxTimeouts {
			u.Scan(within(t, time.Second), content("x"), false)
		}
		wantState(t, u, "down")
	})
}

// TestTrial checks that an engine without canary has one scan at a time find out
// whether a node is back.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{err: errRefused}
		u := New(config(e))
		defer u.Close()
		u.Scan(t.Context(), content("x"), false)
		e.set(func(e *engine) { e.err, e.gate = nil, make(chan struct{}) })
		time.Sleep(2 * health.FirstPause)
		outcome := make(chan error, 10)
		for range 10 {
			go func() { outcome <- u.Scan(t.Context(), content("x"), false).Err }()
		}
		synctest.Wait()
		if n := e.asked(); n != 2 || len(outcome) != 9 {
			t.Errorf("%d asked, %d answered", n, len(outcome))
		}
		for range 9 {
			if err := <-outcome; !errors.Is(err, errRefused) {
				t.Errorf("error %v, want the reason why it is down", err)
			}
		}
		e.gate <- struct{}{}
		if err := <-outcome; err != nil {
			t.Errorf("the trial: %v", err)
		}
		wantState(t, u, "up")
	})
}

// TestHungNodeWithoutSlots has every slot of a node taken by scans that hang: that it
// hangs is found out all the same.
func TestHungNodeWithoutSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &engine{}, &engine{}
		cfg := withCanary(a, b)
		cfg.MaxScans, cfg.Timeout = 2, time.Minute
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		warmUp(t, u)
		drain(u)
		time.Sleep(2 * health.FirstPause) // the first check is not too recent
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK) // nor the last answer long ago
		resume := stop(a)
		outcome := make(chan time.Duration, 8)
		for range cap(outcome) {
			go func() {
				r := u.Scan(t.Context(), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				outcome <- r.Elapsed
			}()
		}
		for range cap(outcome) {
			if took := <-outcome; took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		}
		wantState(t, u, "down", "up")
		resume()
		synctest.Wait()
		wantIdle(t, u)
	})
}
