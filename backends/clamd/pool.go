package clamd

import (
	"sync"
	"time"

	"polyclam/protocol"
)

// maxIdle is how long a session is kept idle. clamd's default ReadTimeout is 120 s,
// but ends below it are common; 30 s is where a silent connection ends.
const maxIdle = 25 * time.Second

// pool keeps sessions that have nothing to do, the last used first, so that what a
// burst left over gets old. It never has more of them than there were scans at
// once. It has no goroutine, and one timer while it is not empty.
type pool struct {
	keep bool // else nothing is kept

	mu     sync.Mutex
	idle   []keptSession // oldest first
	timer  *time.Timer
	armed  bool
	closed bool
}

type keptSession struct {
	s     *protocol.ClientSession
	since time.Time
}

// take returns a session that was in order a moment ago, or nil.
func (p *pool) take() *protocol.ClientSession {
	for {
		s := p.pop()
		if s == nil || s.Usable() {
			return s
		}
		s.Close()
	}
}

func (p *pool) pop() *protocol.ClientSession {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	s := p.idle[n-1].s
	p.idle[n-1] = keptSession{}
	p.idle = p.idle[:n-1]
	return s
}

// put keeps a session.
func (p *pool) put(s *protocol.ClientSession) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.Close()
		return
	}
	p.idle = append(p.idle, keptSession{s, time.Now()})
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

// reap ends the sessions that are too old at now.
func (p *pool) reap(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= maxIdle {
		n++
	}
	old := append([]keptSession(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	p.armed = false
	if len(p.idle) > 0 {
		p.arm(maxIdle - now.Sub(p.idle[0].since))
	}
	p.mu.Unlock()
	for _, k := range old {
		k.s.Close()
	}
}

// close ends all sessions and keeps none from now on.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, k := range idle {
		k.s.Close()
	}
}
