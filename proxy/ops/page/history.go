package page

import (
	"sync"
	"time"

	"polyclam/proxy"
	"polyclam/proxy/count"
)

const (
	minutes  = 60  // of history
	maxNodes = 256 // with a history; further nodes have no sparkline
)

// latencies are durations by bucket, as in [count.Value].
type latencies [len(count.Bounds) + 1]uint32

// value returns l in the wider form that can be added up. It has no sum of the durations.
func (l *latencies) value() (v count.Value) {
	for i, n := range l {
		v.Counts[i] = uint64(n)
	}
	return v
}

// A nodeMinute is what a node did in one minute.
type nodeMinute struct {
	times    latencies
	failures uint32
}

// A series has a value for each minute of the last hour. The history knows which.
type series[T any] [minutes]T

// ordered returns the values from the oldest to the newest, which is that of minute newest.
func (s *series[T]) ordered(newest int64) (list [minutes]T) {
	for i := range list {
		list[i] = s[slot(newest-minutes+1+int64(i))]
	}
	return list
}

func slot(minute int64) int64 { return (minute%minutes + minutes) % minutes }

type nodeKey struct{ engine, address string }

// A nodeHistory is the last hour of one node.
type nodeHistory struct {
	last     count.Value
	failures uint64
	round    uint64 // of the last sample with the node
	minutes  series[nodeMinute]
}

// A history is the last hour, minute by minute: the verdicts of the server, and how long
// each node took. Its size is bounded: about 4 KiB for each of at most [maxNodes] nodes. It
// is safe for concurrent use.
type history struct {
	mu       sync.Mutex
	started  bool
	newest   int64 // the minute of the last sample, since 1970
	round    uint64
	scans    map[proxy.ScanCount]uint64 // as last counted; the keys have no Count
	verdicts series[count.ByCategory]
	nodes    map[nodeKey]*nodeHistory
}

// add adds what was counted since the sample before. The first sample only says where
// counting starts.
func (h *history) add(s *proxy.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.advance(s.Time)
	h.round++
	h.addScans(s.Scans, first)
	for i := range s.Engines {
		for j := range s.Engines[i].Nodes {
			n := &s.Engines[i].Nodes[j]
			h.addNode(nodeKey{s.Engines[i].Name, n.Address}, n.Counters.Failures, count.Sum(n.Counters.Times))
		}
	}
	for key, n := range h.nodes {
		if n.round != h.round { // it was removed
			delete(h.nodes, key)
		}
	}
}

// advance makes the minute of now the newest. It reports whether the history starts, which
// it does again after the clock was set back.
func (h *history) advance(now time.Time) (first bool) {
	minute := now.Unix() / 60
	if !h.started || minute < h.newest-1 {
		h.started, h.newest = true, minute
		h.scans, h.nodes, h.verdicts = map[proxy.ScanCount]uint64{}, map[nodeKey]*nodeHistory{}, series[count.ByCategory]{}
		return true
	}
	from := max(h.newest, minute-minutes)
	for m := from + 1; m <= minute; m++ {
		h.verdicts[slot(m)] = count.ByCategory{}
		for _, n := range h.nodes {
			n.minutes[slot(m)] = nodeMinute{}
		}
	}
	h.newest = max(h.newest, minute)
	return false
}

func (h *history) addScans(scans []proxy.ScanCount, first bool) {
	next := make(map[proxy.ScanCount]uint64, len(scans))
	for _, c := range scans {
		key := c
		key.Count = 0
		next[key] = c.Count
		if !first {
			h.verdicts[slot(h.newest)].Add(c.Category, since(c.Count, h.scans[key]))
		}
	}
	h.scans = next
}

func (h *history) addNode(key nodeKey, failures uint64, now count.Value) {
	n := h.nodes[key]
	if n == nil {
		if len(h.nodes) < maxNodes {
			h.nodes[key] = &nodeHistory{last: now, failures: failures, round: h.round}
		}
		return
	}
	m := &n.minutes[slot(h.newest)]
	for i, c := range now.Counts {
		m.times[i] += uint32(since(c, n.last.Counts[i]))
	}
	m.failures += uint32(since(failures, n.failures))
	n.last, n.failures, n.round = now, failures, h.round
}

// since returns what a counter has counted since an earlier value. If it has been reset, it
// counts from 0.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// hour returns the verdicts of each minute, the oldest first, and the time at which the
// last of these minutes begins. It is zero if there is no history.
func (h *history) hour() (verdicts [minutes]count.ByCategory, newest time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.started {
		return verdicts, time.Time{}
	}
	return h.verdicts.ordered(h.newest), time.Unix(h.newest*60, 0)
}

// node returns the last hour of one node, the oldest minute first, and whether there is one.
func (h *history) node(engine, address string) (list [minutes]nodeMinute, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.nodes[nodeKey{engine, address}]
	if n == nil {
		return list, false
	}
	return n.minutes.ordered(h.newest), true
}
