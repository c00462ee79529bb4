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

// warmUp scans until e's hedging budget is full and the usual times of its nodes are
// known.
func warmUp(t *testing.T, e *Engine) {
	t.Helper()
	for range budget.Share * budget.Burst {
		wantScan(t, e, "x", backends.OK)
	}
}

// stop makes f hang, also for test objects, until resume is called.
func stop(f *fakeEngine) (resume func()) {
	thaw := make(chan struct{})
	f.set(func(f *fakeEngine) { f.gate, f.hold = thaw, thaw })
	return func() {
		f.set(func(f *fakeEngine) { f.gate, f.hold = nil, nil })
		close(thaw)
	}
}

// TestHedge checks that a scan that is slow on one node is put to the other one, and that
// the slow node is called off, which frees its slot.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{}
		e := New(config(a, b))
		defer e.Close()
		warmUp(t, e)
		a.set(func(f *fakeEngine) { f.gate = make(chan struct{}) })
		for range 4 {
			begin := time.Now()
			r := e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			if took := time.Since(begin); took > timing.Floor || r.Node != "b" {
				t.Errorf("took %v on node %s", took, r.Node)
			}
		}
		synctest.Wait()
		wantIdle(t, e)
		if s := e.Status(); s.Counters.Hedges == 0 || s.Counters.HedgesWon != s.Counters.Hedges {
			t.Errorf("%+v, want hedges, all of them won", s.Counters)
		}
	})
}

// TestSlowNode has a node that is fifty times slower than the other one: it gets few
// scans, the budget bounds the hedges, and once it is fast it gets its share again.
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
		slow, fast := &fakeEngine{answer: pause(time.Second)}, &fakeEngine{answer: pause(20 * time.Millisecond)}
		e := New(config(slow, fast))
		defer e.Close()
		scan := func(scans int) {
			for range scans {
				wantScan(t, e, "x", backends.OK)
			}
		}
		scan(4000)
		if n := e.Status().Counters.Hedges; n > 4000/budget.Share {
			t.Errorf("%d scans hedged", n)
		}
		if n := slow.asked(); n < 3 || n > 20 {
			t.Errorf("the slow node got %d of 4000 scans", n)
		}
		slow.set(func(f *fakeEngine) { f.answer = pause(20 * time.Millisecond) })
		time.Sleep(10 * timing.LongForgetTime)
		before := slow.asked()
		scan(200)
		if n := slow.asked() - before; n < 60 {
			t.Errorf("got %d of 200 scans after it had become fast", n)
		}
	})
}

// TestNotHedged has engines where only one node at a time may have an object.
func TestNotHedged(t *testing.T) {
	for name, test := range map[string]struct {
		no      bool
		backend func(*fakeEngine) backends.Backend
	}{
		"switched off": {true, func(f *fakeEngine) backends.Backend { return f }},
		"side effects": {false, func(f *fakeEngine) backends.Backend { return acting{f} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := &fakeEngine{}, &fakeEngine{}
				cfg := config(test.backend(a), test.backend(b))
				cfg.NoHedge = test.no
				e := New(cfg)
				defer e.Close()
				warmUp(t, e)
				a.set(func(f *fakeEngine) { f.gate = make(chan struct{}) })
				b.set(func(f *fakeEngine) { f.gate = make(chan struct{}) })
				r := e.Scan(t.Context(), text("x"), false)
				wantCategory(t, r.Result, r.Err, backends.Interrupted)
				if n := a.asked() + b.asked(); n != budget.Share*budget.Burst+1 || r.Elapsed != cfg.Timeout {
					t.Errorf("asked %d times, %v", n, r.Elapsed)
				}
			})
		})
	}
}

type acting struct{ *fakeEngine }

func (acting) HasSideEffects() {}

// TestHalfTime checks that another node gets the object when half of the time is over,
// even without a hedging budget.
func TestHalfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{gate: make(chan struct{})}, &fakeEngine{}
		e := New(config(a, b))
		defer e.Close()
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if r.Elapsed != 5*time.Second || r.Node != "b" {
			t.Errorf("took %v on node %s", r.Elapsed, r.Node)
		}
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestHalfOfLittleTime has a client with less time than the engine's timeout: half of that
// time counts.
func TestHalfOfLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(config(&fakeEngine{gate: make(chan struct{})}, &fakeEngine{}))
		defer e.Close()
		r := e.Scan(within(t, 3*time.Second), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if r.Elapsed != 1500*time.Millisecond {
			t.Errorf("moved after %v", r.Elapsed)
		}
	})
}

// TestLateDetectionCounts has the slow node report a virus just when time is up.
func TestLateDetectionCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := &fakeEngine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Found(1, "Late.Virus"), nil
		}}
		e := New(config(first, &fakeEngine{gate: make(chan struct{})}))
		defer e.Close()
		r := e.Scan(within(t, 8*time.Second), text("x"), false)
		wantCategory(t, r.Result, nil, backends.Virus)
	})
}
