package engine

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/client"
	"polyclam/proxy/engine/internal/queue"
)

// as returns a context of the client with that user id.
func as(ctx context.Context, user uint32) context.Context {
	return client.NewContext(ctx, client.User(user))
}

// TestFairness has ten clients with 10 to 100 concurrent scans share two nodes with ten
// slots each: all clients get the same number of answers.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepy := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
			time.Sleep(time.Duration(50+rand.IntN(100)) * time.Millisecond)
			return backends.Clean(0), nil
		})
		e := New(config(sleepy, sleepy))
		defer e.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var done [10]atomic.Int64
		var wg sync.WaitGroup
		for i := range done {
			for range 10 * (i + 1) {
				wg.Go(func() {
					for ctx.Err() == nil {
						if e.Scan(as(ctx, uint32(i)), text("x"), false).Err == nil {
							done[i].Add(1)
						}
					}
				})
			}
		}
		time.Sleep(time.Minute)
		cancel()
		wg.Wait()
		time.Sleep(time.Second) // until the last backends have returned
		least, most, sum := done[0].Load(), int64(0), int64(0)
		for i := range done {
			n := done[i].Load()
			least, most, sum = min(least, n), max(most, n), sum+n
		}
		t.Logf("%d answers, max/min %.3f", sum, float64(most)/float64(least))
		if float64(most) > 1.02*float64(least) {
			t.Errorf("between %d and %d answers for each client", least, most)
		}
		wantIdle(t, e)
	})
}

// TestReserve checks that a single client gets all slots, and that one slot of ten is kept
// back while there are others.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		cfg := config(f)
		cfg.Timeout = time.Hour
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		start := func(user uint32, n int) {
			for range n {
				wg.Go(func() { e.Scan(as(t.Context(), user), text("x"), false) })
			}
			synctest.Wait()
		}
		want := func(what string, busy, held, waiting int) {
			t.Helper()
			s := e.Status()
			e.mu.Lock()
			got := e.nodes[0].held[client.User(1)]
			e.mu.Unlock()
			if s.Nodes[0].InFlight != busy || got != held || s.Waiting != waiting {
				t.Errorf("%s: %d in flight, %d of them the first client's, %d waiting; want %d, %d, %d",
					what, s.Nodes[0].InFlight, got, s.Waiting, busy, held, waiting)
			}
		}
		finish := func(n int) {
			for range n {
				f.gate <- struct{}{}
				synctest.Wait()
			}
		}
		start(1, 30)
		want("one client", 10, 10, 20)
		start(2, 1)
		want("a second client", 10, 10, 21)
		finish(1)
		want("its turn", 10, 9, 20)
		finish(10) // the oldest scans first, so the second client's is the last
		want("one slot is kept back", 9, 9, 11)
		start(3, 1)
		want("a third client", 10, 9, 11)
		time.Sleep(queue.Lately + time.Second) // no client has asked
		finish(1)
		want("one client again", 10, 9, 10)
		finish(9)
		want("all slots", 10, 10, 1)
		close(f.gate)
		wg.Wait()
		wantIdle(t, e)
	})
}

// TestReserveEnds checks that the oldest ticket gets the slot that was kept back when a new
// ticket shows that there is only one client.
func TestReserveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{}), begun: make(chan string, 100)}
		cfg := config(f)
		cfg.Timeout = time.Hour
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		scan := func(user uint32, name string) {
			wg.Go(func() { e.Scan(as(t.Context(), user), text(name), false) })
			synctest.Wait()
		}
		scan(2, "other")
		for range 9 {
			scan(1, "x")
		}
		scan(1, "old")
		f.gate <- struct{}{} // ends the second client's scan
		synctest.Wait()
		time.Sleep(queue.Lately + time.Second)
		for range 10 {
			<-f.begun
		}
		scan(1, "new")
		if got := <-f.begun; got != "old" {
			t.Errorf("%q has the slot", got)
		}
		close(f.gate)
		wg.Wait()
		wantIdle(t, e)
	})
}

// TestVanished checks that the scans of a client that is gone leave the queue and reach no
// engine.
func TestVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		cfg := config(f)
		cfg.MaxScans, cfg.Timeout = 1, time.Minute
		e := New(cfg)
		defer e.Close()
		var wg sync.WaitGroup
		wg.Go(func() { e.Scan(as(t.Context(), 0), text("x"), false) })
		synctest.Wait()
		gone, leave := context.WithCancelCause(as(t.Context(), 1))
		for range 3000 {
			wg.Go(func() {
				r := e.Scan(gone, text("x"), false)
				wantCategory(t, r.Result, r.Err, backends.Interrupted)
			})
		}
		synctest.Wait()
		wg.Go(func() {
			r := e.Scan(as(t.Context(), 2), text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		})
		synctest.Wait()
		leave(CalledOff("the client is gone"))
		synctest.Wait()
		if s := e.Status(); s.Waiting != 1 {
			t.Errorf("%d waiting", s.Waiting)
		}
		close(f.gate)
		wg.Wait()
		if f.asked() != 2 {
			t.Errorf("%d scans", f.asked())
		}
		wantIdle(t, e)
	})
}
