package proxy

import (
	"context"
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

// serve answers one command, or the commands of an IDSESSION. Most of a client's time is
// spent in Await, so nothing before it may need much stack.
func (s *session) serve() {
	defer s.leave()
	defer s.rescue(nil)
	if !s.srv.idle(s, s.srv.generations.config().Limits.CommandReadTimeout) {
		return
	}
	s.conn.CloseWith(func(fd int) { s.srv.files.Discard(s.key, fd) })
	s.conn.Await()
	s.ctx, s.cancel = context.WithCancelCause(s.ctx)
	defer s.cancel(nil)
	s.watch.init(s.conn, &s.srv.unwatched, s.cancel)
	stack.GrowForCommand()
	s.serveFirst()
	s.linger()
}

// leave ends the session, unless the timer of [parting] does.
func (s *session) leave() {
	if !s.parted {
		s.finish()
	}
}

// finish is the last thing that a session does.
func (s *session) finish() {
	s.conn.Close()
	s.srv.end(s)
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
		s.serveIDs(cmd.Term, err)
		return
	}
	r := s.request(cmd, 0)
	s.first = r.logID
	defer r.end()
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
