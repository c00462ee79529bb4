// Package poison finds the objects on which an engine dies or hangs each time, and keeps
// the list of those that are withheld from it.
//
// Not every failed scan counts against its object. A broken connection counts only if no
// other scan running on the node at the time is answered: an overloaded engine closes some
// connections and goes on. If several scans die together, the failure counts against each
// object, since nothing shows which one killed the engine. The guilty one is withheld after
// its third death; a successful scan clears any of the others. A timeout counts only if the
// engine was alive in the meantime: if it answers the first scan or health check that
// starts after half of that time. A stopped or overloaded node does not, and no object is
// to blame.
package poison

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// Digest identifies an object by its bytes.
type Digest struct {
	Size int64
	Sum  [sha256.Size]byte
}

// MaxFailures is how often an engine may die or hang on an object before the object is
// withheld.
const MaxFailures = 3

// maxListed bounds a list; the oldest entries are dropped first.
const maxListed = 1000

// List holds the objects that an engine has died or hung on. It is normally empty, and
// then costs a scan no more than an atomic load. An entry is kept for twice the period
// for which it may be withheld: if the engine dies again on the next try, the object is
// withheld again. The zero value is an empty list. It is safe for concurrent use.
type List struct {
	n atomic.Int64 // entries

	mu      sync.Mutex
	entries map[Digest]*list.Element
	sizes   map[int64]int // entries of each size
	order   list.List     // of *entry, the most recent failure last
}

type entry struct {
	digest   Digest
	failures int
	last     time.Time
}

func (e *entry) withheld(period time.Duration, now time.Time) bool {
	return e.failures >= MaxFailures && now.Sub(e.last) < period
}

// HasSize reports whether an object of size bytes is on the list.
func (l *List) HasSize(size int64, period time.Duration) bool {
	if l.n.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(period, time.Now())
	return l.sizes[size] > 0
}

// Has reports whether d is on the list.
func (l *List) Has(d Digest, period time.Duration) bool {
	if !l.HasSize(d.Size, period) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[d] != nil
}

// Withheld returns how much longer d is withheld; 0: it is not.
func (l *List) Withheld(d Digest, period time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	el := l.entries[d]
	if el == nil || !el.Value.(*entry).withheld(period, now) {
		return 0
	}
	return period - now.Sub(el.Value.(*entry).last)
}

// AddFailure counts a death or hang on d. It reports whether d is newly withheld.
func (l *List) AddFailure(d Digest, period time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.expire(period, now)
	el := l.entries[d]
	if el == nil {
		el = l.add(d)
	}
	l.order.MoveToBack(el)
	e := el.Value.(*entry)
	before := e.withheld(period, now)
	e.failures++
	e.last = now
	return !before && e.withheld(period, now)
}

func (l *List) add(d Digest) *list.Element {
	if l.entries == nil {
		l.entries, l.sizes = map[Digest]*list.Element{}, map[int64]int{}
	}
	if l.order.Len() >= maxListed {
		l.remove(l.order.Front())
	}
	el := l.order.PushBack(&entry{digest: d})
	l.entries[d] = el
	l.sizes[d.Size]++
	l.n.Add(1)
	return el
}

// Clear removes d, which the engine has scanned after all.
func (l *List) Clear(d Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if el := l.entries[d]; el != nil {
		l.remove(el)
	}
}

// CountWithheld is the number of objects that are withheld.
func (l *List) CountWithheld(period time.Duration) int {
	if l.n.Load() == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	n := 0
	for el := l.order.Front(); el != nil; el = el.Next() {
		if el.Value.(*entry).withheld(period, now) {
			n++
		}
	}
	return n
}

// expire removes entries older than twice the period. The caller holds mu.
func (l *List) expire(period time.Duration, now time.Time) {
	for el := l.order.Front(); el != nil && now.Sub(el.Value.(*entry).last) >= 2*period; el = l.order.Front() {
		l.remove(el)
	}
}

func (l *List) remove(el *list.Element) {
	d := l.order.Remove(el).(*entry).digest
	delete(l.entries, d)
	if l.sizes[d.Size]--; l.sizes[d.Size] == 0 {
		delete(l.sizes, d.Size)
	}
	l.n.Add(-1)
}
