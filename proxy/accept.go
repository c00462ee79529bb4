package proxy

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The pauses after an error of accept that is not the end of the listener. They are
// short, since what was missing may be there again at any moment, and long enough for a
// listener that fails for hours to cost nothing.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = 100 * time.Millisecond

	// acceptLogPause is the least time between two lines about the same listener.
	acceptLogPause = time.Minute
)

// errBacklogEmpty: no connection waits to be accepted.
var errBacklogEmpty = errors.New("no connection waits")

// An acceptor accepts the connections of one listener.
type acceptor struct {
	srv     *Server
	ln      net.Listener
	address string

	draining bool          // Shutdown has begun: take what is in the backlog, wait for nothing
	end      time.Time     // of draining a shared socket, which clients still connect to
	pause    time.Duration // after the last error; 0: the last call was none
	failures int           // since the last line in the log
	logged   time.Time     // the last line
	silent   bool          // the failure under way is not in the log
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
	}
	if err == nil && a.pause > 0 {
		a.recovered()
	}
	return nc, err
}

// failed draws the conclusion from an error of next: nil means go on.
func (a *acceptor) failed(err error) error {
	stopping := a.srv.isClosing()
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
	a.note(err)
	a.srv.sleep(a.pause)
	return nil
}

// note logs an error, unless there was a line not long ago.
func (a *acceptor) note(err error) {
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

// recovered logs that connections are accepted again, if there is a line that says they
// were not.
func (a *acceptor) recovered() {
	a.pause = 0
	if a.silent {
		a.silent = false
		return
	}
	a.srv.log.Info().Str("listener", a.address).Int("failures", a.failures).Msg("connections are accepted again")
	a.failures = 0
}

// plainAcceptError is the kernel's reason without Go's words around it.
func plainAcceptError(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// acceptHint says what helps.
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

// descriptorLimit is the limit that was reached.
func descriptorLimit(err error) (uint64, bool) {
	var limit unix.Rlimit
	if !errors.Is(err, unix.EMFILE) || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	return limit.Cur, true
}

// acceptQueued is Accept for what is in the backlog: it does not wait. It returns
// errBacklogEmpty if there is nothing.
func acceptQueued(ln net.Listener) (net.Conn, error) {
	socket, ok := ln.(syscall.Conn)
	if !ok {
		return nil, errBacklogEmpty
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var acceptErr error
	err = raw.Control(func(listening uintptr) {
		for {
			fd, _, acceptErr = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if acceptErr != unix.EINTR && acceptErr != unix.ECONNABORTED {
				return
			}
		}
	})
	switch {
	case err != nil:
		return nil, err
	case acceptErr == unix.EAGAIN, acceptErr == unix.EINVAL: // EINVAL: refused already, and nothing left
		return nil, errBacklogEmpty
	case acceptErr != nil:
		return nil, os.NewSyscallError("accept", acceptErr)
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close() // FileConn has duplicated it
	return net.FileConn(f)
}
