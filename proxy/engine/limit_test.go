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

// TestLimitOfNode checks what lowers the limit of a node, what raises it, and that
// scans keep to it while a health check does not have to.
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
		{name: "a short deadline of the client's", hang: true, deadline: 2 * time.Second, want: 4},
		{name: "no reply", err: backends.ErrNoReply, want: 4},
		{name: "the engine is busy", err: &backends.Failure{Category: backends.CannotExecute, Code: 503, Busy: true}, want: 4},
		{name: "refused", err: errRefused, want: 8},
		{name: "engine's own error", err: &backends.Failure{Category: backends.SWErr, Text: "x"}, want: 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &engine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
					if tt.hang {
						<-ctx.Done()
						return backends.Result{}, ctx.Err()
					}
					time.Sleep(time.Second)
					return backends.Result{}, tt.err
				}}
				cfg := config(e)
				cfg.MaxScans = 8
				u := New(cfg)
				defer u.Close()
				ctx := t.Context()
				if tt.deadline > 0 {
					ctx = within(t, tt.deadline)
				}
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() { u.Scan(ctx, content("x"), false) })
				}
				wg.Wait()
				got := u.nodeSlots(0)
				if got != tt.want {
					t.Errorf("%d slots, want %d", got, tt.want)
				}
				if s := u.Status().Nodes[0].Limit; (s != 0) != (got < 8) || s != 0 && s != got {
					t.Errorf("the status says %d", s)
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

// TestLimitHolds checks that scans keep to a lowered limit, that a health check is not
// held up by it, and that good answers raise it.
func TestLimitHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		cfg := config(e)
		cfg.MaxScans = 8
		u := New(cfg)
		defer u.Close()
		u.mu.Lock()
		for range 2 {
			u.nodes[0].limit.Lower(cfg.MaxScans, u.nodes[0].limit.Round())
		}
		u.mu.Unlock()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { u.Scan(t.Context(), content("x"), false) })
		}
		synctest.Wait()
		if s := u.Status(); s.Nodes[0].InFlight != 2 || s.Waiting != 18 || s.Nodes[0].Limit != 2 {
			t.Errorf("status %+v", s)
		}
		check := newTicket()
		check.Only = u.nodes[0]
		if n, err := u.acquire(t.Context(), check); n == nil || err != nil {
			t.Errorf("the health check has no slot: %v", err)
		}
		for range 5 {
			e.gate <- struct{}{}
			synctest.Wait()
		}
		u.mu.Lock()
		u.giveBack(u.nodes[0], check.grant)
		u.mu.Unlock()
		if s := u.Status(); s.Nodes[0].Limit != 4 || s.Nodes[0].InFlight != 4 {
			t.Errorf("after five answers: %+v", s.Nodes[0])
		}
		close(e.gate)
		wg.Wait()
		if got := u.nodeSlots(0); got != 7 { // after 4 + 5 + 6 more
			t.Errorf("%d slots at the end", got)
		}
		wantIdle(t, u)
	})
}

// crowded is an engine with a number of threads and a queue. As clamd does, it scans
// what its client has given up too.
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

// TestSettle has five daemons with ten slots each use one engine of ten threads, which
// takes 4 s for an object where 10 s are allowed: 50 at the same time would take 20 s.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowded{threads: make(chan struct{}, 10), takes: 4 * time.Second}
		ctx, cancel := context.WithCancel(t.Context())
		var pools []*Engine
		var answered, late atomic.Int64
		var wg sync.WaitGroup
		for range 5 {
			u := New(config(c))
			defer u.Close()
			pools = append(pools, u)
			for range 20 {
				wg.Go(func() {
					for ctx.Err() == nil {
						r := u.Scan(ctx, content("x"), false)
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
			for _, u := range pools {
				slots = append(slots, u.nodeSlots(0))
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
		time.Sleep(time.Minute) // for what the engine still scans
	})
}

// TestSlowObject checks that an object that always times out does no lasting harm to
// the others.
func TestSlowObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{answer: func(ctx context.Context, o backends.Object) (backends.Result, error) {
			if string(read(o)) == "slow" {
				<-ctx.Done()
				return backends.Result{}, ctx.Err()
			}
			time.Sleep(100 * time.Millisecond)
			return backends.Clean(0), nil
		}}
		u := New(config(e))
		defer u.Close()
		lowest := 10
		for range 20 {
			u.Scan(t.Context(), content("slow"), false)
			lowest = min(lowest, u.nodeSlots(0))
			for range 60 {
				u.Scan(t.Context(), content("x"), false)
			}
			if got := u.nodeSlots(0); got != 10 {
				t.Errorf("%d slots after 60 good answers", got)
			}
		}
		if lowest != 5 {
			t.Errorf("lowest limit %d", lowest)
		}
	})
}
