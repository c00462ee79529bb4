package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// warmUp scans until the usual times of u's nodes are known and its budget of hedges
// is full.
func warmUp(t *testing.T, u *Upstream) {
	t.Helper()
	for range hedgeShare * hedgeBurst {
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
	}
}

// stop makes e answer nothing, health checks included, until the function returned is called.
func stop(e *engine) (resume func()) {
	thaw := make(chan struct{})
	e.set(func(e *engine) { e.gate, e.hold = thaw, thaw })
	return func() {
		e.set(func(e *engine) { e.gate, e.hold = nil, nil })
		close(thaw)
	}
}

// TestHedge checks that a scan which is slow on one node is put to the other one, that
// the slow one is called off, and that the slot is free then.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &engine{}, &engine{}
		u := New(config(a, b))
		defer u.Close()
		warmUp(t, u)
		a.set(func(e *engine) { e.gate = make(chan struct{}) })
		for range 4 {
			begin := time.Now()
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			if took := time.Since(begin); took > hedgeFloor || r.Node != "b" {
				t.Errorf("took %v on node %s", took, r.Node)
			}
		}
		synctest.Wait()
		wantIdle(t, u)
		if s := u.Status(); s.Counters.Hedges == 0 || s.Counters.HedgesWon != s.Counters.Hedges {
			t.Errorf("%+v, want hedges that are all won", s.Counters)
		}
	})
}

// TestSlowNode has a node that is fifty times slower than the other one: it gets few
// scans, the budget bounds the hedges, and it gets its part again when it is fast.
func TestSlowNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause := func(d time.Duration) func(context.Context, backends.Content) (backends.Result, error) {
			return func(ctx context.Context, _ backends.Content) (backends.Result, error) {
				select {
				case <-time.After(d):
				case <-ctx.Done():
				}
				return backends.Clean(0), ctx.Err()
			}
		}
		slow, fast := &engine{answer: pause(time.Second)}, &engine{answer: pause(20 * time.Millisecond)}
		u := New(config(slow, fast))
		defer u.Close()
		scan := func(scans int) {
			for range scans {
				r := u.Scan(t.Context(), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
			}
		}
		scan(2000)
		if n := u.Status().Counters.Hedges; n > 2000/hedgeShare {
			t.Errorf("%d scans hedged", n)
		}
		if n := slow.asked(); n < enough || n > 100 {
			t.Errorf("the slow node got %d of 2000 scans", n)
		}
		slow.set(func(e *engine) { e.answer = pause(20 * time.Millisecond) })
		time.Sleep(10 * forgetTime)
		before := slow.asked()
		scan(200)
		if n := slow.asked() - before; n < 60 {
			t.Errorf("got %d of 200 scans after it had become fast", n)
		}
	})
}

// TestNotHedged has engines that get each object from one node at a time.
func TestNotHedged(t *testing.T) {
	for name, test := range map[string]struct {
		no      bool
		backend func(*engine) backends.Backend
	}{
		"switched off": {true, func(e *engine) backends.Backend { return e }},
		"side effects": {false, func(e *engine) backends.Backend { return acting{e} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := &engine{}, &engine{}
				cfg := config(test.backend(a), test.backend(b))
				cfg.NoHedge = test.no
				u := New(cfg)
				defer u.Close()
				warmUp(t, u)
				a.set(func(e *engine) { e.gate = make(chan struct{}) })
				b.set(func(e *engine) { e.gate = make(chan struct{}) })
				r := u.Scan(t.Context(), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.Interrupted)
				if n := a.asked() + b.asked(); n != hedgeShare*hedgeBurst+1 || r.Elapsed != cfg.Timeout {
					t.Errorf("asked %d times, %v", n, r.Elapsed)
				}
			})
		})
	}
}

type acting struct{ *engine }

func (acting) HasSideEffects() {}

// TestHalfTime checks that another node gets the object when half of the time is over,
// whatever the budget of hedges.
func TestHalfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &engine{gate: make(chan struct{})}, &engine{}
		u := New(config(a, b))
		defer u.Close()
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if r.Elapsed != 5*time.Second || r.Node != "b" {
			t.Errorf("after %v by node %s", r.Elapsed, r.Node)
		}
		synctest.Wait()
		wantIdle(t, u)
	})
}

// TestHalfOfLittleTime has a client with less time than the engine's timeout: half of
// that counts.
func TestHalfOfLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := New(config(&engine{gate: make(chan struct{})}, &engine{}))
		defer u.Close()
		r := u.Scan(within(t, 3*time.Second), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if r.Elapsed != 1500*time.Millisecond {
			t.Errorf("moved after %v", r.Elapsed)
		}
	})
}

// TestSlowFindCounts has both nodes answer at the same time, the slow one with a virus.
func TestSlowFindCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &engine{answer: func(ctx context.Context, _ backends.Content) (backends.Result, error) {
			<-ctx.Done()
			return backends.Found(1, "Late.Virus"), nil
		}}
		u := New(config(first, &engine{gate: make(chan struct{})}))
		defer u.Close()
		r := u.Scan(within(t, 8*time.Second), content("x"), false)
		wantCategory(t, r.Result, nil, backends.Virus)
	})
}

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
		u.budget.parts.Store(0) // all of them have to be moved
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

// TestShortTimeSaysNothing has a client with little time.
func TestShortTimeSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		u := New(config(e))
		defer u.Close()
		for range 5 {
			r := u.Scan(within(t, time.Second), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
		}
		wantState(t, u, "unknown")
	})
}

// TestTrial checks that an upstream without canary has one scan at a time find out
// whether a node is back.
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{err: errRefused}
		u := New(config(e))
		defer u.Close()
		u.Scan(t.Context(), content("x"), false)
		e.set(func(e *engine) { e.err, e.gate = nil, make(chan struct{}) })
		time.Sleep(2 * firstPause)
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

func TestSizeClass(t *testing.T) {
	for size, want := range map[int64]int{
		0: 0, 1: 0, 4 << 10: 0, 4<<10 + 1: 1, 16 << 10: 1, 16<<10 + 1: 2, 64 << 20: 7, 64<<20 + 1: 8, 1 << 62: 8,
	} {
		if got := sizeClass(size); got != want {
			t.Errorf("class of %d bytes: %d, want %d", size, got, want)
		}
	}
}
