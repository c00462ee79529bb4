package icap

import (
	"sync"
	"time"
)

// maxIdle is how long a connection is kept idle. c-icap's KeepAliveTimeout is 60 s
// and more, but 30 s is where many silent connections end.
const maxIdle = 25 * time.Second

// pool keeps connections that have nothing to do, the last used first, so that what
// a burst left over gets old. It never has more of them than there were scans at
// once. It has no goroutine, and one timer while it is not empty.
type pool struct {
	keep bool // else nothing is kept

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
		c.Close()
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

// put keeps a connection, or closes it.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !p.keep {
		c.Close()
		return
	}
	c.reused = true
	p.idle = append(p.idle, kept{c, time.Now()})
	if !p.armed {
		p.arm(maxIdle)
	}
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

// reap ends the connections that are too old at now.
func (p *pool) reap(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= maxIdle {
		p.idle[n].c.Close()
		n++
	}
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.armed = false
	if len(p.idle) > 0 && !p.closed {
		p.arm(maxIdle - now.Sub(p.idle[0].since))
	}
}

// close ends all connections and keeps none from now on.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.idle {
		k.c.Close()
	}
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
}
