package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// isFull reports whether the backlog of a Unix socket was full.
func isFull(err error) bool { return errors.Is(err, syscall.EAGAIN) }

// A history is what the clients of a run saw. It is safe for concurrent use.
type history struct {
	mu  sync.Mutex
	all []outcome
}

func (h *history) add(o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, o)
}

// outcomes returns the outcomes so far, ordered by start.
func (h *history) outcomes() outcomes {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.Clone(h.all)
	slices.SortFunc(all, func(a, b outcome) int { return a.begin.Compare(b.begin) })
	return all
}

// outcomes are scans ordered by start.
type outcomes []outcome

func (all outcomes) count(r result) (n int) {
	for _, o := range all {
		if o.result == r {
			n++
		}
	}
	return n
}

// lost is the number of scans that did not end in OK.
func (all outcomes) lost() int { return len(all) - all.count(ok) }

// breakdown counts the results, for example "290 OK, 8 ERROR", with one text for each
// kind of loss.
func (all outcomes) breakdown() string {
	var words []string
	for r := range results {
		n := all.count(r)
		if n == 0 {
			continue
		}
		word := fmt.Sprintf("%d %v", n, r)
		if r != ok {
			i := slices.IndexFunc(all, func(o outcome) bool { return o.result == r })
			word += fmt.Sprintf(" (%.120s)", all[i].text)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// times returns the durations of the scans that f accepts, shortest first.
func (all outcomes) times(f func(o outcome) bool) []time.Duration {
	var times []time.Duration
	for _, o := range all {
		if f(o) {
			times = append(times, o.took)
		}
	}
	slices.Sort(times)
	return times
}

func anyResult(outcome) bool { return true }

func answered(o outcome) bool { return o.result == ok }

// quantiles writes p50, p99, p99.9 and the maximum of times.
func quantiles(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %v, p99 %v, p99.9 %v, max %v", round(quantile(times, 0.5)), round(quantile(times, 0.99)),
		round(quantile(times, 0.999)), round(times[len(times)-1]))
}

// quantile is the smallest of the sorted times that at least the share q does not
// exceed.
func quantile(times []time.Duration, q float64) time.Duration {
	return times[max(0, int(math.Ceil(q*float64(len(times))))-1)]
}

// slowest is the longest duration of a scan, however it ended.
func (all outcomes) slowest() time.Duration {
	var longest time.Duration
	for _, o := range all {
		longest = max(longest, o.took)
	}
	return longest
}

// A load is a number of clients that scan objects.
type load struct {
	life     context.Context // its end cuts scans off
	to       way
	size     int           // of an object
	patience time.Duration // after this a client hangs up
	history  history
	wg       sync.WaitGroup
}

const defaultSize = 1 << 10

// newLoad returns clients of a trial whose context is ctx.
func newLoad(ctx context.Context, to way) *load {
	return &load{life: ctx, to: to, size: defaultSize, patience: 2 * hang}
}

// clients starts n clients until ctx is done. Each starts a scan when it has the answer
// to the previous one, and finishes the scan it has started.
func (l *load) clients(ctx context.Context, n int) {
	for range n {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				o := l.one()
				if o.result != ok {
					pause(ctx, 10*time.Millisecond) // an error may come immediately
				}
			}
		})
	}
}

// rate starts scans at a fixed rate, whatever happens to earlier ones, until ctx is
// done.
func (l *load) rate(ctx context.Context, perSecond float64) {
	l.wg.Go(func() {
		began := time.Now()
		for i := 0; ; i++ {
			next := began.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
			if pause(ctx, time.Until(next)) != nil {
				return
			}
			l.wg.Go(func() { l.one() })
		}
	})
}

// one makes one scan.
func (l *load) one() outcome {
	o := scan(l.life, l.to, newRequest(l.size), l.patience)
	l.history.add(o)
	return o
}

// wait waits for all scans and returns them.
func (l *load) wait() outcomes {
	l.wg.Wait()
	return l.history.outcomes()
}
