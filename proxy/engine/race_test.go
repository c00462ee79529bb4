package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/budget"
	"polyclam/proxy/engine/internal/timing"
)

// warmUp scans until the usual times of u's nodes are known and its budget of hedges
// is full.
func warmUp(t *testing.T, u *Engine) {
	t.Helper()
	for range budget.Share * budget.Burst {
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
			if took := time.Since(begin); took > timing.Floor || r.Node != "b" {
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
		pause := func(d time.Duration) func(context.Context, backends.Object) (backends.Result, error) {
			return func(ctx context.Context, _ backends.Object) (backends.Result, error) {
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
		if n := u.Status().Counters.Hedges; n > 2000/budget.Share {
			t.Errorf("%d scans hedged", n)
		}
		if n := slow.asked(); n < timing.Enough || n > 100 {
			t.Errorf("the slow node got %d of 2000 scans", n)
		}
		slow.set(func(e *engine) { e.answer = pause(20 * time.Millisecond) })
		time.Sleep(10 * timing.ForgetTime)
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
				if n := a.asked() + b.asked(); n != budget.Share*budget.Burst+1 || r.Elapsed != cfg.Timeout {
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
		first := &engine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Found(1, "Late.Virus"), nil
		}}
		u := New(config(first, &engine{gate: make(chan struct{})}))
		defer u.Close()
		r := u.Scan(within(t, 8*time.Second), content("x"), false)
		wantCategory(t, r.Result, nil, backends.Virus)
	})
}
