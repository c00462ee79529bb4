// Package pagetest has made-up servers for tests of the status page.
package pagetest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"polyclam/backends"
	"polyclam/proxy"
	"polyclam/proxy/count"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/record"
)

// A Scene is the state of a made-up server, whose time only [Scene.Advance] changes. It is
// the same in every run. It is safe for concurrent use.
type Scene struct {
	mu     sync.Mutex
	snap   proxy.Snapshot
	scans  []*record.Scan
	random *rand.Rand
	busy   []load
}

// A load is how many objects a node gets within 15 seconds, and how long each takes.
type load struct {
	engine, node int
	scans        int
	typical      time.Duration
	failures     float64 // the share of scans that fail
}

// Snapshot implements page.Source.
func (s *Scene) Snapshot() proxy.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.snap
	c.Scans, c.Engines = slices.Clone(c.Scans), slices.Clone(c.Engines)
	for i := range c.Engines {
		c.Engines[i].Nodes = slices.Clone(c.Engines[i].Nodes)
	}
	return c
}

// NotOK implements page.Source.
func (s *Scene) NotOK(max int) []*record.Scan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.scans[:min(max, len(s.scans))])
}

// Change changes the state.
func (s *Scene) Change(f func(*proxy.Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.snap)
}

// Advance lets 15 seconds pass, with scans.
func (s *Scene) Advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snap.Time = s.snap.Time.Add(15 * time.Second)
	most := 0
	for _, l := range s.busy {
		n := s.scansOf(l)
		most = max(most, n)
		s.scan(l, n)
	}
	for range most {
		s.verdict()
	}
}

func (s *Scene) scansOf(l load) int {
	minute := s.snap.Time.Minute()
	n := l.scans + s.random.IntN(l.scans/2+1)
	if minute > 20 && minute < 29 { // a wave
		n *= 2
	}
	return n
}

// scan counts n scans at one node.
func (s *Scene) scan(l load, n int) {
	c := &s.snap.Engines[l.engine].Nodes[l.node].Counters
	for range n {
		c.Scans++
		s.snap.Engines[l.engine].Counters.Scans++
		if s.random.Float64() < l.failures {
			c.Failures++
			c.Results[index(backends.Interrupted)]++
			c.Kinds[index(backends.Interrupted)]++
			continue
		}
		category := s.category()
		if category.IsFailure() {
			category = backends.OK
		}
		c.Results[index(category)]++
		took := time.Duration(float64(l.typical) * (0.4 + s.random.ExpFloat64()))
		if m := s.snap.Time.Minute(); m > 20 && m < 29 {
			took *= 2
		}
		var h count.Histogram
		h.Observe(took)
		v := h.Value()
		for i, k := range v.Counts {
			c.Times[0].Counts[i] += k
		}
		c.Times[0].Sum += v.Sum
	}
}

// verdict counts one verdict.
func (s *Scene) verdict() {
	category := s.category()
	action := policy.OK
	switch {
	case category == backends.Virus, category == backends.Suspicious:
		action = policy.Quarantine
	case category.IsFailure():
		action = policy.Tempfail
	}
	want := proxy.ScanCount{Listener: "unix:/run/polyclam/clamd.sock", Command: "INSTREAM", Category: category, Action: action}
	for i := range s.snap.Scans {
		c := &s.snap.Scans[i]
		if want.Count = c.Count; *c == want {
			c.Count++
			return
		}
	}
	want.Count = 1
	s.snap.Scans = append(s.snap.Scans, want)
}

// category draws a category: nearly always ok.
func (s *Scene) category() backends.Category {
	switch n := s.random.IntN(1000); {
	case n < 4:
		return backends.Virus
	case n < 7:
		return backends.Suspicious
	case n < 19:
		return backends.Encrypted
	case n < 23:
		return backends.Partial
	case n < 24 && len(s.busy) > 2:
		return backends.Interrupted
	}
	return backends.OK
}

func index(c backends.Category) int { return slices.Index(backends.Categories(), c) }

// canary is a good health check.
func canary(at time.Time, name string) engine.Canary {
	return engine.Canary{Time: at, Clean: backends.OK, EICAR: backends.Virus, Name: name, Encrypted: backends.Encrypted, Mail: backends.Virus}
}
