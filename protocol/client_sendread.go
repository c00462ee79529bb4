package protocol

import (
	"encoding/binary"
	"syscall"
)

// sendAndRead writes the rest of a request, which is one call of writeOut, and waits for the
// first bytes of the reply. Before that the connection must be silent. One read shows it, and
// readies the wait for the reply too: the kernel reports whatever arrives after it. So a
// request costs three system calls: this read, the write, and the read of the reply.
//
// It reports false for sent if it did not write, because there was input, or its end.
// Otherwise err is that of the write; the end of the connection is kept for receive.
//
// The caller is the only goroutine that reads, raw is not nil, and nothing received is left.
func (l *link) sendAndRead(s *sender) (sent bool, err error) {
	if l.makeRoom(maxReply) != nil || l.end != nil {
		return false, nil
	}
	l.toSend, l.sendErr = s, nil
	end := l.raw.Read(l.sendTake)
	if end == nil {
		end = l.takeErr
	}
	sent = l.toSend == nil
	l.toSend = nil
	if !sent || l.sendErr == nil {
		l.end = end
	}
	return sent, l.sendErr
}

// rightsFor returns the control message that passes fd. It is valid until the next call.
func (l *link) rightsFor(fd int) []byte {
	if l.rights == nil {
		l.rights = syscall.UnixRights(fd)
	}
	binary.NativeEndian.PutUint32(l.rights[syscall.CmsgLen(0):], uint32(fd))
	return l.rights
}

// sendWhole is checked for the only write of a request in a session, if no other request
// needs the connection. It returns false if that is not so, or if there is input that check
// has to explain. Other requests of the session may be sent while it waits for the reply.
func (s *sender) sendWhole() (sent bool, err error) {
	if s.session == nil || s.begun || s.link.raw == nil || !s.whole {
		return false, nil
	}
	select {
	case s.session.reading <- struct{}{}:
	default:
		return false, nil
	}
	if s.session.isOnly(s.call) && !s.link.more() {
		sent, err = s.link.sendAndRead(s)
	}
	<-s.session.reading
	return sent, err
}

// isOnly reports whether c is the only pending request.
func (s *ClientSession) isOnly(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && len(s.pending) == 1 && s.pending[0] == c
}
