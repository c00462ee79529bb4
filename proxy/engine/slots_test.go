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

// TestSlotsFIFO checks that MaxScans holds and that who came first is first.
func TestSlotsFIFO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{}), begun: make(chan string, 20)}
		cfg := config(e)
		cfg.MaxScans = 2
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { u.Scan(t.Context(), content(fmt.Sprint(i)), false) })
			synctest.Wait() // it has a slot or its place
		}
		if s := u.Status(); s.Waiting != 18 || s.Nodes[0].InFlight != 2 {
			t.Errorf("status %+v", s)
		}
		for i := range 20 {
			if got := <-e.begun; got != fmt.Sprint(i) {
				t.Errorf("scan %s began as number %d", got, i)
			}
			if i > 0 { // two are there before the first is done
				e.gate <- struct{}{}
			}
			synctest.Wait()
		}
		e.gate <- struct{}{}
		wg.Wait()
		if e.most != 2 {
			t.Errorf("%d scans at once", e.most)
		}
		wantIdle(t, u)
	})
}

// TestSlotWaitEnds has scans give up in the queue, by deadline and by
// cancellation; their places are not lost to others.
func TestSlotWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		cfg := config(e)
		cfg.MaxScans, cfg.Timeout = 1, time.Minute
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		wg.Go(func() { u.Scan(t.Context(), content("holder"), false) })
		synctest.Wait()

		wg.Go(func() {
			r := u.Scan(within(t, 3*time.Second), content("x"), false)
			var f *backends.Failure
			if !errors.As(r.Err, &f) || f.Category != backends.Interrupted || f.Code != backends.NoCode || f.Text != "no free slot within 3s (keys max_scans, timeout)" {
				t.Errorf("error %#v", r.Err)
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(2*time.Second, cancel)
			begin := time.Now()
			r := u.Scan(ctx, content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if took := time.Since(begin); took != 2*time.Second {
				t.Errorf("cancelled after %v", took)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			r := u.Scan(within(t, time.Minute), content("patient"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		})
		time.Sleep(5 * time.Second)
		if s := u.Status(); s.Waiting != 1 {
			t.Errorf("%d waiting", s.Waiting)
		}
		close(e.gate)
		wg.Wait()
		wantIdle(t, u)
		if e.asked() != 2 {
			t.Errorf("%d scans", e.asked())
		}
	})
}

// TestSlotWaitBound checks that a caller without a deadline does not wait for
// ever, and that the wait is not taken off the engine's time.
func TestSlotWaitBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		cfg := config(e)
		cfg.MaxScans = 1
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		wg.Go(func() { u.Scan(t.Context(), content("holder"), false) })
		synctest.Wait()
		time.Sleep(5 * time.Second)
		wg.Go(func() {
			begin := time.Now()
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if took := time.Since(begin); took != 15*time.Second { // 5 s for a slot, then all of Timeout
				t.Errorf("took %v", took)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			begin := time.Now()
			r := u.Scan(t.Context(), content("y"), false)
			if r.Err == nil || !strings.Contains(r.Err.Error(), "no free slot within 10s") || time.Since(begin) != 10*time.Second {
				t.Errorf("error %v after %v", r.Err, time.Since(begin))
			}
		})
		wg.Wait()
		wantIdle(t, u)
	})
}

// TestPick checks that the node with the fewest in flight is asked, by turns
// among equals, and that a waiting scan takes whatever node is free first.
func TestPick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var engines []*engine
		var bs []backends.Backend
		for range 3 {
			e := &engine{gate: make(chan struct{})}
			engines, bs = append(engines, e), append(bs, e)
		}
		cfg := config(bs...)
		cfg.MaxScans, cfg.Timeout = 2, time.Minute
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		nodes := make(chan string, 10)
		start := func(n int) {
			for range n {
				wg.Go(func() { nodes <- u.Scan(t.Context(), content("x"), false).Node })
				synctest.Wait()
			}
		}
		wantAsked := func(want ...int) {
			t.Helper()
			for i, e := range engines {
				if e.asked() != want[i] {
					t.Errorf("node %d was asked %d times, want %d", i, e.asked(), want[i])
				}
			}
		}
		start(3)
		wantAsked(1, 1, 1)
		engines[1].gate <- struct{}{}
		<-nodes
		start(1)
		wantAsked(1, 2, 1) // it alone was idle
		start(3)
		wantAsked(2, 3, 2) // all are full
		start(1)
		engines[2].gate <- struct{}{}
		synctest.Wait()
		wantAsked(2, 3, 3)
		if n := <-nodes; n != "c" {
			t.Errorf("node %s", n)
		}
		for _, e := range engines {
			close(e.gate)
		}
		wg.Wait()
		wantIdle(t, u)
	})
}

// TestReplay has nodes fail; the content goes on to the next one while there is
// one, each being asked once.
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
			var engines []*engine
			var bs []backends.Backend
			for _, err := range tt.errs {
				e := &engine{err: err}
				engines, bs = append(engines, e), append(bs, e)
			}
			u := New(config(bs...))
			defer u.Close()
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, tt.want)
			if r.Node != tt.node {
				t.Errorf("node %q, want %q", r.Node, tt.node)
			}
			s := u.Status()
			replays, total := 0, 0
			for i, e := range engines {
				c := s.Nodes[i].Counters
				if e.asked() != tt.asked[i] || c.Scans != uint64(tt.asked[i]) {
					t.Errorf("node %d was asked %d times, counted %d, want %d", i, e.asked(), c.Scans, tt.asked[i])
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
			wantIdle(t, u)
		})
	}
}

// TestReplayWaits checks that a scan whose node died waits for a slot on the
// other, and reports the death if it gets none.
func TestReplayWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, busy := &engine{err: errRefused}, &engine{gate: make(chan struct{})}
		cfg := config(dead, busy)
		cfg.MaxScans, cfg.Timeout = 1, 5*time.Second
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			r := u.Scan(t.Context(), content("one"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
		})
		synctest.Wait()
		if busy.asked() != 1 {
			t.Fatal("the first scan is not on the other node")
		}
		time.Sleep(2 * time.Second) // the dead node may be tried again
		begin := time.Now()
		ctx := within(t, 2*time.Second)
		r := u.Scan(ctx, content("two"), false)
		wantCategory(t, r.Result, r.Err, backends.CannotExecute)
		if took := time.Since(begin); took != 2*time.Second || r.Node != "a" {
			t.Errorf("node %s after %v", r.Node, took)
		}
		wg.Wait()
		wantIdle(t, u)
	})
}
