package metrics

import "polyclam/proxy/cache"

// cacheFamilies are about the cache of results. Those of the shared store have a value also
// if there is none, so that rate() sees the first time; only polyclam_cache_shared_up says
// whether there is one.
var cacheFamilies = []family{
	{"polyclam_cache_bytes", gauge, "Memory that the results in the cache take.", nil,
		func(s *state, w *writer) { w.put(float64(s.Cache.Memory.Bytes)) }, nil},
	{"polyclam_cache_limit_bytes", gauge, "The most memory that they may take (cache.memory). 0: none are kept in memory.", nil,
		func(s *state, w *writer) { w.put(float64(s.Cache.Memory.Limit)) }, nil},
	{"polyclam_cache_entries", gauge, "Results in the memory of the cache.", nil,
		func(s *state, w *writer) { w.put(float64(s.Cache.Memory.Entries)) }, nil},
	{"polyclam_cache_hits_total", counter, "Results that were found, in memory or in the shared store.", []string{"store"},
		eachStore(func(m *cache.MemoryStats, s *cache.SharedStats) (uint64, uint64) { return m.Hits, s.Hits }), nil},
	{"polyclam_cache_misses_total", counter, "Results that a store was asked for and did not have. The shared store is asked for what is not in memory.", []string{"store"},
		eachStore(func(m *cache.MemoryStats, s *cache.SharedStats) (uint64, uint64) { return m.Misses, s.Misses }), nil},
	{"polyclam_cache_added_total", counter, "Results that were stored.", []string{"store"},
		eachStore(func(m *cache.MemoryStats, s *cache.SharedStats) (uint64, uint64) { return m.Added, s.Added }), nil},
	{"polyclam_cache_evicted_total", counter, "Results that were removed from memory because there was no room.", nil,
		func(s *state, w *writer) { w.put(float64(s.Cache.Memory.Evicted)) }, nil},
	{"polyclam_cache_pending", gauge, "Results that wait for a health check of their node, and do not count before.", nil,
		func(s *state, w *writer) { w.put(float64(s.Cache.Pending.Waiting)) }, nil},
	{"polyclam_cache_confirmed_total", counter, "Results that a health check has confirmed.", nil,
		func(s *state, w *writer) { w.put(float64(s.Cache.Pending.Confirmed)) }, nil},
	{"polyclam_cache_unconfirmed_total", counter, "Results that were dropped because the health check failed, the signatures changed, or too many waited.", nil,
		func(s *state, w *writer) { w.put(float64(s.Cache.Pending.Dropped)) }, nil},
	{"polyclam_cache_shared_up", gauge, "Whether the shared store is used. 0: it did not answer, and is tried again every few seconds. Missing: not configured.", nil,
		func(s *state, w *writer) {
			if s.Cache.Shared != nil {
				w.flag(s.Cache.Shared.State == "up")
			}
		}, nil},
	{"polyclam_cache_shared_failures_total", counter, "Questions to the shared store without an answer: none within cache.budget (late), an error (failed), or not asked because it is down or slow (skipped). The engines scan instead.", []string{"kind"},
		func(s *state, w *writer) {
			shared := sharedOf(s)
			w.put(float64(shared.Late), "late")
			w.put(float64(shared.Failed), "failed")
			w.put(float64(shared.Skipped), "skipped")
		}, nil},
	{"polyclam_cache_shared_rejected_total", counter, "Values of the shared store that are not genuine, damaged or too old, and were ignored.", nil,
		func(s *state, w *writer) { w.put(float64(sharedOf(s).Forged)) }, nil},
	{"polyclam_cache_shared_writes_dropped_total", counter, "Results that were not written to the shared store because too many writes waited.", nil,
		func(s *state, w *writer) { w.put(float64(sharedOf(s).Dropped)) }, nil},
	{"polyclam_engine_cache_total", counter, "What became of objects for an engine: its result was in memory (memory) or in the shared store (shared), an identical scan was under way (joined), it was in no store and the engine was asked (miss), or the result cannot be cached (not_cacheable).", []string{"engine", "outcome"},
		eachEngine(func(e engineState, w *writer) {
			w.put(float64(e.Cache.Memory), e.label, "memory")
			w.put(float64(e.Cache.Shared), e.label, "shared")
			w.put(float64(e.Cache.Joined), e.label, "joined")
			w.put(float64(e.Cache.Misses), e.label, "miss")
			w.put(float64(e.Cache.NotCacheable), e.label, "not_cacheable")
		}), nil},
	{"polyclam_engine_not_cached_total", counter, "Objects for which the cache was not asked: the version of the engine's signatures was not known (version), the object is empty, too large or a test object (object), it is a client's file and no result was kept (file), or it could not be hashed in time (time).", []string{"engine", "reason"},
		eachEngine(func(e engineState, w *writer) {
			for _, r := range e.Cache.Reasons() {
				w.put(float64(r.Count), e.label, r.Name)
			}
		}), nil},
}

// sharedOf returns the counters of the shared store. They are 0 if there is none.
func sharedOf(s *state) *cache.SharedStats {
	if s.Cache.Shared == nil {
		return &cache.SharedStats{}
	}
	return s.Cache.Shared
}

// eachStore returns the write function of a family with a value for each store.
func eachStore(values func(*cache.MemoryStats, *cache.SharedStats) (memory, shared uint64)) func(*state, *writer) {
	return func(s *state, w *writer) {
		memory, shared := values(&s.Cache.Memory, sharedOf(s))
		w.put(float64(memory), "memory")
		w.put(float64(shared), "shared")
	}
}
