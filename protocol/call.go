package protocol

import "fmt"

// call is one request that has no reply yet.
type call struct {
	id     int
	stream bool
	done   chan struct{} // one value when line or err is there
	line   string
	err    error
}

// await waits until c is answered, and reads for everybody when nobody else does.
func (s *ClientSession) await(c *call) {
	for {
		select {
		case <-c.done:
			return
		case s.reading <- struct{}{}:
			for len(c.done) == 0 {
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
	line, err := s.link.readReply(maxReply)
	if err != nil {
		s.fail(err)
		return
	}
	id, rest, ok := CutID(line)
	if !ok {
		s.fail(withoutID(line))
		return
	}
	s.mu.Lock()
	c := s.take(id)
	stray := c == nil || len(s.pending) == 0 && s.link.w > s.link.r
	if c != nil && !stray {
		c.line = rest
		c.done <- struct{}{}
	}
	s.mu.Unlock()
	if !stray {
		return
	}
	err = fmt.Errorf("%w: at %s", ErrUnexpectedReply, excerpt(line))
	s.fail(err)
	if c != nil {
		c.err = err
		c.done <- struct{}{}
	}
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
// such line.
func withoutID(line string) error {
	if line+"\n" == timedOut {
		return notInGrammar(line)
	}
	return fmt.Errorf("%w: no number in %s", ErrReplySyntax, excerpt(line))
}
