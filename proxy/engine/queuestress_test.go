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
)

// wantNoWaste checks that no queued ticket could use a free slot.
func wantNoWaste(t *testing.T, e *Engine) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, waits := range e.queue.Heads() {
		for _, n := range e.nodes {
			if e.eligible(waits, n) && e.hasRoom(waits, n) {
				t.Errorf("a ticket of %v waits although node %s has a slot", waits.Client, n.address)
			}
		}
	}
}

// TestQueueStress has clients come and go, and nodes go up and down, and checks the queue
// all the while.
func TestQueueStress(t *testing.T) {
	for _, canary := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			engines := []*fakeEngine{{}, {}, {}}
			for _, f := range engines {
				f.answer = func(ctx context.Context, o backends.Object) (backends.Result, error) {
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
			e := New(cfg)
			run(t, e)
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			var wg sync.WaitGroup
			var scans, fine [8]atomic.Int64
			for i := range scans {
				for range 20 {
					wg.Go(func() {
						for ctx.Err() == nil {
							scanCtx, cancel := context.WithTimeout(as(ctx, uint32(i)), time.Duration(rand.IntN(4000))*time.Millisecond)
							scans[i].Add(1)
							if e.Scan(scanCtx, text("x"), false).Err == nil {
								fine[i].Add(1)
							}
							cancel()
							time.Sleep(20 * time.Millisecond)
						}
					})
				}
			}
			for _, f := range engines {
				wg.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(time.Duration(rand.IntN(20)) * time.Second)
						f.set(func(f *fakeEngine) { f.err = errRefused })
						time.Sleep(time.Duration(rand.IntN(4)) * time.Second)
						f.set(func(f *fakeEngine) { f.err = nil })
					}
				})
			}
			for ctx.Err() == nil {
				time.Sleep(time.Duration(1+rand.IntN(50)) * time.Millisecond)
				wantNoWaste(t, e)
			}
			wg.Wait()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			wantIdle(t, e)
			for i := range scans {
				if n, ok := scans[i].Load(), fine[i].Load(); ok < n/100 {
					t.Errorf("client %d: %d of %d scans answered", i, ok, n)
				}
			}
			for _, f := range engines { // a silent node gets one more slot for the check
				if f.busiest > 8 || f.most > 9 {
					t.Errorf("%d concurrent scans on a node, %d with test objects", f.busiest, f.most)
				}
			}
		})
	}
}

// TestGoodput has a client that asks for twice what the engine can do, and gives up after
// ten seconds: most of the engine's work is not wasted.
func TestGoodput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{answer: func(context.Context, backends.Object) (backends.Result, error) {
			time.Sleep(time.Second) // even if the client has given up
			return backends.Clean(0), nil
		}}
		cfg := config(f)
		cfg.MaxScans = 2
		e := New(cfg)
		defer e.Close()
		const seconds = 120
		var good atomic.Int64
		var scans sync.WaitGroup
		for range 4 * seconds {
			time.Sleep(time.Second / 4)
			scans.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if r := e.Scan(client.NewContext(ctx, client.User(1)), text("x"), false); r.Err == nil {
					good.Add(1)
				}
			})
		}
		scans.Wait()
		time.Sleep(time.Second)
		if n, most := good.Load(), int64(2*seconds); n < most*8/10 {
			t.Errorf("%d of %d scans were in time", n, most)
		}
	})
}
