// Package idle keeps connections to an engine between scans.
package idle

import (
	"slices"
	"sync"
	"time"
)

// Pool keeps connections that have nothing to do, the last used first, so that what
// a burst left over gets old. It never has more of them than there were scans at
// once. It has no goroutine, and one timer while it is not empty. The fields are set
// before its first use; it is safe for concurrent use.
type Pool[C any] struct {
	Off   bool          // keeps nothing
	Limit time.Duration // how long a connection is kept
	Most  int           // connections kept; 0: no limit
	Rest  time.Duration // how long a connection is left alone before it is taken again
	Alive func(C) bool  // whether it is in order still
	End   func(C)       // ends one

	mu     sync.Mutex
	idle   []kept[C] // oldest first
	timer  *time.Timer
	armed  bool
	closed bool
}

type kept[C any] struct {
	c     C
	since time.Time
}

// Take returns a connection that was in order a moment ago, or false.
func (p *Pool[C]) Take() (C, bool) {
	for {
		c, ok := p.pop()
		if !ok || p.Alive(c) {
			return c, ok
		}
		p.End(c)
	}
}

func (p *Pool[C]) pop() (c C, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	for n > 0 && p.Rest > 0 && time.Since(p.idle[n-1].since) < p.Rest {
		n--
	}
	if n == 0 {
		return c, false
	}
	c = p.idle[n-1].c
	p.idle = slices.Delete(p.idle, n-1, n)
	return c, true
}

// Put keeps a connection. It reports false if it is not kept: it is the caller's
// still.
func (p *Pool[C]) Put(c C) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.Off || p.Most > 0 && len(p.idle) >= p.Most {
		return false
	}
	p.idle = append(p.idle, kept[C]{c, time.Now()})
	if !p.armed {
		p.arm(p.Limit)
	}
	return true
}

// Len is how many connections are kept.
func (p *Pool[C]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// arm starts the timer. The caller holds mu.
func (p *Pool[C]) arm(d time.Duration) {
	p.armed = true
	if p.timer == nil {
		p.timer = time.AfterFunc(d, func() { p.Reap(time.Now()) })
		return
	}
	p.timer.Reset(d)
}

// Reap ends the connections that are too old at now. The pool's timer does it; it is
// there for tests, which do not wait.
func (p *Pool[C]) Reap(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= p.Limit {
		n++
	}
	old := append([]kept[C](nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.armed = false
	if len(p.idle) > 0 && !p.closed {
		p.arm(p.Limit - now.Sub(p.idle[0].since))
	}
	p.mu.Unlock()
	for _, k := range old {
		p.End(k.c)
	}
}

// Close ends all connections by end, and keeps none from now on.
func (p *Pool[C]) Close(end func(C)) {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, k := range idle {
		end(k.c)
	}
}
