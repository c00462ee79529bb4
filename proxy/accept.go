package proxy

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Pauses after an Accept error that does not end the listener. They are short because the
// missing resource may be available again at any moment, and long enough that a listener
// that fails for hours costs nothing.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = 100 * time.Millisecond

	// acceptLogPause is the least time between two log lines about the same listener.
	acceptLogPause = time.Minute

	// handshakeTime is how long Shutdown waits for TCP handshakes that were under way when
	// it made the socket refuse new ones. Closing the socket would reset them.
	handshakeTime = 50 * time.Millisecond
)

// Serve serves the clients of ln until ln is closed or Shutdown is called. address is the
// listener's address in the configuration. Serve always returns an error: ErrServerClosed
// after Shutdown, otherwise that of Accept.
func (s *Server) Serve(ln net.Listener, address string) error {
	served := s.track(ln)
	if served == nil {
		ln.Close()
		return ErrServerClosed
	}
	defer s.untrack(ln)
	a := acceptor{srv: s, served: served, ln: ln, address: address}
	for {
		hands := s.needsHandshake(address)
		if !s.reservePlace(hands) {
			return ErrServerClosed
		}
		nc, err := a.next()
		if err != nil {
			s.returnPlace(hands)
			if err := a.failed(err); err != nil {
				return err
			}
			continue
		}
		s.start(nc, address, hands)
	}
}

// start serves nc, or begins its handshake, or lets it wait until its client may have one
// more connection. A listener that was never in the configuration serves no clients. hands
// says what reservePlace has reserved.
func (s *Server) start(nc net.Conn, address string, hands bool) {
	p := peerOf(nc)
	l := s.generations.listener(address)
	if l == nil || !l.Balancers.Has(p.addr.Addr()) && !s.allowed(nc, p, address, l) || l.CloseNotReady && s.turnsAway(address) {
		nc.Close()
		s.returnPlace(hands)
		return
	}
	admitted := false
	if l.shakes() {
		admitted = s.admitHandshake(&handshake{srv: s, nc: nc, address: address, peer: p}, hands)
	} else {
		admitted = s.admit(s.session(nc, p, address, l), hands)
	}
	if !admitted {
		s.tally.connections.Add(1)
		nc.Close()
	}
}

// An acceptor accepts the connections of one listener.
type acceptor struct {
	srv     *Server
	served  *served
	ln      net.Listener
	address string

	settled  bool          // the handshakes under way at Shutdown have had their time
	draining bool          // Shutdown has begun: empty the backlog and do not wait
	end      time.Time     // when to stop draining a shared socket, which gets new clients
	pause    time.Duration // after the last error; 0: the last call succeeded
	failures int           // since the last log line
	logged   time.Time     // the last log line
	silent   bool          // the current failure was not logged
}

// next returns the next connection.
func (a *acceptor) next() (net.Conn, error) {
	var nc net.Conn
	var err error
	switch {
	case !a.draining:
		nc, err = a.ln.Accept()
	case !a.end.IsZero() && time.Now().After(a.end):
		return nil, errBacklogEmpty
	default:
		nc, err = acceptQueued(a.ln)
		if err == errBacklogEmpty && !a.settled && a.ln.Addr().Network() == "tcp" {
			a.settled = true
			time.Sleep(handshakeTime)
			nc, err = acceptQueued(a.ln)
		}
	}
	if err == nil && a.pause > 0 {
		a.recovered()
	}
	if err == nil && a.served.dropping.Load() {
		allowAnyTTL(nc)
	}
	return nc, err
}

// failed handles an error of next. It returns nil if next may be called again.
func (a *acceptor) failed(err error) error {
	stopping := a.srv.isEnding(a.ln)
	switch {
	case errors.Is(err, errBacklogEmpty), stopping && errors.Is(err, net.ErrClosed):
		return ErrServerClosed
	case errors.Is(err, net.ErrClosed):
		return err
	case stopping && errors.Is(err, os.ErrDeadlineExceeded):
		a.draining = true
		if isShared(a.ln) {
			a.end = time.Now().Add(drainTime)
		}
		return nil
	}
	a.pause = min(max(2*a.pause, firstAcceptPause), lastAcceptPause)
	a.logFailure(err)
	select {
	case <-time.After(a.pause):
	case <-a.srv.ctx.Done():
	}
	return nil
}

// logFailure logs an error, unless one was logged recently.
func (a *acceptor) logFailure(err error) {
	a.failures++
	if !a.logged.IsZero() && time.Since(a.logged) < acceptLogPause {
		a.silent = a.silent || a.pause == firstAcceptPause
		return
	}
	e := a.srv.log.Warn().Str("listener", a.address).Str("error", plainAcceptError(err)).Int("failures", a.failures)
	if hint := acceptHint(err); hint != "" {
		e = e.Str("hint", hint)
	}
	if limit, ok := descriptorLimit(err); ok {
		e = e.Uint64("descriptors", limit)
	}
	e.Msg("connections cannot be accepted")
	a.logged, a.failures, a.silent = time.Now(), 0, false
}

// recovered logs that connections are accepted again, if the failure was logged.
func (a *acceptor) recovered() {
	a.pause = 0
	if a.silent {
		a.silent = false
		return
	}
	a.srv.log.Info().Str("listener", a.address).Int("failures", a.failures).Msg("connections are accepted again")
	a.failures = 0
}

// plainAcceptError returns the kernel's reason without Go's additions.
func plainAcceptError(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// acceptHint returns the remedy for an Accept error, if there is one.
func acceptHint(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return "polyclamd has no file descriptor left: raise LimitNOFILE= in the unit, or lower limits.connections"
	case errors.Is(err, unix.ENFILE):
		return "the system has no file descriptor left: raise the sysctl fs.file-max"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS):
		return "the kernel has no memory for another connection: raise MemoryMax= in the unit, or lower limits.connections or spool_total"
	case errors.Is(err, unix.EPERM):
		return "a firewall or a security module forbids the connection"
	}
	return ""
}

// descriptorLimit returns the limit on file descriptors if err says that it was reached.
func descriptorLimit(err error) (uint64, bool) {
	var limit unix.Rlimit
	if !errors.Is(err, unix.EMFILE) || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	return limit.Cur, true
}
