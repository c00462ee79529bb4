// Package idle is a pool of idle connections to an engine.
package idle

import (
	"context"
	"slices"
	"sync"
	"time"

	"polyclam/backends"
)

// A Pool keeps idle connections. It reuses the most recently used one first, so that the
// surplus of a burst expires. It never holds more connections than there were concurrent
// scans. It has no goroutine, only a timer while it is not empty. Set the fields before
// its first use; it is safe for concurrent use.
type Pool[C any] struct {
	Disabled  bool          // keeps nothing
	IdleLimit time.Duration // how long a connection is kept
	MaxIdle   int           // connections kept; 0: no limit
	Cooldown  time.Duration // how long a connection rests before it is reused
	Alive     func(C) bool  // reports whether it can still be used
	Discard   func(C)       // closes it

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

// Take returns a connection that is Alive, or false. The scan of a suspect gets none, see
// [backends.WithSuspect].
func (p *Pool[C]) Take(ctx context.Context) (c C, ok bool) {
	if backends.IsSuspect(ctx) {
		return c, false
	}
	for {
		c, ok := p.pop()
		if !ok || p.Alive(c) {
			return c, ok
		}
		p.Discard(c)
	}
}

func (p *Pool[C]) pop() (c C, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	for n > 0 && p.Cooldown > 0 && time.Since(p.idle[n-1].since) < p.Cooldown {
		n--
	}
	if n == 0 {
		return c, false
	}
	c = p.idle[n-1].c
	p.idle = slices.Delete(p.idle, n-1, n)
	return c, true
}

// Put adds a connection. If it returns false, the connection still belongs to the caller.
func (p *Pool[C]) Put(c C) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.Disabled || p.MaxIdle > 0 && len(p.idle) >= p.MaxIdle {
		return false
	}
	p.idle = append(p.idle, kept[C]{c, time.Now()})
	if !p.armed {
		p.arm(p.IdleLimit)
	}
	return true
}

// Len returns the number of idle connections.
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

// Reap closes the connections that have expired at now. The pool's timer calls it, and
// tests call it instead of waiting.
func (p *Pool[C]) Reap(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= p.IdleLimit {
		n++
	}
	old := append([]kept[C](nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.armed = false
	if len(p.idle) > 0 && !p.closed {
		p.arm(p.IdleLimit - now.Sub(p.idle[0].since))
	}
	p.mu.Unlock()
	for _, k := range old {
		p.Discard(k.c)
	}
}

// Close closes all connections with end. After that, Put keeps none.
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
