package cache

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// entryCost is what an entry takes in memory besides its encoded form, in bytes: the key, the
// library's node and its places in the hash table and the queues. TestCost measures it.
const entryCost = 176

// memory keeps encoded entries, bounded by bytes. A nil *memory is off. It is safe for
// concurrent use.
type memory struct {
	limit   int64
	now     func() time.Time
	entries *otter.Cache[Key, item]

	hits, misses, added, evicted atomic.Uint64
}

// An item is immutable.
type item struct {
	data    string // an encoded entry
	expires int64  // in nanoseconds since 1970
	flushes uint64 // how many there had been, see [Cache]
}

func newMemory(limit int64, now func() time.Time) *memory {
	m := &memory{limit: limit, now: now}
	m.entries = otter.Must(&otter.Options[Key, item]{
		MaximumWeight: uint64(limit),
		Weigher:       func(_ Key, i item) uint32 { return uint32(entryCost + len(i.data)) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, item]) time.Duration {
			return max(time.Duration(e.Value.expires-now().UnixNano()), 1)
		}),
		StatsRecorder: (*evictions)(&m.evicted),
	})
	return m
}

func (m *memory) get(k Key, flushes uint64) (e Entry, ok bool) {
	if m == nil {
		return e, false
	}
	i, ok := m.entries.GetIfPresent(k)
	if ok && i.flushes == flushes && i.expires > m.now().UnixNano() {
		if e, err := decode(i.data); err == nil {
			m.hits.Add(1)
			return e, true
		}
	}
	m.misses.Add(1)
	return Entry{}, false
}

func (m *memory) set(k Key, data string, expires time.Time, flushes uint64) {
	if m == nil {
		return
	}
	m.entries.Set(k, item{data, expires.UnixNano(), flushes})
	m.added.Add(1)
}

func (m *memory) clear() {
	if m != nil {
		m.entries.InvalidateAll()
	}
}

func (m *memory) close() {
	if m != nil {
		m.entries.InvalidateAll()
		m.entries.StopAllGoroutines()
	}
}

func (m *memory) stats() (s MemoryStats) {
	if m == nil {
		return s
	}
	return MemoryStats{
		Limit: m.limit, Bytes: int64(min(m.entries.WeightedSize(), math.MaxInt64)), Entries: m.entries.EstimatedSize(),
		Hits: m.hits.Load(), Misses: m.misses.Load(), Added: m.added.Load(), Evicted: m.evicted.Load(),
	}
}

// evictions counts entries that had to go for lack of room. It is the recorder of the
// library's statistics.
type evictions atomic.Uint64

func (e *evictions) RecordEviction(uint32)         { (*atomic.Uint64)(e).Add(1) }
func (*evictions) RecordHits(int)                  {}
func (*evictions) RecordMisses(int)                {}
func (*evictions) RecordLoadSuccess(time.Duration) {}
func (*evictions) RecordLoadFailure(time.Duration) {}
