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
	since   time.Time     // when that call began
	dropped int           // how often value was dropped: older answers are not kept
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
	c.dropped++
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
		}
	}
	close(c.asking)
	c.asking = nil
	return kept
}
