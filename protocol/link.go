package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Bounds on what a server may make a client keep.
const (
	firstBuffer = 512      // most replies fit
	maxReply    = 32 << 10 // a status line or record: a path and a message, escaped
	maxStats    = 1 << 20  // STATS has a line for each of the server's threads
)

// link is a client's end of one connection: requests go out whole, what comes
// back is split into replies.
type link struct {
	nc     net.Conn
	b      []byte // received; b[r:w] is not yet consumed
	r, w   int
	expire func() // makes every read and write return; for context.AfterFunc

	raw  syscall.RawConn // nil if nc has no descriptor of its own
	peek func(fd uintptr) bool
	idle bool // what peek found
}

func newLink(nc net.Conn) *link {
	l := &link{nc: nc, b: make([]byte, firstBuffer)}
	l.expire = func() { nc.SetDeadline(time.Unix(1, 0)) }
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return l
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return l
	}
	l.raw = raw
	l.peek = func(fd uintptr) bool {
		var one [1]byte
		// The descriptor is non-blocking. A byte that this takes away was not
		// asked for, and the connection is given up for it.
		_, err := syscall.Read(int(fd), one[:])
		l.idle = err == syscall.EAGAIN
		return true
	}
	return l
}

// quiet reports whether the connection is open and nothing has come in.
func (l *link) quiet() bool {
	if l.w > l.r {
		return false
	}
	if l.raw == nil {
		return true
	}
	l.idle = false
	return l.raw.Read(l.peek) == nil && l.idle
}

// sendError is a write that failed because the server has closed. It may have said
// why before it did: what it said is read all the same.
type sendError struct{ err error }

func (e *sendError) Error() string { return "sending: " + e.err.Error() }
func (e *sendError) Unwrap() error { return e.err }

// sendFailed says what the error of a write means, if there is one.
func sendFailed(err error) error {
	switch {
	case err == nil:
		return nil
	case isHangup(err):
		return &sendError{err}
	}
	return fmt.Errorf("sending: %w", err)
}

// send writes p in one call.
func (l *link) send(p []byte) error {
	_, err := l.nc.Write(p)
	return sendFailed(err)
}

// readReply returns the next reply without its NUL. It reads no more than it must
// and keeps no more than max bytes.
func (l *link) readReply(max int) (string, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(l.b[l.r+seen:l.w], 0); i >= 0 {
			line := string(l.b[l.r : l.r+seen+i])
			l.r += seen + i + 1
			return line, nil
		}
		seen = l.w - l.r
		if seen >= max {
			return "", fmt.Errorf("%w: no end within %d bytes", ErrReplyTooLong, max)
		}
		l.makeRoom(max)
		n, err := l.nc.Read(l.b[l.w:])
		l.w += n
		if n == 0 && err != nil {
			return l.ended(err)
		}
	}
}

// makeRoom makes room behind what has been received.
func (l *link) makeRoom(max int) {
	if l.r > 0 {
		l.w = copy(l.b, l.b[l.r:l.w])
		l.r = 0
	}
	if l.w == len(l.b) {
		b := make([]byte, min(2*len(l.b), max))
		copy(b, l.b)
		l.b = b
	}
}

// ended says what the end of the connection means for the reply to come.
func (l *link) ended(err error) (string, error) {
	part := string(l.b[l.r:l.w])
	hangup := isHangup(err)
	switch {
	case hangup && part == timedOut:
		l.r = l.w
		return part[:len(part)-1], nil
	case hangup && part != "":
		return "", fmt.Errorf("%w: %s", ErrBrokenReply, excerpt(part))
	case errors.Is(err, io.EOF):
		return "", ErrNoReply
	case hangup:
		return "", fmt.Errorf("%w: %w", ErrNoReply, err)
	}
	return "", err
}

// isHangup reports whether err says that the peer has closed.
func isHangup(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
