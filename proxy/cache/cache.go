// Package cache keeps what engines said about objects, so that the same object is not
// scanned again: in the memory of this process, and in a store that several hosts share.
//
// It keeps the result of one engine, never a verdict: the policy that merges results is
// local, and may change. A key covers everything that the result depends on. What is kept has been
// confirmed: the node has passed a health check that began after its answer, see [Pending].
//
// The shared store is not trusted. Whatever it has is signed with a key that only the hosts
// have, see seal.go, and no scan waits for it longer than the budget.
package cache

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// A Key identifies everything that a result depends on: the object, the engine's options,
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

// A Hit is an Entry that was found. It shares no memory that others can change.
type Hit struct {
	Entry
	Source Source
}

// Config is the configuration of a cache. It has the keys of [cache].
type Config struct {
	Memory int64 // bytes; 0: nothing is kept in memory
	// Store is the store that hosts share; nil: none. The cache closes it.
	Store  Store
	Secret []byte        // signs what Store keeps; at least [MinSecret] bytes
	Budget time.Duration // the longest wait for Store
	// Identity identifies everything above. A reload keeps a cache with the same identity.
	Identity string
	Log      zerolog.Logger
}

// MinSecret is the length of the shortest secret, in bytes.
const MinSecret = 32

// maxTTL bounds how long an entry is kept.
const maxTTL = 7 * 24 * time.Hour

// A Cache is safe for concurrent use. A nil *Cache has nothing and keeps nothing.
type Cache struct {
	identity string
	now      func() time.Time
	memory   *memory // nil: off
	shared   *shared // nil: none
	closed   atomic.Bool

	// flushes counts calls of Flush, here and on hosts with the same store. What an engine
	// said before one is not added after it.
	flushes atomic.Uint64
	pending pendingCounts
}

// New returns a cache. It does not wait for the store.
func New(c Config) *Cache { return newCache(c, time.Now) }

func newCache(c Config, now func() time.Time) *Cache {
	cache := &Cache{identity: c.Identity, now: now}
	if c.Memory > 0 {
		cache.memory = newMemory(c.Memory, now)
	}
	if c.Store != nil {
		cache.shared = newShared(c, now, cache.forget)
	}
	return cache
}

// Identity returns that of the configuration.
func (c *Cache) Identity() string {
	if c == nil {
		return ""
	}
	return c.identity
}

func (c *Cache) isOff() bool { return c == nil || c.closed.Load() }

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
	if c.isOff() {
		return hits, failures
	}
	flushes := c.flushes.Load()
	var missing []int // indexes of keys
	for i, k := range keys {
		if e, ok := c.memory.get(k, flushes); ok {
			hits[i] = &Hit{e, Memory}
		} else {
			missing = append(missing, i)
		}
	}
	if c.shared == nil || len(missing)+len(objects) == 0 {
		return hits, failures
	}
	ask := make([]Key, len(missing))
	for j, i := range missing {
		ask[j] = keys[i]
	}
	found, counts := c.shared.lookup(ctx, ask, objects)
	for j, f := range found {
		if f == nil {
			continue
		}
		hits[missing[j]] = &Hit{f.Entry, Shared}
		c.memory.set(ask[j], f.data, f.expires, flushes)
	}
	copy(failures, counts)
	return hits, failures
}

// Add keeps an entry for ttl. It does not wait for the shared store.
func (c *Cache) Add(k Key, e Entry, ttl time.Duration) {
	if !c.isOff() {
		c.add(k, e, ttl, c.flushes.Load())
	}
}

// add is Add for an answer that was given when there had been so many flushes.
func (c *Cache) add(k Key, e Entry, ttl time.Duration, flushes uint64) {
	ttl = min(ttl, maxTTL)
	if c.isOff() || ttl <= 0 || flushes != c.flushes.Load() {
		return
	}
	data, ok := encode(e)
	if !ok {
		return
	}
	expires := c.now().Add(ttl)
	c.memory.set(k, string(data), expires, flushes)
	if c.shared != nil {
		c.shared.add(k, data, expires)
	}
}

// Failures returns how often engines of all hosts died or hung on an object, as far as the
// shared store knows and their time is not over. k identifies the object and the engine's
// options; versions do not count.
func (c *Cache) Failures(ctx context.Context, k Key) int {
	_, failures := c.LookupWith(ctx, nil, []Key{k})
	return failures[0]
}

// AddFailure records for ttl that an engine died or hung on an object. It waits for the
// shared store for at most the budget, so that the next host knows before it gets the object.
func (c *Cache) AddFailure(ctx context.Context, k Key, ttl time.Duration) {
	if ttl = min(ttl, maxTTL); !c.isOff() && c.shared != nil && ttl > 0 {
		c.shared.addFailure(ctx, k, ttl)
	}
}

// forget drops what is in memory, and what waits to be added.
func (c *Cache) forget() {
	c.flushes.Add(1)
	c.memory.clear()
}

// Flush removes all entries in memory. If all is set, no host uses an entry of the shared
// store any more that was added before; the other hosts notice within a few seconds, and
// flush their memory too. The error says why the store could not be asked.
func (c *Cache) Flush(ctx context.Context, all bool) error {
	if c.isOff() {
		return nil
	}
	c.forget()
	if all && c.shared != nil {
		return c.shared.flush(ctx)
	}
	return nil
}

// Close ends the connections to the shared store, after what waits to be written, if that
// does not take long. The cache is then empty and off.
func (c *Cache) Close() {
	if c == nil || c.closed.Swap(true) {
		return
	}
	if c.shared != nil {
		c.shared.close()
	}
	c.memory.close()
}
