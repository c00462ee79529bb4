package proxy

import (
	"container/list"
	"time"

	"polyclam/proxy/client"
)

// refusalPause is how long no further line is logged about refused connections.
const refusalPause = time.Minute

// places are the connections, shared out between clients. The client of a connection is
// known only after accept, and a connection that is not accepted keeps those after it
// out. So one beyond the share of its client is accepted as well, and waits here,
// unread, until that client may have one more. Its client's share bounds what waits,
// too; what does not fit in is closed. Accept stops only while no client may have one
// more. Server.mu guards it all.
type places struct {
	accepts int           // under way: each has a place
	served  client.Shares // connections served, and what STREAM takes beside them
	waiting client.Shares // connections that wait
	queues  map[client.Key]*list.Element
	ring    list.List // of *queue, the next to be served first

	refused int       // connections closed since the last log line about it
	logged  time.Time // when that was
}

// A queue is the connections of one client that wait, the oldest first.
type queue struct {
	key      client.Key
	sessions []*session
}

// waitForRoom waits until one more connection may be accepted, and reserves its place.
// Beyond the limit clients wait in the listener's backlog, as they do with clamd.
func (s *Server) waitForRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &s.places
	for !s.closing && int64(p.accepts)+p.served.Sum() >= int64(s.cfg.Load().Limits.Connections) {
		s.room.Wait()
	}
	if s.closing {
		return false
	}
	p.accepts++
	return true
}

// leave gives back what waitForRoom reserved, if no connection was accepted.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places.accepts--
	if s.closing {
		s.room.Signal()
		return // those that wait are served by sessions that end, or closed by Shutdown
	}
	s.fillRoom()
}

// takePlace takes a place for one connection of k, if that is within its share.
func (s *Server) takePlace(k client.Key) bool {
	limits := s.cfg.Load().Limits
	total := int64(limits.Connections - s.places.accepts)
	return s.places.served.Take(k, 1, total, limits.ClientShare)
}

// admit serves c, whose accept had a place, or lets it wait. It reports false if there
// is no room for that either.
func (s *Server) admit(c *session) bool {
	p := &s.places
	p.accepts--
	limits := s.cfg.Load().Limits
	switch {
	case s.takePlace(c.key):
		s.serve(c)
	case p.waiting.Take(c.key, 1, int64(limits.Waiting), limits.ClientShare):
		s.sessions[c] = true
		p.enqueue(c)
	default:
		p.refused++
		s.logRefused(c)
	}
	_, known := s.sessions[c]
	return known
}

// serve starts the goroutine of c, which has its place.
func (s *Server) serve(c *session) {
	s.sessions[c] = false
	s.wg.Add(1)
	go c.serve()
}

func (p *places) enqueue(c *session) {
	e := p.queues[c.key]
	if e == nil {
		if p.queues == nil {
			p.queues = map[client.Key]*list.Element{}
		}
		e = p.ring.PushBack(&queue{key: c.key})
		p.queues[c.key] = e
	}
	q := e.Value.(*queue)
	q.sessions = append(q.sessions, c)
}

// fillRoom serves those that wait and may be served now, one of each client in turn,
// and then lets others be accepted.
func (s *Server) fillRoom() {
	p := &s.places
	for e := p.ring.Front(); e != nil; {
		q := e.Value.(*queue)
		if !s.takePlace(q.key) {
			e = e.Next()
			continue
		}
		p.waiting.Give(q.key, 1)
		s.serve(q.sessions[0])
		q.sessions = q.sessions[1:]
		p.ring.MoveToBack(e)
		if len(q.sessions) == 0 {
			p.ring.Remove(e)
			delete(p.queues, q.key)
		}
		e = p.ring.Front()
	}
	s.room.Signal()
}

// depart gives the place of c back.
func (s *Server) depart(c *session) {
	delete(s.sessions, c)
	s.places.served.Give(c.key, 1)
	s.fillRoom()
}

// open is how many connections there are, accepts under way and those that wait among
// them.
func (p *places) open() int { return p.accepts + int(p.served.Sum()+p.waiting.Sum()) }

// logRefused says that connections of the client of c are closed, but not each time.
func (s *Server) logRefused(c *session) {
	p := &s.places
	now := time.Now()
	if now.Sub(p.logged) < refusalPause {
		return
	}
	s.log.Warn().Stringer("client", c.key).Str("listener", c.address).Int("refused", p.refused).
		Int64("served", p.served.Held(c.key)).Int64("waiting", p.waiting.Held(c.key)).
		Str("hint", "this client holds all that it may; see limits.client_share, connections and waiting").Msg("connections refused")
	p.refused, p.logged = 0, now
}
