package proxy

import (
	"polyclam/protocol/extended"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
)

// Cache returns the cache of the newest configuration; nil: none.
func (s *Server) Cache() *cache.Cache { return s.generations.config().Cache }

// cacheState returns what a SERVER record says about the cache.
func cacheState(c cache.Stats, engines []engine.Status) extended.CacheState {
	if !c.On() {
		return extended.CacheState{}
	}
	var all engine.CacheCounters
	for i := range engines {
		all = all.Add(engines[i].Cache)
	}
	state := extended.CacheState{
		CacheUsed: c.Memory.Bytes, CacheLimit: c.Memory.Limit, CacheHits: int64(all.Hits()), CacheMisses: int64(all.Misses),
	}
	if c.Shared != nil {
		state.CacheShared = c.Shared.State
		state.CacheReason, state.CacheHint = c.Shared.Reason, c.Shared.Hint
	}
	return state
}
