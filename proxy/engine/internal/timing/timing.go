// Package timing records how long a node usually takes for objects of about the same size,
// to notice when it is slow.
package timing

import (
	"math"
	"math/bits"
	"time"
)

const (
	// Enough is how many answers are needed before timings are known.
	Enough = 8
	// Floor is a time that never counts as slow, however fast the engine usually is.
	Floor = 50 * time.Millisecond
	// ForgetTime is the half-life of the slowness of a node that gets no scans, so that
	// it is tried again.
	ForgetTime = 30 * time.Second

	// slowFactor is how many times slower than the fastest node is still not slow: such
	// nodes take turns.
	slowFactor = 2
)

// Classes is the number of size classes: up to 4 KiB, 16 KiB, 64 KiB ... 64 MiB, and
// larger.
const Classes = 9

// Class is the class of an object of size bytes.
func Class(size int64) int {
	return min((bits.Len64(uint64(max(size-1, 0))>>12)+1)/2, Classes-1)
}

// Times is how long a node takes for the objects of one class: a moving mean and mean
// deviation, as TCP keeps them for round trips (RFC 6298). It is not safe for concurrent
// use.
type Times struct {
	n               int
	mean, deviation time.Duration
	at              time.Time // of the last answer
}

// Add records an answer that took d.
func (t *Times) Add(d time.Duration) {
	stale := time.Since(t.at) > ForgetTime // the engine may have changed since
	t.at = time.Now()
	if t.n++; t.n == 1 || stale {
		t.mean, t.deviation = d, d/2
		return
	}
	off := max(d-t.mean, t.mean-d)
	t.deviation += (off - t.deviation) / 4
	t.mean += (d - t.mean) / 8
}

// AddCanceled records a scan that was canceled after d. It counts only if d is above the
// mean: the answer would have taken even longer.
func (t *Times) AddCanceled(d time.Duration) {
	if d > t.mean {
		t.Add(d)
	}
}

// Mean is the mean time, if known.
func (t *Times) Mean() (d time.Duration, known bool) { return t.mean, t.n >= Enough }

// Usual is a time that answers rarely exceed, if known.
func (t *Times) Usual() (d time.Duration, known bool) {
	return t.mean + 4*t.deviation, t.n >= Enough
}

// Slowness is the ratio of the node's time to that of the fastest node; 1 if it is unknown
// or small.
func (t *Times) Slowness(fastest time.Duration, now time.Time) float64 {
	if t.n < Enough || t.mean <= max(slowFactor*fastest, Floor/10) {
		return 1
	}
	times := float64(t.mean) / float64(max(fastest, time.Millisecond))
	return max(1, times/math.Exp2(float64(now.Sub(t.at))/float64(ForgetTime)))
}
