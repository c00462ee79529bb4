package engine

import (
	"context"
	"errors"
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

// as is a context of the client with that user id.
func as(ctx context.Context, user uint32) context.Context {
	return client.NewContext(ctx, client.User(user))
}

// TestFairness has ten clients with 10 to 100 scans under way each ask two nodes of ten
// slots: they all get the same number of answers.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepy := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
			time.Sleep(time.Duration(50+rand.IntN(100)) * time.Millisecond)
			return backends.Clean(0), nil
		})
		u := New(config(sleepy, sleepy))
		defer u.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var done [10]atomic.Int64
		var wg sync.WaitGroup
		for i := range done {
			for range 10 * (i + 1) {
				wg.Go(func() {
					for ctx.Err() == nil {
						if u.Scan(as(ctx, uint32(i)), content("x"), false).Err == nil {
							done[i].Add(1)
						}
					}
				})
			}
		}
		time.Sleep(time.Minute)
		cancel()
		wg.Wait()
		time.Sleep(time.Second) // for backends that have not returned yet
		least, most, sum := done[0].Load(), int64(0), int64(0)
		for i := range done {
			n := done[i].Load()
			least, most, sum = min(least, n), max(most, n), sum+n
		}
		t.Logf("%d answers, max/min %.3f", sum, float64(most)/float64(least))
		if float64(most) > 1.02*float64(least) {
			t.Errorf("between %d and %d answers for each client", least, most)
		}
		wantIdle(t, u)
	})
}

// TestReserve checks that a client alone gets all slots, and that one slot of ten is
// kept for others as long as there are any.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		cfg := config(e)
		cfg.Timeout = time.Hour
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		start := func(user uint32, n int) {
			for range n {
				wg.Go(func() { u.Scan(as(t.Context(), user), content("x"), false) })
			}
			synctest.Wait()
		}
		want := func(what string, busy, held, waiting int) {
			t.Helper()
			s := u.Status()
			u.mu.Lock()
			got := u.nodes[0].held[client.User(1)]
			u.mu.Unlock()
			if s.Nodes[0].InFlight != busy || got != held || s.Waiting != waiting {
				t.Errorf("%s: %d in flight, %d of the first client, %d waiting; want %d, %d, %d",
					what, s.Nodes[0].InFlight, got, s.Waiting, busy, held, waiting)
			}
		}
		finish := func(n int) {
			for range n {
				e.gate <- struct{}{}
				synctest.Wait()
			}
		}
		start(1, 30)
		want("alone", 10, 10, 20)
		start(2, 1)
		want("another comes", 10, 10, 21)
		finish(1)
		want("its turn", 10, 9, 20)
		finish(10) // the oldest first, so the other's is the last
		want("one slot is kept", 9, 9, 11)
		start(3, 1)
		want("for anybody else", 10, 9, 11)
		time.Sleep(queue.Lately + time.Second) // no client has asked
		finish(1)
		want("alone again", 10, 9, 10)
		finish(9)
		want("all slots", 10, 10, 1)
		close(e.gate)
		wg.Wait()
		wantIdle(t, u)
	})
}

// TestReserveEnds checks that the oldest ticket takes the slot that was kept, when a new
// one shows that it no longer is.
func TestReserveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{}), begun: make(chan string, 100)}
		cfg := config(e)
		cfg.Timeout = time.Hour
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		scan := func(user uint32, name string) {
			wg.Go(func() { u.Scan(as(t.Context(), user), content(name), false) })
			synctest.Wait()
		}
		scan(2, "other")
		for range 9 {
			scan(1, "x")
		}
		scan(1, "old")
		e.gate <- struct{}{} // the other's
		synctest.Wait()
		time.Sleep(queue.Lately + time.Second)
		for range 10 {
			<-e.begun
		}
		scan(1, "new")
		if got := <-e.begun; got != "old" {
			t.Errorf("%q has the slot", got)
		}
		close(e.gate)
		wg.Wait()
		wantIdle(t, u)
	})
}

