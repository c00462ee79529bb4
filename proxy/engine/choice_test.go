package engine

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// takes answers OK after d.
func takes(d time.Duration) func(context.Context, backends.Object) (backends.Result, error) {
	return func(ctx context.Context, _ backends.Object) (backends.Result, error) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return backends.Clean(0), nil
		case <-ctx.Done():
			return backends.Result{}, ctx.Err()
		}
	}
}

// latencies collects the times of scans.
type latencies struct {
	mu    sync.Mutex
	times []time.Duration
}

func (l *latencies) scan(t *testing.T, e *Engine) {
	begin := time.Now()
	wantScan(t, e, "x", backends.OK)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, time.Since(begin))
}

func (l *latencies) p99() time.Duration {
	slices.Sort(l.times)
	return l.times[len(l.times)*99/100]
}

// closedLoop has clients that scan without a pause.
func closedLoop(t *testing.T, e *Engine, clients int, total time.Duration) *latencies {
	l, end := &latencies{}, time.Now().Add(total)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for time.Now().Before(end) {
				l.scan(t, e)
			}
		})
	}
	wg.Wait()
	return l
}

// openLoop begins a scan every interval.
func openLoop(t *testing.T, e *Engine, interval, total time.Duration) *latencies {
	l, end := &latencies{}, time.Now().Add(total)
	var wg sync.WaitGroup
	for time.Now().Before(end) {
		wg.Go(func() { l.scan(t, e) })
		time.Sleep(interval)
	}
	wg.Wait()
	return l
}

// TestSlowOfFour has four nodes, one of which is ten times slower. The 99th percentile must
// be that of the others. When the node is fast again, it soon gets its share.
func TestSlowOfFour(t *testing.T) {
	const fast, slow = 5 * time.Millisecond, 50 * time.Millisecond
	for _, tt := range []struct {
		name     string
		clients  int           // 0: open loop
		interval time.Duration // of the open loop
		time     time.Duration // of one measurement
	}{
		{"1 client", 1, 0, 10 * time.Second},
		{"8 clients", 8, 0, time.Second},
		{"24 clients", 24, 0, 400 * time.Millisecond},
		{"500 a second", 0, 2 * time.Millisecond, 4 * time.Second},
		{"50 a second", 0, 20 * time.Millisecond, 40 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					nodes := []*fakeEngine{{answer: takes(fast)}, {answer: takes(fast)}, {answer: takes(fast)}, {answer: takes(slow)}}
					e := New(config(nodes[0], nodes[1], nodes[2], nodes[3]))
					defer e.Close()
					load := func(d time.Duration) *latencies {
						if tt.clients > 0 {
							return closedLoop(t, e, tt.clients, d)
						}
						return openLoop(t, e, tt.interval, d)
					}
					for range 3 {
						l := load(tt.time)
						t.Logf("%d scans, p99 %v, slow node %d in all", len(l.times), l.p99(), nodes[3].asked())
						if l.p99() > fast*13/10 {
							t.Errorf("p99 %v", l.p99())
						}
					}
					nodes[3].set(func(f *fakeEngine) { f.answer = takes(fast) })
					time.Sleep(time.Minute)
					load(tt.time)
					time.Sleep(time.Minute)
					load(tt.time)
					before := nodes[3].asked()
					n := len(load(tt.time).times)
					if got := nodes[3].asked() - before; got < n/6 {
						t.Errorf("got %d of %d scans after it had become fast", got, n)
					}
					wantIdle(t, e)
				})
			})
		})
	}
}
