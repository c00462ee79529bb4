package spool

import (
	"sync"
	"time"
)

// The sizes of segments. A client that sends one byte and then stalls costs the smallest
// one.
const (
	smallest = 1 << 10
	classes  = 5
)

// classSize is the capacity of the segments of class i: 1, 4, 16, 64 and 256 KiB.
func classSize(i int) int64 { return smallest << (2 * i) }

// fewLarge is how many free segments of the largest class are always kept.
const fewLarge = 16

// kept is how many free segments of class i are kept: 1 MiB of each smaller class, 4 MiB of
// the largest, 8 MiB in all, and more of the largest where long objects stay in memory. The
// rest is left to the garbage collector.
func (p *pool) kept(i int) int {
	if i == classes-1 {
		return max(fewLarge, p.large)
	}
	return int(1 << 20 / classSize(i))
}

// A pool keeps free segments, a bounded number of each class. The zero pool is ready for
// use.
type pool struct {
	mu    sync.Mutex
	free  [classes][][]byte
	large int         // segments of the largest class to keep, if more than fewLarge
	least int         // of them that were free since the last trim
	timer *time.Timer // runs trim while there are more than fewLarge
}

// configure sets how many bytes of the largest segments are kept.
func (p *pool) configure(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.large = int(bytes / classSize(classes-1))
	p.cut(p.kept(classes - 1))
}

// trim frees the largest segments that were not needed since it last ran.
func (p *pool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free[classes-1])
	p.cut(max(fewLarge, n-p.least))
	p.timer = nil
	p.schedule()
}

// cut keeps at most n of the largest segments. The caller holds mu.
func (p *pool) cut(n int) {
	free := p.free[classes-1]
	if len(free) > n {
		clear(free[n:])
		p.free[classes-1] = free[:n]
	}
}

// schedule has trim run later if it may have to. The caller holds mu.
func (p *pool) schedule() {
	n := len(p.free[classes-1])
	if p.least = n; n > fewLarge && p.timer == nil {
		p.timer = time.AfterFunc(keptFor, p.trim)
	}
}

// get returns an empty segment of the class.
func (p *pool) get(class int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.free[class]
	if n := len(free); n > 0 {
		b := free[n-1]
		free[n-1] = nil
		p.free[class] = free[:n-1]
		if class == classes-1 {
			p.least = min(p.least, n-1)
		}
		return b[:0]
	}
	return make([]byte, 0, classSize(class))
}

// put takes back a segment from get.
func (p *pool) put(b []byte) {
	for i := range p.free {
		if int64(cap(b)) != classSize(i) {
			continue
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.free[i]) < p.kept(i) {
			p.free[i] = append(p.free[i], b)
		}
		if i == classes-1 && p.timer == nil {
			p.schedule()
		}
		return
	}
}

// size is the number of bytes kept.
func (p *pool) size() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int64
	for i, free := range p.free {
		n += int64(len(free)) * classSize(i)
	}
	return n
}

// nextClass is the class of the next segment of an object that has n segments, is about to
// get want more bytes, and may get at most room more bytes in memory.
func nextClass(n int, want, room int64) int {
	class := min(n, classes-1)
	for class < classes-1 && classSize(class) < want {
		class++
	}
	for class > 0 && classSize(class-1) >= room {
		class--
	}
	return class
}

// reserveMemory counts n more bytes in memory. It reports false if that exceeds limit.
func (s *Spool) reserveMemory(n, limit int64) bool {
	if s.inMemory.Add(n) > limit && limit > 0 {
		s.inMemory.Add(-n)
		return false
	}
	return true
}
