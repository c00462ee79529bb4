package extended

// CacheState is the part of a SERVER record about the cache of results. It is empty if there
// is no cache.
type CacheState struct {
	CacheUsed  int64 `json:"cache_used,omitempty"`  // bytes in memory
	CacheLimit int64 `json:"cache_limit,omitempty"` // bytes; 0: nothing is kept in memory
	// CacheHits are the results of all engines that needed no scan, CacheMisses the scans of
	// objects that were not in the cache.
	CacheHits   int64 `json:"cache_hits,omitempty"`
	CacheMisses int64 `json:"cache_misses,omitempty"`
	// CacheShared is the state of the store that hosts share: up, or down; empty: none.
	CacheShared string `json:"cache_shared,omitempty"`
	// CacheReason is why that is down or does not accept results, CacheHint what to do.
	CacheReason string `json:"cache_reason,omitempty"`
	CacheHint   string `json:"cache_hint,omitempty"`
}

func (c *CacheState) fields() []field {
	return []field{
		count("cache_used", 0, &c.CacheUsed),
		count("cache_limit", 0, &c.CacheLimit),
		count("cache_hits", 0, &c.CacheHits),
		count("cache_misses", 0, &c.CacheMisses),
		text("cache_shared", &c.CacheShared),
		text("cache_reason", &c.CacheReason),
		text("cache_hint", &c.CacheHint),
	}
}
