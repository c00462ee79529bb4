package engine

import "sync/atomic"

// cacheCounts are the counters for [CacheCounters].
type cacheCounts struct {
	memory, shared, joined, misses, notCacheable atomic.Uint64
	noVersion, object, file                      atomic.Uint64 // parts of notCacheable
}

func (c *cacheCounts) value() CacheCounters {
	return CacheCounters{
		Memory: c.memory.Load(), Shared: c.shared.Load(), Joined: c.joined.Load(),
		Misses: c.misses.Load(), NotCacheable: c.notCacheable.Load(),
		NoVersion: c.noVersion.Load(), Object: c.object.Load(), File: c.file.Load(),
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
	// NotCacheable are scans for which the cache could not be asked, for one of the following
	// reasons, or because the object could not be hashed in time.
	NotCacheable uint64 `json:"not_cacheable"`
	// NoVersion: the version of the engine's signatures was not known, Object: the object is
	// empty, too large or a test object, File: it is a client's file, and no result was kept
	// that could be used.
	NoVersion uint64 `json:"no_version"`
	Object    uint64 `json:"object"`
	File      uint64 `json:"file"`
}

// A NotCachedReason is a number of scans for which the cache could not be asked.
type NotCachedReason struct {
	Name  string // for metrics
	Text  string // for people
	Count uint64
}

// Reasons splits NotCacheable.
func (c CacheCounters) Reasons() []NotCachedReason {
	known := c.NoVersion + c.Object + c.File
	return []NotCachedReason{
		{"version", "without a known version", c.NoVersion},
		{"object", "empty, too large or test objects", c.Object},
		{"file", "client files, of which no results are kept", c.File},
		{"time", "not hashed in time", c.NotCacheable - min(c.NotCacheable, known)},
	}
}

// Hits are the results that no engine was asked for.
func (c CacheCounters) Hits() uint64 { return c.Memory + c.Shared + c.Joined }

// Add returns the sum of c and other.
func (c CacheCounters) Add(other CacheCounters) CacheCounters {
	return CacheCounters{
		Memory: c.Memory + other.Memory, Shared: c.Shared + other.Shared, Joined: c.Joined + other.Joined,
		Misses: c.Misses + other.Misses, NotCacheable: c.NotCacheable + other.NotCacheable,
		NoVersion: c.NoVersion + other.NoVersion, Object: c.Object + other.Object, File: c.File + other.File,
	}
}
