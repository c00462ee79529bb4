package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestSlotsFIFO checks MaxScans, and that the scans of a client are served in order.
func TestSlotsFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{}), begun: make(chan string, 20)}
		cfg := config(f)
		cfg.MaxScans = 2
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { e.Scan(t.Context(), text(fmt.Sprint(i)), false) })
			synctest.Wait() // it has a slot or is queued
		}
		if s := e.Status(); s.Waiting != 18 || s.Nodes[0].InFlight != 2 {
			t.Errorf("status %+v", s)
		}
		for i := range 20 {
			if got := <-f.begun; got != fmt.Sprint(i) {
				t.Errorf("scan %s began as number %d", got, i)
			}
			if i > 0 { // two are running before the first one ends
				f.gate <- struct{}{}
			}
			synctest.Wait()
		}
		f.gate <- struct{}{}
		wg.Wait()
		if f.most != 2 {
			t.Errorf("%d scans together", f.most)
		}
		wantIdle(t, e)
	})
}

// TestSlotWaitEnds has scans leave the queue by deadline and by cancellation. The others
// move up.
func TestSlotWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		cfg := config(f)
		cfg.MaxScans, cfg.Timeout = 1, time.Minute
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		wg.Go(func() { e.Scan(t.Context(), text("holder"), false) })
		synctest.Wait()

		wg.Go(func() {
			r := e.Scan(within(t, 3*time.Second), text("x"), false)
			var f *backends.Failure
			if !errors.As(r.Err, &f) || f.Category != backends.Interrupted || f.Code != backends.NoCode || f.Text != "no free slot within 3s (keys max_scans, timeout)" {
				t.Errorf("error %#v", r.Err)
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(2*time.Second, cancel)
			begin := time.Now()
			r := e.Scan(ctx, text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if took := time.Since(begin); took != 2*time.Second {
				t.Errorf("canceled after %v", took)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			r := e.Scan(within(t, time.Minute), text("patient"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		})
		time.Sleep(5 * time.Second)
		if s := e.Status(); s.Waiting != 1 {
			t.Errorf("%d waiting", s.Waiting)
		}
		close(f.gate)
		wg.Wait()
		wantIdle(t, e)
		if f.asked() != 2 {
			t.Errorf("%d scans", f.asked())
		}
	})
}

// TestSlotWaitBound checks that a caller without a deadline does not wait forever, and that
// its wait does not shorten the engine's time.
func TestSlotWaitBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		cfg := config(f)
		cfg.MaxScans = 1
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		wg.Go(func() { e.Scan(t.Context(), text("holder"), false) })
		synctest.Wait()
		time.Sleep(5 * time.Second)
		wg.Go(func() {
			begin := time.Now()
			r := e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if took := time.Since(begin); took != 15*time.Second { // 5 s for a slot, then the whole Timeout
				t.Errorf("took %v", took)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			begin := time.Now()
			r := e.Scan(t.Context(), text("y"), false)
			if r.Err == nil || !strings.Contains(r.Err.Error(), "no free slot within 10s") || time.Since(begin) != 10*time.Second {
				t.Errorf("error %v after %v", r.Err, time.Since(begin))
			}
		})
		wg.Wait()
		wantIdle(t, e)
	})
}

// TestPick checks that a scan goes to the node with the fewest in flight, by turns among
// equals, and that a waiting scan takes the first node that is free.
func TestPick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var engines []*fakeEngine
		var bs []backends.Backend
		for range 3 {
			f := &fakeEngine{gate: make(chan struct{})}
			engines, bs = append(engines, f), append(bs, f)
		}
		cfg := config(bs...)
		cfg.MaxScans, cfg.Timeout = 2, time.Minute
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		nodes := make(chan string, 10)
		start := func(n int) {
			for range n {
				wg.Go(func() { nodes <- e.Scan(t.Context(), text("x"), false).Node })
				synctest.Wait()
			}
		}
		wantAsked := func(want ...int) {
			t.Helper()
			for i, f := range engines {
				if f.asked() != want[i] {
					t.Errorf("node %d was asked %d times, want %d", i, f.asked(), want[i])
				}
			}
		}
		start(3)
		wantAsked(1, 1, 1)
		engines[1].gate <- struct{}{}
		<-nodes
		start(1)
		wantAsked(1, 2, 1) // only this one was idle
		start(3)
		wantAsked(2, 3, 2) // all are full
		start(1)
		engines[2].gate <- struct{}{}
		synctest.Wait()
		wantAsked(2, 3, 3)
		if n := <-nodes; n != "c" {
			t.Errorf("node %s", n)
		}
		for _, f := range engines {
			close(f.gate)
		}
		wg.Wait()
		wantIdle(t, e)
	})
}

