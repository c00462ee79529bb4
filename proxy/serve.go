package proxy

import (
	"errors"
	"os"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/stack"
)

// How long the rest of a client's input is read and dropped after the reply. Without
// that a reset could destroy the reply: ProFTPD, pyclamd and others send more than the
// protocol asks for.
const (
	lingerQuiet = time.Second
	lingerTotal = 5 * time.Second
	lingerBytes = 64 << 20

	// While the server is closing, only input that has already arrived is dropped, such as
	// a command that came just too late.
	lingerClosing = 10 * time.Millisecond
)

// restAfter is how long a goroutine waits for more input before another one replaces it. What
// has answered a command has a stack of 4 or 8 KiB, and a new goroutine has one of 2 KiB.
const restAfter = 2 * time.Millisecond

// serve answers one command, or the commands of an IDSESSION. It goes on in another goroutine
// when the session rests. Most of a client's time is spent in Await, so nothing before it may
// need much stack.
func (s *session) serve() {
	rests := false
	defer func() { s.leave(rests) }()
	defer s.rescue(nil)
	if s.task == nil && !s.awaitFirst() {
		return
	}
	s.conn.Await()
	stack.GrowForCommand()
	rests = s.proceed()
}

// leave is the last thing that a goroutine of a session does.
func (s *session) leave(rests bool) {
	switch {
	case rests:
		go s.serve()
	case !s.parted:
		s.close()
	}
}

// close is the last thing that a session does.
func (s *session) close() {
	s.conn.Close()
	s.srv.end(s)
}

// awaitFirst prepares to wait for the first command. It reports false if none may come.
func (s *session) awaitFirst() bool {
	if !s.srv.idle(s, s.srv.generations.config().Limits.CommandReadTimeout) {
		return false
	}
	s.conn.CloseWith(func(fd int) { s.srv.files.Discard(s.peer.key, fd) })
	return true
}

// proceed answers the commands that have come. It reports true if the session rests: the client
// has sent nothing for a while, and proceed is to be called again when there is input, or the
// read deadline is over.
func (s *session) proceed() (rests bool) {
	defer func() {
		if !rests {
			s.finish()
		}
	}()
	if s.task == nil {
		s.begin()
		s.serveFirst()
	}
	if rests = s.work(); !rests {
		s.endIDs() // pending replies come first
		s.linger()
	}
	return rests
}

// work receives the stream of an INSTREAM and answers the commands of an IDSESSION, until the
// session rests or ends.
func (s *session) work() (rests bool) {
	for more := true; more && !rests; {
		switch {
		case s.upload != nil:
			more, rests = s.receive()
		case s.ids != nil:
			more, rests = s.ids.next()
		default:
			more = false
		}
	}
	return rests
}

// finish ends what the session was doing, also after a panic.
func (s *session) finish() {
	if s.task == nil {
		return
	}
	s.endIDs()
	if s.upload != nil {
		s.upload.abort()
	}
	s.cancel(nil)
}

func (s *session) serveFirst() {
	if s.crowded() {
		return
	}
	cmd, err := s.readFirst()
	s.srv.busy(s)
	if cmd.Verb == protocol.VerbPing && s.lst.CloseNotReady && !s.srv.Readiness().Ready {
		return // a load balancer must see that the check fails
	}
	if cmd.Verb == protocol.VerbIDSession {
		s.beginIDs(cmd.Term, err)
		return
	}
	r := s.request(cmd, 0)
	s.first = r.logID
	defer r.endUnlessUploading()
	// A stray descriptor does not matter here: it is closed already.
	if err != nil && !errors.Is(err, protocol.ErrStrayDescriptor) {
		r.refuse(err)
		return
	}
	r.answer()
}

// linger lets the client read the end of the reply, and drops what it still sends. Most
// clients have closed the connection by then: only the others cost a half-close and a timer.
func (s *session) linger() {
	n, err := s.conn.DiscardReceived(lingerBytes)
	if err == nil && s.conn.CloseWrite() == nil && !s.part() {
		s.lingerOn(lingerBytes - n)
	}
}

// lingerOn waits for the client to close, and drops at most a little more than left bytes.
func (s *session) lingerOn(left int64) {
	var err error
	for end := time.Now().Add(lingerTotal); err == nil; {
		quiet := min(lingerQuiet, time.Until(end))
		if left < 0 || quiet <= 0 {
			return
		}
		if !s.srv.idle(s, quiet) {
			s.conn.Discard(lingerClosing, lingerClosing, left)
			return
		}
		var n int64
		n, err = s.conn.DiscardNext()
		left -= n
	}
	if s.srv.isClosing() && errors.Is(err, os.ErrDeadlineExceeded) {
		s.conn.Discard(lingerClosing, lingerClosing, left)
	}
}
