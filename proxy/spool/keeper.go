package spool

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MaxKept is how many memories are kept at most. Each takes a descriptor.
const MaxKept = 64

const (
	// keptFor is how long an unused memory is kept.
	keptFor = time.Minute
	// heldFor is how long a memory waits for an engine that has answered and not closed its
	// descriptor yet. After that the memory is given up.
	heldFor = time.Second
	// keptTries is how many kept memories are tried for one object.
	keptTries = 3
)

// A keeper keeps the memory of objects for the next ones: at most so much, for some time, and
// only what no upload needs. What it keeps counts in the quota. A zero keeper with its quota
// set keeps nothing.
type keeper struct {
	quota *quota

	mu     sync.Mutex
	limit  int64       // bytes; 0: nothing is kept
	free   []*memory   // the last released at the end
	timer  *time.Timer // set while free is not empty
	closed bool

	rounds                atomic.Uint64
	reused, held, tainted atomic.Int64
}

// get returns a kept memory that suits an object of size bytes, or nil. If the object is not
// complete, size is what it has so far. The memory stays counted as kept.
func (k *keeper) get(size int64, complete bool) *memory {
	round := k.rounds.Add(1)
	for range keptTries {
		m := k.take(size, complete, round)
		if m == nil {
			return nil
		}
		if !m.lent() {
			k.reused.Add(1)
			return m
		}
		if time.Since(m.released) >= heldFor || !k.giveBack(m, round) {
			k.held.Add(1)
			k.discard(m)
		}
	}
	return nil
}

// giveBack keeps a memory that is still lent a little longer.
func (k *keeper) giveBack(m *memory, round uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || len(k.free) >= MaxKept {
		return false
	}
	m.round = round
	k.free = slices.Insert(k.free, 0, m)
	k.schedule()
	return true
}

// take removes the memory that suits best, and has not been tried in this round.
func (k *keeper) take(size int64, complete bool, round uint64) *memory {
	k.mu.Lock()
	defer k.mu.Unlock()
	best, cost := -1, int64(0)
	for i := len(k.free) - 1; i >= 0; i-- {
		m := k.free[i]
		if m.round == round {
			continue
		}
		if c, ok := costOf(m.pages(), pages(size), complete); ok && (best < 0 || c < cost) {
			best, cost = i, c
		}
	}
	if best < 0 {
		return nil
	}
	return k.remove(best)
}

// costOf is how many bytes of pages must be freed or added to use kept memory for an object.
// An object that is not complete is likely to grow, so it gets what is not too short, if
// there is any. ok is false if new memory is cheaper.
func costOf(kept, size int64, complete bool) (cost int64, ok bool) {
	const slack = 64 << 10
	switch {
	case kept < size && !complete:
		return 1<<40 - kept, true
	case kept < size:
		return size - kept, true
	}
	return kept - size, !complete || kept <= 2*size+slack
}

// remove removes and returns free[i]. The caller holds mu.
func (k *keeper) remove(i int) *memory {
	m := k.free[i]
	k.free = slices.Delete(k.free, i, i+1)
	return m
}

// put keeps the memory of a released object, or frees it. The memory does not count in the
// quota any more.
func (k *keeper) put(m *memory, tainted bool) {
	if tainted {
		k.tainted.Add(1)
		m.close()
		return
	}
	m.released = time.Now()
	for range keptTries {
		done, oldest := k.add(m)
		if done {
			return
		}
		if oldest == nil {
			break
		}
		k.discard(oldest)
	}
	m.close()
}

// add keeps m. If there is no room, it removes the oldest memory, for the caller to free.
func (k *keeper) add(m *memory) (done bool, oldest *memory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || m.pages() > k.limit/2 {
		return false, nil
	}
	if len(k.free) < MaxKept && k.quota.keep(m.pages(), k.limit) {
		k.free = append(k.free, m)
		k.schedule()
		return true, nil
	}
	return false, k.oldest()
}

// oldest removes the memory that has been unused for longest, if there is any. The caller
// holds mu.
func (k *keeper) oldest() *memory {
	if len(k.free) == 0 {
		return nil
	}
	return k.remove(0)
}

// shrink frees at least n bytes if so many are kept.
func (k *keeper) shrink(n int64) {
	for n > 0 {
		k.mu.Lock()
		m := k.oldest()
		k.mu.Unlock()
		if m == nil {
			return
		}
		n -= m.pages()
		k.discard(m)
	}
}

// discard frees a memory that counts as kept.
func (k *keeper) discard(m *memory) {
	m.close()
	k.quota.unkeep(m.pages())
}

// schedule has expire run when the first memory has been unused for long. The caller holds
// mu.
func (k *keeper) schedule() {
	if k.timer == nil {
		k.timer = time.AfterFunc(keptFor, k.expire)
	}
}

// expire frees what has not been used for keptFor.
func (k *keeper) expire() { k.expireBefore(time.Now().Add(-keptFor)) }

func (k *keeper) expireBefore(t time.Time) {
	k.mu.Lock()
	var old []*memory
	k.free = slices.DeleteFunc(k.free, func(m *memory) bool {
		if m.released.After(t) {
			return false
		}
		old = append(old, m)
		return true
	})
	if k.timer = nil; len(k.free) > 0 && !k.closed {
		k.schedule()
	}
	k.mu.Unlock()
	for _, m := range old {
		k.discard(m)
	}
}

// configure sets how many bytes are kept.
func (k *keeper) configure(limit int64) {
	k.mu.Lock()
	k.limit = limit
	k.mu.Unlock()
	k.shrink(k.quota.keptOver(limit))
}

// close frees everything. Nothing is kept any more.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
	}
	k.mu.Unlock()
	k.shrink(math.MaxInt64)
}