// TestReplay has nodes fail: the object goes to the next one while there is one, and to
// each node once.
func TestReplay(t *testing.T) {
	own := &backends.Failure{Category: backends.SWErr, Code: 7, Text: "Can't allocate memory"}
	tests := []struct {
		name  string
		errs  []error // of the nodes; nil: works
		want  backends.Category
		node  string
		asked []int
	}{
		{"first works", []error{nil, errRefused}, backends.OK, "a", []int{1, 0}},
		{"dead", []error{errRefused, nil}, backends.OK, "b", []int{1, 1}},
		{"no reply", []error{backends.ErrNoReply, nil}, backends.OK, "b", []int{1, 1}},
		{"engine's own error", []error{own, nil}, backends.OK, "b", []int{1, 1}},
		{"engine's own timeout", []error{context.DeadlineExceeded, nil}, backends.OK, "b", []int{1, 1}},
		{"two dead", []error{errRefused, own, nil}, backends.OK, "c", []int{1, 1, 1}},
		{"all fail", []error{errRefused, errRefused, own}, backends.SWErr, "c", []int{1, 1, 1}},
		{"all dead", []error{own, own, errRefused}, backends.CannotExecute, "c", []int{1, 1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var engines []*fakeEngine
				var bs []backends.Backend
				for _, err := range tt.errs {
					f := &fakeEngine{err: err}
					engines, bs = append(engines, f), append(bs, f)
				}
				e := New(config(bs...))
				defer e.Close()
				r := e.Scan(t.Context(), text("x"), false)
				wantCategory(t, r.Result, r.Err, tt.want)
				if r.Node != tt.node {
					t.Errorf("node %q, want %q", r.Node, tt.node)
				}
				s := e.Status()
				replays, total := 0, 0
				for i, f := range engines {
					c := s.Nodes[i].Counters
					if f.asked() != tt.asked[i] || c.Scans != uint64(tt.asked[i]) {
						t.Errorf("node %d was asked %d times, counted %d, want %d", i, f.asked(), c.Scans, tt.asked[i])
					}
					if (tt.errs[i] != nil && tt.asked[i] > 0) != (c.Failures == 1) {
						t.Errorf("node %d has %d failures", i, c.Failures)
					}
					replays += int(c.Replays)
					total += tt.asked[i]
				}
				if replays != total-1 || s.Counters.Replays != uint64(total-1) || s.Counters.Scans != 1 {
					t.Errorf("%d replays, counters %+v, want %d", replays, s.Counters, total-1)
				}
				wantIdle(t, e)
			})
		})
	}
}

// TestReplayWaits checks that a scan whose node died waits for a slot on the other one, and
// reports that death if it gets none.
func TestReplayWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, busy := &fakeEngine{err: errRefused}, &fakeEngine{gate: make(chan struct{})}
		cfg := config(dead, busy)
		cfg.MaxScans, cfg.Timeout = 1, 5*time.Second
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			wantScan(t, e, "one", backends.Interrupted)
		})
		synctest.Wait()
		if busy.asked() != 1 {
			t.Fatal("the first scan is not on the other node")
		}
		time.Sleep(2 * time.Second) // the dead node is tried again
		begin := time.Now()
		ctx := within(t, 2*time.Second)
		r := e.Scan(ctx, text("two"), false)
		wantCategory(t, r.Result, r.Err, backends.CannotExecute)
		if took := time.Since(begin); took != 2*time.Second || r.Node != "a" {
			t.Errorf("node %s after %v", r.Node, took)
		}
		wg.Wait()
		wantIdle(t, e)
	})
}
