package engine

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// digest identifies an object by its bytes.
type digest struct {
	size int64
	sum  [sha256.Size]byte
}

// maxStrikes is how often an engine may die or hang while it scans an object before the
// object is no longer given to it.
const maxStrikes = 3

// maxSuspects bounds a table of suspects; the oldest are forgotten first.
const maxSuspects = 1000

// suspicion is what is known of one object that an engine has died or hung on.
type suspicion struct {
	digest  digest
	strikes int
	last    time.Time
}

// withheld reports whether the object is not given to the engine now.
func (s *suspicion) withheld(period time.Duration, now time.Time) bool {
	return s.strikes >= maxStrikes && now.Sub(s.last) < period
}

// suspects is a table of such objects. It is empty in normal life, and then costs a
// scan no more than the load of n. An object is remembered for twice the time for which it may be
// withheld: if the engine dies again on its next try, it is withheld again.
type suspects struct {
	n atomic.Int64 // objects in the table

	mu    sync.Mutex
	table map[digest]*list.Element
	sizes map[int64]int // objects of each size
	order list.List     // of *suspicion, the last one struck last
}

// anyOf reports whether an object of that size is in the table.
func (s *suspects) anyOf(size int64, period time.Duration) bool {
	if s.n.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(period, time.Now())
	return s.sizes[size] > 0
}

// withheld reports for how long from now d is not given to the engine; 0: it is.
func (s *suspects) withheld(d digest, period time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	e := s.table[d]
	if e == nil || !e.Value.(*suspicion).withheld(period, now) {
		return 0
	}
	return period - now.Sub(e.Value.(*suspicion).last)
}

// strike notes that the engine died or hung on d. It reports whether d has become
// one that is withheld by that, and is to be logged.
func (s *suspects) strike(d digest, period time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(period, now)
	e := s.table[d]
	if e == nil {
		if s.table == nil {
			s.table, s.sizes = map[digest]*list.Element{}, map[int64]int{}
		}
		if s.order.Len() >= maxSuspects {
			s.forget(s.order.Front())
		}
		e = s.order.PushBack(&suspicion{digest: d})
		s.table[d] = e
		s.sizes[d.size]++
		s.n.Add(1)
	}
	s.order.MoveToBack(e)
	suspect := e.Value.(*suspicion)
	before := suspect.withheld(period, now)
	suspect.strikes++
	suspect.last = now
	return !before && suspect.withheld(period, now)
}

// clear is called when the engine has scanned d after all.
func (s *suspects) clear(d digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.table[d]; e != nil {
		s.forget(e)
	}
}

// count is how many objects are withheld.
func (s *suspects) count(period time.Duration) int {
	if s.n.Load() == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	n := 0
	for e := s.order.Front(); e != nil; e = e.Next() {
		if e.Value.(*suspicion).withheld(period, now) {
			n++
		}
	}
	return n
}

// expire forgets what is old. The caller has mu.
func (s *suspects) expire(period time.Duration, now time.Time) {
	for e := s.order.Front(); e != nil && now.Sub(e.Value.(*suspicion).last) >= 2*period; e = s.order.Front() {
		s.forget(e)
	}
}

func (s *suspects) forget(e *list.Element) {
	d := s.order.Remove(e).(*suspicion).digest
	delete(s.table, d)
	if s.sizes[d.size]--; s.sizes[d.size] == 0 {
		delete(s.sizes, d.size)
	}
	s.n.Add(-1)
}
