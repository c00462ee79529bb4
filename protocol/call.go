package protocol

import (
	"bytes"
	"fmt"
	"slices"
)

// call is one request that has no reply yet.
type call struct {
	id     int
	stream bool
	done   chan struct{} // closed when line or err is there
	line   string
	err    error
	cut    bool // the sending was ended because of the reply
}

func (c *call) isDone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// await waits until c is answered, and reads for everybody when nobody else does.
func (s *ClientSession) await(c *call) {
	for {
		select {
		case <-c.done:
			return
		case s.reading <- struct{}{}:
			for !c.isDone() {
				s.read()
			}
			<-s.reading
		}
	}
}

// awaitStreams waits until no stream is under way.
func (s *ClientSession) awaitStreams() {
	for s.streams() > 0 {
		s.reading <- struct{}{}
		if s.streams() > 0 {
			s.read()
		}
		<-s.reading
	}
}

func (s *ClientSession) streams() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.pending {
		if c.stream {
			n++
		}
	}
	return n
}

// read takes one reply and hands it to the call it belongs to. The caller holds
// reading.
func (s *ClientSession) read() {
	for !s.takeReply() {
		line, err := s.link.receive(maxReply)
		if err == nil && line != "" {
			err = withoutID(line)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// takeReply moves one received reply to its call. It holds mu meanwhile, so that check
// finds the reply in the link or in the call. It reports false if there is none.
func (s *ClientSession) takeReply() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, ok := s.link.next()
	if !ok {
		return false
	}
	id, rest, ok := CutID(line)
	if !ok {
		s.failed(withoutID(line))
		return true
	}
	c := s.take(id)
	if c != nil && (len(s.pending) > 0 || !s.link.more()) {
		c.line = rest
		close(c.done)
		return true
	}
	err := fmt.Errorf("%w: at %s", ErrUnexpectedReply, excerpt(line))
	s.failed(err)
	if c != nil {
		c.err = err
		close(c.done)
	}
	return true
}

// check is the check of a sender for c: all unread input must belong to other requests
// under way. See [sender].
func (s *ClientSession) check(c *call, begun bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.isDone() {
		return errAnswered
	}
	p, ended := s.link.unread()
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte{0})
		id, _, _ := CutID(string(line))
		switch {
		case id != c.id && s.isPending(id):
		case id == 0 && string(line) == timedOut, begun && (whole || id == c.id):
			return errAnswered // read judges it
		default:
			return fmt.Errorf("%w: before the end of the request, %s", ErrUnexpectedReply, excerpt(string(line)))
		}
		p = rest
	}
	if ended {
		return errAnswered
	}
	return nil
}

// watch is the watch of a sender for c.
func (s *ClientSession) watch(c *call) chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.await(c)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sending == c {
			c.cut = true
			s.link.nc.SetWriteDeadline(past)
		}
	}()
	return done
}

// isPending reports whether a request with the id is under way. The caller holds mu.
func (s *ClientSession) isPending(id int) bool {
	return slices.ContainsFunc(s.pending, func(c *call) bool { return c.id == id })
}

// take removes the call with the id. The caller holds mu.
func (s *ClientSession) take(id int) *call {
	for i, c := range s.pending {
		if c.id == id {
			s.pending = append(s.pending[:i], s.pending[i+1:]...)
			return c
		}
	}
	return nil
}

// withoutID is the error for a line in a session that has no number: clamd has one
// such line, and a server that does not know sessions another.
func withoutID(line string) error {
	if line+"\n" == timedOut || line == unknownCommand {
		return notInGrammar(line)
	}
	return fmt.Errorf("%w: no number in %s", ErrReplySyntax, excerpt(line))
}
