// Package count has the counters that metrics and the status page show.
package count

import (
	"sync/atomic"
	"time"
)

// Bounds are the upper bounds of a histogram's buckets, in ascending order. One more
// bucket is for everything above the last.
var Bounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, 60 * time.Second,
}

// A Histogram counts durations. The zero value is ready for use, by any number of
// goroutines.
type Histogram struct {
	counts [len(Bounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

// Observe adds one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Value returns what has been counted. It is not a snapshot: calls of Observe at the same
// time may be in one part of the value and not yet in another.
func (h *Histogram) Value() Value {
	v := Value{Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		v.Counts[i] = h.counts[i].Load()
	}
	return v
}

// A Value is the content of a [Histogram].
type Value struct {
	// Counts are the numbers of durations in each bucket, without those in lower buckets.
	Counts [len(Bounds) + 1]uint64
	Sum    time.Duration
}

// Total is the number of durations.
func (v Value) Total() (n uint64) {
	for _, c := range v.Counts {
		n += c
	}
	return n
}

// Add adds what other has counted.
func (v *Value) Add(other Value) {
	v.Sum += other.Sum
	for i, n := range other.Counts {
		v.Counts[i] += n
	}
}

// Quantile estimates a quantile in proportion within its bucket, as Prometheus does. It
// returns the last bound if the quantile is above that, and false if nothing was counted.
func (v Value) Quantile(q float64) (time.Duration, bool) {
	total := v.Total()
	if total == 0 {
		return 0, false
	}
	rank, below, lower := q*float64(total), 0.0, time.Duration(0)
	for i, upper := range Bounds {
		n := float64(v.Counts[i])
		if n > 0 && below+n >= rank {
			return lower + time.Duration(float64(upper-lower)*(rank-below)/n), true
		}
		below, lower = below+n, upper
	}
	return lower, true
}

// Since returns what v has counted since an earlier value.
func (v Value) Since(earlier Value) Value {
	v.Sum -= earlier.Sum
	for i := range v.Counts {
		v.Counts[i] -= earlier.Counts[i]
	}
	return v
}
