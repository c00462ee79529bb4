package cache

import "time"

// Pending holds the results of one node until a health check shows that the node detected
// malware when it gave them: an engine whose temporary directory is full calls everything
// clean, and such a time must leave nothing behind. It is safe for concurrent use.
type Pending struct{}

// NewPending returns a Pending that adds to c what is confirmed.
func NewPending(c *Cache) *Pending { return &Pending{} }

// Add lets e wait. It reports whether it is the first that waits, so that the caller can ask
// for a health check. If too many wait, the oldest is dropped.
func (p *Pending) Add(k Key, e Entry, ttl time.Duration) (first bool) { return false }

// Confirm adds to the cache what was answered before begin, when a health check began that
// the node has passed. It reports whether more still waits.
func (p *Pending) Confirm(begin time.Time) (more bool) { return false }

// Drop drops everything that waits: a health check failed, or the node has other signatures.
func (p *Pending) Drop() {}
