package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestLimitOfNode checks what lowers the limit of a node.
func TestLimitOfNode(t *testing.T) {
	tests := []struct {
		name     string
		err      error
		hang     bool
		deadline time.Duration
		want     int
	}{
		{name: "timeout", hang: true, want: 4},
		{name: "the client's deadline", hang: true, deadline: 3 * time.Second, want: 4},
		{name: "the client's short deadline", hang: true, deadline: 2 * time.Second, want: 4},
		{name: "no reply", err: backends.ErrNoReply, want: 4},
		{name: "the engine is busy", err: &backends.Failure{Category: backends.CannotExecute, Code: 503, Busy: true}, want: 4},
		{name: "refused", err: errRefused, want: 8},
		{name: "engine's own error", err: &backends.Failure{Category: backends.SWErr, Text: "x"}, want: 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeEngine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
					if tt.hang {
						<-ctx.Done()
						return backends.Result{}, ctx.Err()
					}
					time.Sleep(time.Second)
					return backends.Result{}, tt.err
				}}
				cfg := config(f)
				cfg.MaxScans = 8
				e := New(cfg)
				defer e.Close()
				ctx := t.Context()
				if tt.deadline > 0 {
					ctx = within(t, tt.deadline)
				}
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() { e.Scan(ctx, text("x"), false) })
				}
				wg.Wait()
				got := e.nodeSlots(0)
				if got != tt.want {
					t.Errorf("%d slots, want %d", got, tt.want)
				}
				if s := e.Status().Nodes[0].Limit; (s != 0) != (got < 8) || s != 0 && s != got {
					t.Errorf("limit %d in the status", s)
				}
			})
		})
	}
}

func (p *pool) nodeSlots(i int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodes[i].limit.Slots(p.config().MaxScans)
}

// TestLimitHolds checks that scans keep to a lowered limit, that a health check need not,
// and that answers in time raise it.
func TestLimitHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		cfg := config(f)
		cfg.MaxScans = 8
		e := New(cfg)
		defer e.Close()
		e.mu.Lock()
		for range 2 {
			e.nodes[0].limit.Lower(cfg.MaxScans, e.nodes[0].limit.Round())
		}
		e.mu.Unlock()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { e.Scan(t.Context(), text("x"), false) })
		}
		synctest.Wait()
		if s := e.Status(); s.Nodes[0].InFlight != 2 || s.Waiting != 18 || s.Nodes[0].Limit != 2 {
			t.Errorf("status %+v", s)
		}
		check := newTicket()
		check.Only = e.nodes[0]
		if n, err := e.acquire(t.Context(), check); n == nil || err != nil {
			t.Errorf("the health check got no slot: %v", err)
		}
		for range 5 {
			f.gate <- struct{}{}
			synctest.Wait()
		}
		e.mu.Lock()
		e.giveBack(e.nodes[0], check.grant)
		e.mu.Unlock()
		if s := e.Status(); s.Nodes[0].Limit != 4 || s.Nodes[0].InFlight != 4 {
			t.Errorf("after five answers: %+v", s.Nodes[0])
		}
		close(f.gate)
		wg.Wait()
		if got := e.nodeSlots(0); got != 7 { // after 4 + 5 + 6 more answers
			t.Errorf("%d slots at the end", got)
		}
		wantIdle(t, e)
	})
}

// crowded is an engine with a limited number of threads and a queue. Like clamd, it also scans what
// its client has given up on.
type crowded struct {
	threads chan struct{}
	takes   time.Duration
	running atomic.Int64
	most    atomic.Int64
}

func (c *crowded) Scan(ctx context.Context, _ backends.Object) (backends.Result, error) {
	done := make(chan struct{})
	n := c.running.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	go func() {
		defer c.running.Add(-1)
		c.threads <- struct{}{}
		time.Sleep(c.takes)
		<-c.threads
		close(done)
	}()
	select {
	case <-done:
		return backends.Clean(0), nil
	case <-ctx.Done():
		return backends.Result{}, ctx.Err()
	}
}

// TestSettle has five daemons with ten slots each share an engine with ten threads. It
// takes 4 s for an object, the timeout is 10 s: 50 scans together would take 20 s.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowded{threads: make(chan struct{}, 10), takes: 4 * time.Second}
		ctx, cancel := context.WithCancel(t.Context())
		var pools []*Engine
		var answered, late atomic.Int64
		var wg sync.WaitGroup
		for range 5 {
			e := New(config(c))
			defer e.Close()
			pools = append(pools, e)
			for range 20 {
				wg.Go(func() {
					for ctx.Err() == nil {
						r := e.Scan(ctx, text("x"), false)
						switch {
						case r.Err == nil:
							answered.Add(1)
						case errors.Is(r.Err, context.DeadlineExceeded):
							late.Add(1)
						default:
							time.Sleep(time.Second)
						}
					}
				})
			}
		}
		for minute := range 10 {
			answered.Store(0)
			late.Store(0)
			c.most.Store(0)
			time.Sleep(time.Minute)
			var slots []int
			for _, e := range pools {
				slots = append(slots, e.nodeSlots(0))
			}
			t.Logf("minute %d: %d answered, %d timed out, at most %d at the engine, slots %v",
				minute+1, answered.Load(), late.Load(), c.most.Load(), slots)
			if minute >= 2 && late.Load() > 0 {
				t.Errorf("minute %d: %d timeouts", minute+1, late.Load())
			}
			if minute >= 2 && answered.Load() < 130 { // of 150
				t.Errorf("minute %d: only %d answers", minute+1, answered.Load())
			}
		}
		cancel()
		wg.Wait()
		time.Sleep(time.Minute) // the engine finishes
	})
}

// TestSlowObject checks that an object that always times out does not lower the limit for
// long.
func TestSlowObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{answer: func(ctx context.Context, o backends.Object) (backends.Result, error) {
			if string(read(o)) == "slow" {
				<-ctx.Done()
				return backends.Result{}, ctx.Err()
			}
			time.Sleep(100 * time.Millisecond)
			return backends.Clean(0), nil
		}}
		e := New(config(f))
		defer e.Close()
		lowest := 10
		for range 20 {
			e.Scan(t.Context(), text("slow"), false)
			lowest = min(lowest, e.nodeSlots(0))
			for range 60 {
				e.Scan(t.Context(), text("x"), false)
			}
			if got := e.nodeSlots(0); got != 10 {
				t.Errorf("%d slots after 60 answers", got)
			}
		}
		if lowest != 5 {
			t.Errorf("lowest limit %d", lowest)
		}
	})
}