// TestVanished checks that scans of clients that are gone leave the queue and are not
// scanned.
func TestVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		cfg := config(e)
		cfg.MaxScans, cfg.Timeout = 1, time.Minute
		u := New(cfg)
		defer u.Close()
		var wg sync.WaitGroup
		wg.Go(func() { u.Scan(as(t.Context(), 0), content("x"), false) })
		synctest.Wait()
		gone, leave := context.WithCancelCause(as(t.Context(), 1))
		for range 3000 {
			wg.Go(func() {
				r := u.Scan(gone, content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.Interrupted)
			})
		}
		synctest.Wait()
		wg.Go(func() {
			r := u.Scan(as(t.Context(), 2), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		})
		synctest.Wait()
		leave(CalledOff("the client is gone"))
		synctest.Wait()
		if s := u.Status(); s.Waiting != 1 {
			t.Errorf("%d waiting", s.Waiting)
		}
		close(e.gate)
		wg.Wait()
		if e.asked() != 2 {
			t.Errorf("%d scans", e.asked())
		}
		wantIdle(t, u)
	})
}

// wantNoneIdle checks that no ticket in the queue could take a slot that is free.
func wantNoneIdle(t *testing.T, u *Engine) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, waits := range u.queue.Heads() {
		for _, n := range u.nodes {
			if u.eligible(waits, n) && u.hasRoom(waits, n) {
				t.Errorf("a ticket of %v waits although node %s has a slot", waits.Client, n.address)
			}
		}
	}
}

// TestQueueStress has clients come and go, and nodes up and down, and looks at the
// queue all the while.
func TestQueueStress(t *testing.T) {
	for _, canary := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			engines := []*engine{{}, {}, {}}
			for _, e := range engines {
				e.answer = func(ctx context.Context, o backends.Object) (backends.Result, error) {
					time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
					switch rand.IntN(10) {
					case 0:
						return backends.Result{}, errors.New("engine error")
					case 1:
						return backends.Result{}, backends.ErrNoReply
					}
					return backends.Clean(0), nil
				}
			}
			cfg := config(engines[0], engines[1], engines[2])
			cfg.Canary, cfg.MaxScans, cfg.Timeout = canary, 8, 2*time.Second
			u := New(cfg)
			run(t, u)
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			var wg sync.WaitGroup
			var scans, fine [8]atomic.Int64
			for i := range scans {
				for range 20 {
					wg.Go(func() {
						for ctx.Err() == nil {
							mine, cancel := context.WithTimeout(as(ctx, uint32(i)), time.Duration(rand.IntN(4000))*time.Millisecond)
							scans[i].Add(1)
							if u.Scan(mine, content("x"), false).Err == nil {
								fine[i].Add(1)
							}
							cancel()
							time.Sleep(20 * time.Millisecond)
						}
					})
				}
			}
			for _, e := range engines {
				wg.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(time.Duration(rand.IntN(20)) * time.Second)
						e.set(func(e *engine) { e.err = errRefused })
						time.Sleep(time.Duration(rand.IntN(4)) * time.Second)
						e.set(func(e *engine) { e.err = nil })
					}
				})
			}
			for ctx.Err() == nil {
				time.Sleep(time.Duration(1+rand.IntN(50)) * time.Millisecond)
				wantNoneIdle(t, u)
			}
			wg.Wait()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			wantIdle(t, u)
			for i := range scans {
				if n, ok := scans[i].Load(), fine[i].Load(); ok < n/100 {
					t.Errorf("client %d: %d of %d scans answered", i, ok, n)
				}
			}
			for _, e := range engines {
				if e.most > 8 {
					t.Errorf("%d scans of a node at the same time", e.most)
				}
			}
		})
	}
}

// TestGoodput has a client that asks for twice of what the engine can do, and gives up
// after ten seconds: most of what the engine does is of use to it.
func TestGoodput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{answer: func(context.Context, backends.Object) (backends.Result, error) {
			time.Sleep(time.Second) // whoever waits for it
			return backends.Clean(0), nil
		}}
		cfg := config(e)
		cfg.MaxScans = 2
		u := New(cfg)
		defer u.Close()
		const seconds = 120
		var good atomic.Int64
		var scans sync.WaitGroup
		for range 4 * seconds {
			time.Sleep(time.Second / 4)
			scans.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if r := u.Scan(client.NewContext(ctx, client.User(1)), content("x"), false); r.Err == nil {
					good.Add(1)
				}
			})
		}
		scans.Wait()
		time.Sleep(time.Second)
		if n, most := good.Load(), int64(2*seconds); n < most*8/10 {
			t.Errorf("%d of %d scans were of use", n, most)
		}
	})
}
