package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/spool"
	"polyclam/proxy/spool/spooltest"
)

// seconds returns when f had health checks, in seconds since begin.
func seconds(f *fakeEngine, begin time.Time) []int {
	var s []int
	for _, p := range f.checks() {
		s = append(s, int(p.Sub(begin)/time.Second))
	}
	return s
}

func wantSeconds(t *testing.T, f *fakeEngine, begin time.Time, want ...int) {
	t.Helper()
	got := seconds(f, begin)
	if len(got) != len(want) {
		t.Fatalf("health checks after %v s, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("health checks after %v s, want %v", got, want)
		}
	}
}

func TestCanaryTimes(t *testing.T) {
	tests := []struct {
		name   string
		engine *fakeEngine
		want   []int
	}{
		{"up", &fakeEngine{}, []int{0, 60, 120}},
		{"dead", &fakeEngine{err: errRefused}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
		{"blind", &fakeEngine{blind: true}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
		{"failing", &fakeEngine{canary: errors.New("out of memory")}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := withCanary(tt.engine)
				cfg.CanaryInterval = time.Minute
				begin := time.Now()
				e := New(cfg)
				run(t, e)
				time.Sleep(125 * time.Second)
				wantSeconds(t, tt.engine, begin, tt.want...)
			})
		})
	}
}

// TestCanarySooner checks that a dead node and a timeout bring the health check forward,
// and that the regular interval is back after a success.
func TestCanarySooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		begin := time.Now()
		e := New(withCanary(f))
		run(t, e)
		time.Sleep(20 * time.Second)
		f.set(func(f *fakeEngine) { f.err = errRefused })
		e.Scan(t.Context(), text("x"), false)
		synctest.Wait() // a check immediately, and another after a second
		f.set(func(f *fakeEngine) { f.err = nil })
		time.Sleep(10 * time.Second)
		f.set(func(f *fakeEngine) { f.gate = make(chan struct{}) })
		e.Scan(t.Context(), text("x"), false) // slow from 32 s on, until 40 s
		synctest.Wait()
		wantSeconds(t, f, begin, 0, 20, 21, 32, 40)
		time.Sleep(5*time.Minute + time.Second)
		wantSeconds(t, f, begin, 0, 20, 21, 32, 40, 340)
	})
}

// TestCanarySlot checks that a health check goes to the head of the queue, takes no slot
// beyond MaxScans, and says nothing about a node that has no slot for it.
func TestCanarySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		cfg := withCanary(f)
		cfg.MaxScans, cfg.CanaryInterval, cfg.Timeout = 1, time.Minute, 10*time.Second
		begin := time.Now()
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		time.Sleep(55 * time.Second)
		thaw := make(chan struct{})
		f.set(func(f *fakeEngine) {
			f.answer = func(context.Context, backends.Object) (backends.Result, error) {
				<-thaw
				return backends.Clean(0), nil
			}
		})
		e.Scan(t.Context(), text("hung"), false) // until 65 s
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				r := e.Scan(within(t, time.Minute), text("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
			})
		}
		time.Sleep(14 * time.Second)
		wantSeconds(t, f, begin, 0)
		wantState(t, e, "up") // the check got no slot until 70 s
		close(thaw)
		wg.Wait()
		synctest.Wait()
		wantSeconds(t, f, begin, 0, 79)
		if f.most != 1 || f.before[1] != 1 {
			t.Errorf("%d scans together, %d before the check", f.most, f.before[1])
		}
		wantIdle(t, e)
	})
}

// TestHungCheckKeepsObject checks that the object of a health check lives as long as a hung
// backend may read it.
func TestHungCheckKeepsObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		cfg := withCanary(backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
			<-thaw
			return backends.Clean(0), nil
		}))
		cfg.Timeout, cfg.Spool = time.Second, spooltest.New(t, spool.Config{})
		e := New(cfg)
		defer e.Close()
		r := e.Scan(within(t, 5*time.Second), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		time.Sleep(cfg.Timeout) // the check itself continues until it times out
		if n := cfg.Spool.Stats().Objects; n != 1 {
			t.Errorf("%d objects in the spool, want that of the hung backend", n)
		}
		close(thaw)
		synctest.Wait()
		if n := cfg.Spool.Stats().Objects; n != 0 {
			t.Errorf("%d objects in the spool", n)
		}
	})
}

// TestHungChecksAreBounded checks that hung health checks take no more than MaxScans slots,
// and keep no more objects.
func TestHungChecksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		cfg := withCanary(backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
			<-thaw
			return backends.Clean(len(read(o))), nil
		}))
		cfg.MaxScans, cfg.Spool = 3, spooltest.New(t, spool.Config{})
		e := New(cfg)
		run(t, e)
		time.Sleep(10 * time.Minute)
		if n := cfg.Spool.Stats().Objects; n < 3 || n > 4 { // one may be waiting for a slot
			t.Errorf("%d objects in the spool", n)
		}
		wantState(t, e, "down")
		close(thaw)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantState(t, e, "down") // it answers, but does not detect
		wantIdle(t, e)
		if n := cfg.Spool.Stats().Objects; n != 0 {
			t.Errorf("%d objects in the spool", n)
		}
	})
}
