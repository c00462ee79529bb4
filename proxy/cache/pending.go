package cache

import (
	"sync"
	"time"
)

// Pending holds the results of one node until a health check shows that the node detected
// malware when it gave them: an engine whose temporary directory is full calls everything
// clean, and such a time must leave nothing behind. It is safe for concurrent use.
type Pending struct {
	cache   *Cache
	mu      sync.Mutex
	waiting []waiting
}

type waiting struct {
	key   Key
	entry Entry
	ttl   time.Duration
}

// NewPending returns a Pending that adds to c what is confirmed.
func NewPending(c *Cache) *Pending { return &Pending{cache: c} }

// Add lets e wait. It reports whether it is the first that waits, so that the caller can ask
// for a health check. If too many wait, the oldest is dropped.
func (p *Pending) Add(k Key, e Entry, ttl time.Duration) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, waiting{k, e, ttl})
	if len(p.waiting) > maxEntries {
		p.waiting = p.waiting[1:]
	}
	return len(p.waiting) == 1
}

// Confirm adds to the cache what was answered before begin, when a health check began that
// the node has passed. It reports whether more still waits.
func (p *Pending) Confirm(begin time.Time) (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []waiting
	for _, w := range p.waiting {
		if w.entry.Scanned.Before(begin) {
			p.cache.Add(w.key, w.entry, w.ttl)
		} else {
			rest = append(rest, w)
		}
	}
	p.waiting = rest
	return len(rest) > 0
}

// Drop drops everything that waits: a health check failed, or the node has other signatures.
func (p *Pending) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = nil
}
