package proxy

import (
	"sync"
	"time"
)

const (
	// partWithin is how long a client that has its reply may take to close the connection
	// before a goroutine waits for it.
	partWithin = 3 * time.Millisecond
	// maxParting limits the sessions that wait for this, and partingShare the part of
	// limits.connections that they may take: their places are still theirs.
	maxParting   = 64
	partingShare = 8
	// partingBytes is how much late input of one client is dropped without a goroutine.
	partingBytes = 64 << 10
)

// parting holds the sessions whose clients have their replies, and are about to close their
// connections. A session that waited for this would have to add its connection to those that
// Go's runtime polls, and remove it a moment later. Instead one timer looks after them all.
type parting struct {
	mu    sync.Mutex
	list  []*session
	spare []*session // backs the next list
	timer *time.Timer
}

// add takes over a session, unless there are too many. After partWithin, sweep is called.
func (p *parting) add(s *session, connections int, sweep func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) >= min(maxParting, connections/partingShare) {
		return false
	}
	if p.list = append(p.list, s); len(p.list) > 1 {
		return true
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(partWithin, sweep)
	} else {
		p.timer.Reset(partWithin)
	}
	return true
}

// take removes and returns all sessions. The caller returns the slice to giveBack.
func (p *parting) take() []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list
	p.list, p.spare = p.spare[:0], nil
	return list
}

func (p *parting) giveBack(list []*session) {
	clear(list)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare = list[:0]
}

// sweepParting ends the sessions whose clients have closed. A goroutine waits for each of
// the others.
func (s *Server) sweepParting() {
	list := s.parting.take()
	for _, c := range list {
		c.sweep()
	}
	s.parting.giveBack(list)
}

// part has the timer end the session, if its connection is one that is not polled yet.
func (s *session) part() bool {
	nc, ok := s.nc.(interface{ Polled() bool })
	if !ok || nc.Polled() {
		return false
	}
	s.parted = true // the timer may be quick
	s.parted = s.srv.parting.add(s, s.srv.limits().Connections, s.srv.sweepParting)
	return s.parted
}

func (s *session) sweep() {
	n, err := s.conn.DiscardReceived(partingBytes)
	if err != nil {
		s.close()
		return
	}
	go func() {
		defer s.close()
		defer s.rescue(nil)
		s.lingerOn(lingerBytes - n)
	}()
}
