package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// erratic is an engine that fails in every possible way, and counts its scans.
type erratic struct {
	asked   atomic.Int64
	running atomic.Int64
	most    atomic.Int64
}

func (f *erratic) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if data := read(o); len(data) != 1 {
		return judged(data), nil
	}
	f.asked.Add(1)
	defer f.running.Add(-1)
	for n, most := f.running.Add(1), f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	switch rand.IntN(8) {
	case 0:
		return backends.Result{}, errRefused
	case 1:
		return backends.Result{}, errors.New("engine error")
	case 2:
		panic("engine panic")
	case 3:
		runtime.Goexit()
	case 4:
		<-ctx.Done()
		return backends.Result{}, ctx.Err()
	case 5:
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond) // for some callers it hangs
	case 6:
		return backends.Result{Category: "odd"}, nil
	}
	return backends.Found(1, "Some.Virus"), nil
}

// TestStress has 1000 concurrent scans meet failures, panics, hung backends and
// cancellations. In the end all slots and scans are accounted for.
func TestStress(t *testing.T) {
	for _, canary := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			nodes := []*erratic{{}, {}, {}}
			cfg := config(nodes[0], nodes[1], nodes[2])
			cfg.Canary, cfg.MaxScans, cfg.Timeout = canary, 5, 300*time.Millisecond
			e := New(cfg)
			run(t, e)
			var wg sync.WaitGroup
			var failed, canceled, late atomic.Int64
			c := text("x")
			for range 1000 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(5000))*time.Millisecond)
					defer cancel()
					if rand.IntN(4) == 0 {
						time.AfterFunc(time.Duration(rand.IntN(5000))*time.Millisecond, cancel)
					}
					end, _ := ctx.Deadline()
					r := e.Scan(ctx, c, false)
					if over := time.Since(end); over > 100*time.Millisecond {
						late.Add(1)
					}
					switch {
					case r.Err == nil:
						wantCategory(t, r.Result, nil, backends.Virus)
					case ctx.Err() == context.Canceled:
						canceled.Add(1)
					default:
						failed.Add(1)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Second) // for the last hung backends
			synctest.Wait()
			wantIdle(t, e)
			s := e.Status()
			if s.Counters.Scans != 1000 || s.Counters.Failures != uint64(failed.Load()) || late.Load() != 0 {
				t.Errorf("counters %+v; %d failed, %d canceled, %d late", s.Counters, failed.Load(), canceled.Load(), late.Load())
			}
			var replays uint64
			for i, n := range nodes {
				if n.most.Load() > 5 || n.running.Load() != 0 {
					t.Errorf("node %d: %d together, %d left", i, n.most.Load(), n.running.Load())
				}
				if got := s.Nodes[i].Counters.Scans; got != uint64(n.asked.Load()) {
					t.Errorf("node %d: %d scans counted, %d asked", i, got, n.asked.Load())
				}
				replays += s.Nodes[i].Counters.Replays
			}
			if replays != s.Counters.Replays || replays == 0 {
				t.Errorf("%d replays, %d on the nodes", s.Counters.Replays, replays)
			}
			if n := c.users.Load(); n != 0 {
				t.Errorf("object has %d users", n)
			}
		})
	}
}

// flapping is an engine that dies, comes back blind, and recovers.
type flapping struct {
	phase atomic.Int64
}

func (f *flapping) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	switch f.phase.Load() % 3 {
	case 1:
		return backends.Result{}, backends.ErrNoReply
	case 2:
		return backends.Clean(0), nil
	}
	if data := read(o); isTestObject(data) {
		return judged(data), nil
	}
	return backends.Found(1, "EICAR"), nil
}

// TestFlapping scans viruses on nodes that come and go: after a death no blind node is used,
// so no virus passes.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := []*flapping{{}, {}}
		e := New(withCanary(nodes[0], nodes[1]))
		run(t, e)
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
		defer stop()
		var wg sync.WaitGroup
		var found, failed, passed atomic.Int64
		for _, f := range nodes {
			wg.Go(func() {
				for ctx.Err() == nil {
					time.Sleep(time.Duration(5+rand.IntN(10)) * time.Second)
					f.phase.Add(1) // dead; scans notice within a second
					time.Sleep(time.Duration(1+rand.IntN(10)) * time.Second)
					f.phase.Add(1) // blind
					time.Sleep(time.Duration(1+rand.IntN(10)) * time.Second)
					f.phase.Add(1)
				}
			})
		}
		for range 5 {
			wg.Go(func() {
				for ctx.Err() == nil {
					switch r := e.Scan(ctx, text("a virus"), false); {
					case r.Err != nil:
						failed.Add(1)
						time.Sleep(50 * time.Millisecond)
					case r.Result.Category == backends.Virus:
						found.Add(1)
					default:
						passed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		e.Close()
		time.Sleep(time.Second) // for the last health check
		synctest.Wait()
		wantIdle(t, e)
		if passed.Load() != 0 || found.Load() == 0 || failed.Load() == 0 {
			t.Errorf("%d passed, %d found, %d failed", passed.Load(), found.Load(), failed.Load())
		}
	})
}
