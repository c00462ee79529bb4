package cache

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
	// Reason is why it is down or does not accept results, Hint what to do.
	Reason  string `json:"reason,omitempty"`
	Hint    string `json:"hint,omitempty"`
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Added   uint64 `json:"added"`
	Late    uint64 `json:"late"`     // no answer within the budget
	Failed  uint64 `json:"failed"`   // an error from the store
	Skipped uint64 `json:"skipped"`  // not asked, because the breaker was open
	Forged  uint64 `json:"rejected"` // values that are not genuine, damaged or too old
	Dropped uint64 `json:"dropped"`  // results that were not written: the queue had no room, or the store did not answer
}

// PendingStats are about results that wait for a health check.
type PendingStats struct {
	Waiting   int    `json:"waiting"`
	Confirmed uint64 `json:"confirmed"`
	Dropped   uint64 `json:"dropped"` // a health check failed, or there were too many
}

// Stats returns the counters.
func (c *Cache) Stats() (s Stats) {
	if c == nil {
		return s
	}
	s.Memory = c.memory.stats()
	if c.shared != nil {
		s.Shared = c.shared.stats()
	}
	s.Pending = PendingStats{
		Waiting: int(c.pending.waiting.Load()), Confirmed: c.pending.confirmed.Load(), Dropped: c.pending.dropped.Load(),
	}
	return s
}
