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

// seconds are the times of e's canaries since begin.
func seconds(e *engine, begin time.Time) []int {
	var s []int
	for _, p := range e.proved() {
		s = append(s, int(p.Sub(begin)/time.Second))
	}
	return s
}

func wantSeconds(t *testing.T, e *engine, begin time.Time, want ...int) {
	t.Helper()
	got := seconds(e, begin)
	if len(got) != len(want) {
		t.Fatalf("canaries at %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("canaries at %v, want %v", got, want)
		}
	}
}

func TestCanaryTimes(t *testing.T) {
	tests := []struct {
		name   string
		engine *engine
		want   []int
	}{
		{"up", &engine{}, []int{0, 60, 120}},
		{"dead", &engine{err: errRefused}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
		{"blind", &engine{blind: true}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
		{"failing", &engine{canary: errors.New("out of memory")}, []int{0, 1, 3, 7, 15, 31, 61, 91, 121}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := withCanary(tt.engine)
				cfg.CanaryInterval = time.Minute
				begin := time.Now()
				u := New(cfg)
				run(t, u)
				time.Sleep(125 * time.Second)
				wantSeconds(t, tt.engine, begin, tt.want...)
			})
		})
	}
}

// TestCanarySooner checks that a dead node and a timeout bring the canary
// forward, and a pass the regular interval back.
func TestCanarySooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		begin := time.Now()
		u := New(withCanary(e))
		run(t, u)
		time.Sleep(20 * time.Second)
		e.set(func(e *engine) { e.err = errRefused })
		u.Scan(t.Context(), content("x"), false)
		synctest.Wait() // checked immediately, and again after a second
		e.set(func(e *engine) { e.err = nil })
		time.Sleep(10 * time.Second)
		e.set(func(e *engine) { e.gate = make(chan struct{}) })
		u.Scan(t.Context(), content("x"), false) // slow from 32 on, until 40
		synctest.Wait()
		wantSeconds(t, e, begin, 0, 20, 21, 32, 40)
		time.Sleep(5*time.Minute + time.Second)
		wantSeconds(t, e, begin, 0, 20, 21, 32, 40, 340)
	})
}

// TestCanarySlot checks that a canary goes to the head of the queue, takes no
// slot beyond MaxScans, and says nothing about a node that has none for it.
func TestCanarySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		cfg := withCanary(e)
		cfg.MaxScans, cfg.CanaryInterval, cfg.Timeout = 1, time.Minute, 10*time.Second
		begin := time.Now()
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		time.Sleep(55 * time.Second)
		thaw := make(chan struct{})
		e.set(func(e *engine) {
			e.answer = func(context.Context, backends.Object) (backends.Result, error) {
				<-thaw
				return backends.Clean(0), nil
			}
		})
		u.Scan(t.Context(), content("hung"), false) // until 65
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				r := u.Scan(within(t, time.Minute), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
			})
		}
		time.Sleep(14 * time.Second)
		wantSeconds(t, e, begin, 0)
		wantState(t, u, "up") // the canary got no slot until 70
		close(thaw)
		wg.Wait()
		synctest.Wait()
		wantSeconds(t, e, begin, 0, 79)
		if e.most != 1 || e.before[1] != 1 {
			t.Errorf("%d at once, %d scans before the canary", e.most, e.before[1])
		}
		wantIdle(t, u)
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
		u := New(cfg)
		defer u.Close()
		r := u.Scan(within(t, 5*time.Second), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		time.Sleep(cfg.Timeout) // the check itself goes on until its time is up
		if n := cfg.Spool.Stats().Contents; n != 1 {
			t.Errorf("%d objects in the spool, want that of the hung backend", n)
		}
		close(thaw)
		synctest.Wait()
		if n := cfg.Spool.Stats().Contents; n != 0 {
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
		u := New(cfg)
		run(t, u)
		time.Sleep(10 * time.Minute)
		if n := cfg.Spool.Stats().Contents; n < 3 || n > 4 { // one may be waiting for a slot
			t.Errorf("%d objects in the spool", n)
		}
		wantState(t, u, "down")
		close(thaw)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantState(t, u, "down") // it answers, but does not detect
		wantIdle(t, u)
		if n := cfg.Spool.Stats().Contents; n != 0 {
			t.Errorf("%d objects in the spool", n)
		}
	})
}
