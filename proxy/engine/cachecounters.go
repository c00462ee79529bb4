package engine

import "sync/atomic"

// cacheCounts are the counters for [CacheCounters].
type cacheCounts struct {
	memory, shared, joined, misses, notCacheable atomic.Uint64
}

func (c *cacheCounts) value() CacheCounters {
	return CacheCounters{
		Memory: c.memory.Load(), Shared: c.shared.Load(), Joined: c.joined.Load(),
		Misses: c.misses.Load(), NotCacheable: c.notCacheable.Load(),
	}
}

// CacheCounters count what the cache did for the scans of an engine, since the daemon was
// started. They are not among [Counters]: a result from the cache is no scan.
type CacheCounters struct {
	// Memory and Shared are results from the memory of this process and from the store that
	// hosts share, Joined those of an identical scan that was under way.
	Memory uint64 `json:"memory"`
	Shared uint64 `json:"shared"`
	Joined uint64 `json:"joined"`
	// Misses are scans of objects that the cache did not have.
	Misses uint64 `json:"misses"`
	// NotCacheable are scans for which the cache could not be asked: the engine does not
	// report a version and has no cache_ttl, or the object is not complete.
	NotCacheable uint64 `json:"not_cacheable"`
}

// Hits are the results that no engine was asked for.
func (c CacheCounters) Hits() uint64 { return c.Memory + c.Shared + c.Joined }

// Add returns the sum of c and other.
func (c CacheCounters) Add(other CacheCounters) CacheCounters {
	return CacheCounters{
		Memory: c.Memory + other.Memory, Shared: c.Shared + other.Shared, Joined: c.Joined + other.Joined,
		Misses: c.Misses + other.Misses, NotCacheable: c.NotCacheable + other.NotCacheable,
	}
}
