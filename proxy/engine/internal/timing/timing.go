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
	// it is tried again, but no sooner than after forgetScans scans went to other nodes:
	// a slow answer must stay rarer than one in a hundred. If there are few scans, it is
	// LongForgetTime.
	ForgetTime     = 10 * time.Second
	LongForgetTime = 60 * time.Second
	forgetScans    = 100

	// slowFactor is how many times slower than the fastest node is still not slow: such
	// nodes take turns.
	slowFactor = 2
	// slowFloor is a time that is never slow in comparison.
	slowFloor = time.Millisecond
	// few is how many answers are needed to compare a node with others.
	few = 2
)

// Classes is the number of size classes: up to 4 KiB, 16 KiB, 64 KiB ... 64 MiB, and
// larger.
const Classes = 9

// Class is the class of an object of size bytes.
func Class(size int64) int {
	return min((bits.Len64(uint64(max(size-1, 0))>>12)+1)/2, Classes-1)
}

// Times is how long a node takes for the objects of one class: a moving mean and mean
// deviation, as TCP keeps them for round trips (RFC 6298), but the mean rises faster than it
// falls: a node that becomes slow must not get more scans meanwhile. It is not safe for
// concurrent use.
type Times struct {
	n               int
	mean, deviation time.Duration
	at              time.Time // of the last answer
	chosen          time.Time // when a scan was last sent to the node
	passed          int       // scans sent to other nodes since then
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
	if d > t.mean {
		t.mean += (d - t.mean) / 4
		return
	}
	t.mean += (d - t.mean) / 8
}

// Choose records that a scan is sent to the node. Until it is answered, no other scan tries
// whether a slow node has become faster.
func (t *Times) Choose(now time.Time) { t.chosen, t.passed = now, 0 }

// Pass records that a scan was sent to another node.
func (t *Times) Pass() { t.passed++ }

// AddCanceled records a scan that was canceled after d. It counts only if d is above the
// mean: the answer would have taken even longer.
func (t *Times) AddCanceled(d time.Duration) {
	if d > t.mean {
		t.Add(d)
	}
}

// Mean is the mean time, if enough is known to compare it.
func (t *Times) Mean() (d time.Duration, known bool) { return t.mean, t.n >= few }

// Usual is a time that answers rarely exceed, if known.
func (t *Times) Usual() (d time.Duration, known bool) {
	return t.mean + 4*t.deviation, t.n >= Enough
}

// Slowness is the ratio of the node's time to that of the fastest node; 1 if it is unknown
// or small. It shrinks while the node gets no scans.
func (t *Times) Slowness(fastest time.Duration, now time.Time) float64 {
	if t.n < few || t.mean <= max(slowFactor*fastest, slowFloor) {
		return 1
	}
	since := t.at
	if t.chosen.After(since) {
		since = t.chosen
	}
	age := now.Sub(since)
	forgotten := min(float64(age)/float64(ForgetTime), float64(t.passed)/forgetScans)
	forgotten = max(forgotten, float64(age)/float64(LongForgetTime))
	times := float64(t.mean) / float64(max(fastest, slowFloor/2))
	return max(1, times/math.Exp2(forgotten))
}
