package line

import (
	"sync"
	"time"
)

// maxIdle is how long a connection is kept idle. The daemons' own limits are not
// known; 30 s is where impatient ones end a silent connection.
const maxIdle = 25 * time.Second

// pool keeps connections that have nothing to do, the last used first, so that
// what a burst left over gets old. It has no goroutine, and one timer while it is
// not empty.
type pool struct {
	keep bool // else nothing is kept

	mu     sync.Mutex
	idle   []keptConn // oldest first
	timer  *time.Timer
	armed  bool
	closed bool
}

type keptConn struct {
	c     *Conn
	since time.Time
}

// take returns a connection that was in order a moment ago, or nil.
func (p *pool) take() *Conn {
	for {
		c := p.pop()
		if c == nil || c.quiet() {
			return c
		}
		c.close()
	}
}

func (p *pool) pop() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1].c
	p.idle[n-1] = keptConn{}
	p.idle = p.idle[:n-1]
	return c
}

// put keeps a connection, or reports false.
func (p *pool) put(c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !p.keep {
		return false
	}
	p.idle = append(p.idle, keptConn{c, time.Now()})
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
	old := append([]keptConn(nil), p.idle[:n]...)
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

// close ends all connections, with bye, and keeps none from now on.
func (p *pool) close(bye string) {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, k := range idle {
		k.c.bye(bye)
	}
}
