package engine

import (
	"math"
	"math/bits"
	"time"
)

// The bounds of what counts as slow.
const (
	// hedgeFloor is what is never slow, however fast the engine usually is.
	hedgeFloor = 50 * time.Millisecond
	// slowUnknown is what is slow where nothing is known of such objects yet.
	slowUnknown = 2 * time.Second
	// enough is how many answers make a time usual.
	enough = 8
)

// sizeClasses is the number of classes of size: up to 4 KiB, 16 KiB, 64 KiB ... 64 MiB,
// and more.
const sizeClasses = 9

func sizeClass(size int64) int {
	return min((bits.Len64(uint64(max(size-1, 0))>>12)+1)/2, sizeClasses-1)
}

// times is how long a node takes for the objects of one class: a mean and a mean
// deviation, each moving, as TCP has them of the round trip (RFC 6298).
type times struct {
	n               int
	mean, deviation time.Duration
	at              time.Time // of the last answer
}

func (t *times) add(d time.Duration) {
	stale := time.Since(t.at) > forgetTime // what was known may be of before a change
	t.at = time.Now()
	if t.n++; t.n == 1 || stale {
		t.mean, t.deviation = d, d/2
		return
	}
	off := max(d-t.mean, t.mean-d)
	t.deviation += (off - t.deviation) / 4
	t.mean += (d - t.mean) / 8
}

// usual is what an answer rarely takes longer than, if that is known.
func (t *times) usual() (d time.Duration, known bool) {
	return t.mean + 4*t.deviation, t.n >= enough
}

// The bounds of how a slow node is spared.
const (
	// slowTimes as slow as the fastest node is not slow yet: then nodes take turns.
	slowTimes = 2
	// forgetTime is how long it takes until a node that gets no scans counts as half as
	// slow, so that it is tried again.
	forgetTime = 30 * time.Second
)

// slowness is how many times as long a node takes as the fastest one; 1 where that is
// not known, or not much.
func (t *times) slowness(fastest time.Duration, now time.Time) float64 {
	if t.n < enough || t.mean <= max(slowTimes*fastest, hedgeFloor/10) {
		return 1
	}
	times := float64(t.mean) / float64(max(fastest, time.Millisecond))
	return max(1, times/math.Exp2(float64(now.Sub(t.at))/float64(forgetTime)))
}

// fastest is the mean time of the fastest node in use for objects of a class; 0: not
// known. The caller has mu.
func (u *pool) fastest(class int) time.Duration {
	var fastest time.Duration
	for _, n := range u.nodes {
		if t := &n.times[class]; t.n >= enough && u.usable(n) && (fastest == 0 || t.mean < fastest) {
			fastest = t.mean
		}
	}
	return fastest
}

// usual is how long a scan of that size may take before its node counts as slow: the
// usual time of the fastest node in use. What a slow node usually takes is no reason to wait.
func (u *pool) usual(size int64) time.Duration {
	class := sizeClass(size)
	u.mu.Lock()
	defer u.mu.Unlock()
	slow := slowUnknown
	for _, n := range u.nodes {
		if d, known := n.times[class].usual(); known && u.usable(n) {
			slow = min(slow, max(d, hedgeFloor))
		}
	}
	return slow
}
