package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"polyclam/protocol/extended"
	"polyclam/proxy/count"
	"polyclam/proxy/engine"
)

// topStatus is what top needs of the answer to /status.
type topStatus struct {
	Time    time.Time
	Started time.Time
	Server  extended.Server
	Ready   struct {
		Ready   bool     `json:"ready"`
		Reasons []string `json:"reasons"`
	}
	Scans []struct {
		Category string
		Count    uint64
	}
	Engines []engine.Status
	Latency []nodeLatency
}

// nodeLatency is how long a node took for its scans so far.
type nodeLatency struct {
	Engine string      `json:"engine"`
	Node   string      `json:"node"`
	Times  count.Value `json:"times"`
}

// topRow is one node in the table.
type topRow struct {
	engine, node, mode, state string
	inFlight, slots, waiting  int
	scans, failures           float64 // per second
	p50, p95                  time.Duration
	hasTimes                  bool // something was scanned in the interval
	database                  time.Time
}

// topTable is the state between two statuses.
type topTable struct {
	now        *topStatus
	interval   time.Duration // 0: not known
	scans      float64       // per second, as all other rates
	categories []topRate     // the most frequent first
	failures   float64
	rows       []topRow
	cache      extended.CacheState // the hits and misses are those of the interval
}

type topRate struct {
	name string
	rate float64
}

// compare returns the table for the time between two statuses. After a restart of polyclamd
// that time begins at its start.
func compare(before, now *topStatus) *topTable {
	t := &topTable{now: now}
	if before == nil || !before.Started.Equal(now.Started) {
		before = &topStatus{Time: now.Started}
	}
	t.interval = max(0, now.Time.Sub(before.Time))
	perSecond := func(n uint64) float64 {
		if t.interval <= 0 {
			return 0
		}
		return float64(n) / t.interval.Seconds()
	}
	counts, old := byCategory(now), byCategory(before)
	for name, n := range counts {
		rate := perSecond(grown(n, old[name]))
		t.scans += rate
		t.categories = append(t.categories, topRate{name, rate})
	}
	slices.SortFunc(t.categories, func(a, b topRate) int {
		return cmp.Or(cmp.Compare(b.rate, a.rate), strings.Compare(a.name, b.name))
	})
	t.cache = now.Server.CacheState
	t.cache.CacheHits = int64(grown(uint64(t.cache.CacheHits), uint64(before.Server.CacheHits)))
	t.cache.CacheMisses = int64(grown(uint64(t.cache.CacheMisses), uint64(before.Server.CacheMisses)))
	for _, e := range now.Engines {
		for _, n := range e.Nodes {
			was := before.counters(e.Name, n.Address)
			row := topRow{
				engine: e.Name, node: n.Address, mode: string(e.Mode), state: n.State, inFlight: n.InFlight, waiting: e.Waiting,
				scans: perSecond(grown(n.Counters.Scans, was.Scans)), failures: perSecond(grown(n.Counters.Failures, was.Failures)),
				database: n.DatabaseTime,
			}
			if n.Drained {
				row.state = "drained"
			}
			if len(e.Nodes) > 0 {
				row.slots = e.Slots / len(e.Nodes)
			}
			times := timesSince(now.times(e.Name, n.Address), before.times(e.Name, n.Address))
			row.p50, row.hasTimes = times.Quantile(0.50)
			row.p95, _ = times.Quantile(0.95)
			t.failures += row.failures
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// grown is how much a counter has grown. One that is lower than before has begun again.
func grown(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

func timesSince(now, before count.Value) count.Value {
	for i := range now.Counts {
		if now.Counts[i] < before.Counts[i] {
			return now
		}
	}
	return now.Since(before)
}

func byCategory(s *topStatus) map[string]uint64 {
	counts := map[string]uint64{}
	for _, c := range s.Scans {
		counts[cmp.Or(c.Category, "not scanned")] += c.Count
	}
	return counts
}

func (s *topStatus) counters(engineName, address string) engine.Counters {
	for _, e := range s.Engines {
		for _, n := range e.Nodes {
			if e.Name == engineName && n.Address == address {
				return n.Counters
			}
		}
	}
	return engine.Counters{}
}

func (s *topStatus) times(engineName, address string) count.Value {
	for _, l := range s.Latency {
		if l.Engine == engineName && l.Node == address {
			return l.Times
		}
	}
	return count.Value{}
}
