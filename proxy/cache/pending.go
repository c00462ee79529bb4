package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// Bounds on what waits for one node.
const (
	maxPending      = 10000
	maxPendingBytes = 2 << 20
)

// Pending holds the results of one node until a health check shows that the node detected
// malware when it gave them: an engine whose temporary directory is full calls everything
// clean, and none of these results may reach the cache. It is safe for concurrent use.
type Pending struct {
	cache *Cache

	mu      sync.Mutex
	waiting []pendingEntry // the oldest first
	bytes   int
}

type pendingEntry struct {
	key      Key
	entry    Entry
	answered time.Time // by the monotonic clock, if the caller's time had one
	ttl      time.Duration
	flushes  uint64 // see [Cache]
	cost     int
}

// pendingCounts are about all nodes.
type pendingCounts struct {
	waiting            atomic.Int64
	confirmed, dropped atomic.Uint64
}

// NewPending returns a Pending that adds to c what is confirmed.
func NewPending(c *Cache) *Pending { return &Pending{cache: c} }

// Add lets e wait. It reports whether it is the first that waits, so that the caller can ask
// for a health check. If too many wait, the oldest is dropped.
func (p *Pending) Add(k Key, e Entry, ttl time.Duration) (first bool) {
	c := p.cache
	if c.isOff() || ttl <= 0 {
		return false
	}
	data, ok := encode(e)
	if !ok {
		return false
	}
	answered := e.Scanned
	// What waits is decoded again: e may share memory that its owner changes.
	if e, ok = decoded(data); !ok {
		return false
	}
	one := pendingEntry{k, e, answered, ttl, c.flushes.Load(), entryCost + len(data)}
	p.mu.Lock()
	defer p.mu.Unlock()
	first = len(p.waiting) == 0
	p.waiting = append(p.waiting, one)
	p.bytes += one.cost
	c.pending.waiting.Add(1)
	for len(p.waiting) > maxPending || p.bytes > maxPendingBytes {
		p.bytes -= p.waiting[0].cost
		p.waiting[0] = pendingEntry{} // append copies the rest to a new array sooner or later
		p.waiting = p.waiting[1:]
		c.pending.waiting.Add(-1)
		c.pending.dropped.Add(1)
	}
	return first
}

func decoded(data []byte) (Entry, bool) {
	e, err := decode(string(data))
	return e, err == nil
}

// Confirm adds to the cache what was answered before begin, when a health check began that
// the node has passed. It reports whether more still waits.
func (p *Pending) Confirm(begin time.Time) (more bool) {
	p.mu.Lock()
	var confirmed, rest []pendingEntry
	p.bytes = 0
	for _, one := range p.waiting {
		if one.answered.Before(begin) {
			confirmed = append(confirmed, one)
		} else {
			rest = append(rest, one)
			p.bytes += one.cost
		}
	}
	p.waiting = rest
	p.mu.Unlock()
	c := p.cache
	for _, one := range confirmed {
		c.pending.waiting.Add(-1)
		c.pending.confirmed.Add(1)
		c.add(one.key, one.entry, one.ttl, one.flushes)
	}
	return len(rest) > 0
}

// Drop drops everything that waits: a health check failed, or the node has other signatures.
func (p *Pending) Drop() {
	p.mu.Lock()
	n := len(p.waiting)
	p.waiting, p.bytes = nil, 0
	p.mu.Unlock()
	if n > 0 {
		p.cache.pending.waiting.Add(-int64(n))
		p.cache.pending.dropped.Add(uint64(n))
	}
}
