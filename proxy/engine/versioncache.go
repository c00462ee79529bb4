package engine

import (
	"sync"
	"time"

	"polyclam/backends"
)

// versionCache is the version that a node last reported.
type versionCache struct {
	mu      sync.Mutex
	value   backends.Version
	known   bool
	at      time.Time     // of the last answer or refusal; zero: ask
	asking  chan struct{} // closed when the call under way ends; nil: none
	begun   time.Time     // when that call began
	dropped int           // how often value was dropped: older answers are not kept

	got   time.Time // of the answer with value
	asked time.Time // when the node was asked for it
}

func (c *versionCache) last() (backends.Version, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, c.known
}

// drop drops the version after signatures have been loaded.
func (c *versionCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value, c.known, c.at = backends.Version{}, false, time.Time{}
	c.got, c.asked = time.Time{}, time.Time{}
	c.dropped++
}

// versionState says what is known about a node's version.
type versionState int

const (
	versionUnknown versionState = iota // no recent answer
	versionKnown                       // a recent answer
	versionRefused                     // a recent refusal, and no answer ever
)

// recent returns a version that is not older than age.
func (c *versionCache) recent(age time.Duration) (backends.Version, versionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case c.known && now.Sub(c.got) <= age:
		return c.value, versionKnown
	case !c.known && !c.at.IsZero() && now.Sub(c.at) <= age:
		return backends.Version{}, versionRefused
	}
	return backends.Version{}, versionUnknown
}

// since returns a version that the node was asked for at begin or later.
func (c *versionCache) since(begin time.Time) (v backends.Version, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || c.asked.Before(begin) {
		return backends.Version{}, false
	}
	return c.value, true
}

// lastGiven is [versionCache.last] plus the counter that store needs.
func (c *versionCache) lastGiven() (v backends.Version, known bool, dropped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, c.known, c.dropped
}

// store keeps a version that the node has just reported, unless the cache was dropped in
// the meantime.
func (c *versionCache) store(v backends.Version, dropped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped == dropped {
		c.value, c.known, c.at = v, true, time.Now()
		c.got = c.at
	}
}

// endAsking ends the call under way. It keeps the version that the node has reported, if
// it answered and the cache was not dropped in the meantime, and returns whether it did.
func (c *versionCache) endAsking(v backends.Version, answered bool, dropped int) (kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped == dropped {
		c.at = time.Now()
		if kept = answered; kept {
			c.value, c.known = v, true
			c.got, c.asked = c.at, c.begun
		}
	}
	close(c.asking)
	c.asking = nil
	return kept
}
