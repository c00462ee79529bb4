package wire

import (
	"sync"
	"time"
)

const (
	// maxIdle is how long a connection is kept idle. Servers end it when they like,
	// Node's after 5 s.
	maxIdle = 20 * time.Second
	// mostIdle is how many are kept.
	mostIdle = 64
)

// pool keeps connections that have nothing to do, the last used first, so that what
// a burst left over gets old. It has no goroutine, and one timer while it is not
// empty.
type pool struct {
	mu     sync.Mutex
	idle   []kept // oldest first
	timer  *time.Timer
	armed  bool
	closed bool
}

type kept struct {
	c     *conn
	since time.Time
}

// take returns a connection that was in order a moment ago, or nil.
func (p *pool) take() *conn {
	for {
		c := p.pop()
		if c == nil || c.quiet() {
			return c
		}
		c.close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1].c
	p.idle[n-1] = kept{}
	p.idle = p.idle[:n-1]
	return c
}

// put keeps a connection, or reports false.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) == mostIdle {
		return false
	}
	p.idle = append(p.idle, kept{c, time.Now()})
	if !p.armed {
		p.arm(maxIdle)
	}
	return true
}

// arm starts the timer. The caller holds mu.
func (p *pool) arm(d time.Duration) {
	p.armed = true
	if p.timer == nil {
		p.timer = time.AfterFunc(d, func() { p.reap(time.Now()) })
		return
	}
	p.timer.Reset(d)
}

// reap closes the connections that are too old at now.
func (p *pool) reap(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= maxIdle {
		n++
	}
	old := append([]kept(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.armed = false
	if len(p.idle) > 0 {
		p.arm(maxIdle - now.Sub(p.idle[0].since))
	}
	p.mu.Unlock()
	for _, k := range old {
		k.c.close()
	}
}

// close closes all connections and keeps none from now on.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, k := range idle {
		k.c.close()
	}
}
