package upstream

import (
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
}

func (t *times) add(d time.Duration) {
	if t.n++; t.n == 1 {
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
