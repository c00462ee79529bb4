package proxy

import (
	"slices"
	"sync"
	"time"

	"polyclam/proxy/client"
)

// scans are the scans under way. The zero value is ready for use.
type scans struct {
	mu   sync.Mutex
	last uint64
	m    map[uint64]runningScan
}

type runningScan struct {
	client       client.Key
	verb, object string
	start        time.Time
}

// begin adds a scan, and returns a function that removes it.
func (s *scans) begin(k client.Key, verb, object string) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[uint64]runningScan{}
	}
	s.last++
	id := s.last
	s.m[id] = runningScan{k, verb, object, time.Now()}
	return func() {
		s.mu.Lock()
		delete(s.m, id)
		s.mu.Unlock()
	}
}

// list returns the scans under way, the oldest first.
func (s *scans) list() []runningScan {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]runningScan, 0, len(s.m))
	for _, scan := range s.m {
		out = append(out, scan)
	}
	slices.SortFunc(out, func(a, b runningScan) int { return a.start.Compare(b.start) })
	return out
}
