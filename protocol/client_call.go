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
	done   chan struct{} // closed when line or err is set
	line   string
	err    error
	cut    bool // the request was cut off because the reply arrived
}

func (c *call) isDone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// await waits until c is answered. If no other goroutine is reading, it reads the replies
// to all calls.
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

// awaitStreams waits until no stream is pending.
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

// read receives one reply and delivers it to its call. The caller holds reading.
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

// takeReply moves one received reply from the link to its call. It holds mu, so that
// check finds the reply in one of them. It reports false if there is none.
func (s *ClientSession) takeReply() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, ok := s.link.next()
	if !ok {
		return false
	}
	id, rest, ok := cutID(line)
	if !ok {
		s.failLocked(withoutID(line))
		return true
	}
	c := s.take(id)
	if c != nil && (len(s.pending) > 0 || !s.link.more()) {
		c.line = rest
		close(c.done)
		return true
	}
	err := fmt.Errorf("%w: %s", ErrUnexpectedReply, excerpt(line))
	s.failLocked(err)
	if c != nil {
		c.err = err
		close(c.done)
	}
	return true
}

// check implements sender.check for c: all unread input must belong to other pending
// requests.
func (s *ClientSession) check(c *call, begun bool) error {
	if !s.link.settle() && !c.isDone() {
		return errAnswered
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.isDone() {
		return errAnswered
	}
	p, ended := s.link.unread()
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte{0})
		id, _, _ := cutID(string(line))
		switch {
		case id != c.id && s.isPending(id):
		case id == 0 && string(line) == timedOut, begun && (whole || id == c.id):
			return errAnswered // read will check it
		default:
			return fmt.Errorf("%w before the end of the request: %s", ErrUnexpectedReply, excerpt(string(line)))
		}
		p = rest
	}
	if ended {
		return errAnswered
	}
	return nil
}

// watch implements sender.watch for c.
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

// isPending reports whether a request with this id is pending. The caller holds mu.
func (s *ClientSession) isPending(id int) bool {
	return slices.ContainsFunc(s.pending, func(c *call) bool { return c.id == id })
}

// take removes the call with this id, and returns nil if there is none. The caller holds
// mu.
func (s *ClientSession) take(id int) *call {
	for i, c := range s.pending {
		if c.id == id {
			s.pending = append(s.pending[:i], s.pending[i+1:]...)
			return c
		}
	}
	return nil
}

// withoutID returns the error for a line without a number. clamd sends one when it times
// out, and a server without sessions answers UNKNOWN COMMAND.
func withoutID(line string) error {
	if line+"\n" == timedOut || line == unknownCommand {
		return malformed(line)
	}
	return fmt.Errorf("%w: no number in %s", ErrReplySyntax, excerpt(line))
}
