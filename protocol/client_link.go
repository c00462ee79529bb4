package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"polyclam/protocol/nowait"
)

// Limits on the size of a reply.
const (
	firstBuffer = 512      // most replies fit
	maxReply    = 32 << 10 // a status line or record: an escaped path and message
	maxStats    = 1 << 20  // STATS has a line for each thread of the server
)

// link is the client end of one connection. It splits the input into replies. One
// goroutine at a time may read and one may write. The writer may also call unread.
type link struct {
	nc     net.Conn
	expire func()          // makes all reads and writes return; for context.AfterFunc
	raw    syscall.RawConn // nil if nc has no descriptor
	sock   syscall.RawConn // of the socket below TLS; nil: there is none
	trace  *ClientTrace    // of the request whose reply is read; nil in a session

	mu   sync.Mutex // held while bytes move from the kernel to b and out of it
	b    []byte     // received; b[r:w] is not yet consumed
	r, w int
	seen int   // bytes of b[r:w] known to have no NUL
	end  error // why no more can be received; only for the goroutine that reads

	// The callbacks for raw, created once so that a request allocates nothing, and their
	// results.
	take    func(fd uintptr) bool
	takeErr error
	peek    func(fd uintptr)
	peekErr error
	peeked  [1]byte

	sendTake func(fd uintptr) bool // for sendAndRead
	toSend   *sender               // of what sendTake has to send; nil: it is sent
	sendErr  error                 // the result
	rights   []byte                // the control message for a descriptor
}

func newLink(nc net.Conn) *link {
	l := &link{nc: nc, b: make([]byte, firstBuffer)}
	l.expire = func() { nc.SetDeadline(past) }
	sc, ok := nc.(syscall.Conn)
	if !ok {
		l.sock = below(nc)
		return l
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return l
	}
	l.raw = raw
	l.take = func(fd uintptr) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		n, err := retried(func() (int, error) { return nowait.Read(int(fd), l.b[l.w:]) })
		l.w += max(n, 0)
		l.takeErr = os.NewSyscallError("read", err)
		if n == 0 && err == nil {
			l.takeErr = io.EOF
		}
		return err != syscall.EAGAIN
	}
	l.sendTake = func(fd uintptr) bool {
		taken := l.take(fd)
		s := l.toSend
		if taken || s == nil {
			return taken
		}
		l.toSend = nil
		if l.sendErr = s.writeNow(int(fd)); l.sendErr == nil {
			s.finish(nil)
		}
		return l.sendErr != nil
	}
	l.peek = func(fd uintptr) { _, l.peekErr = peek(fd, l.peeked[:]) }
	return l
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// retried repeats a system call that a signal interrupted.
func retried(call func() (int, error)) (n int, err error) {
	for n, err = call(); err == syscall.EINTR; n, err = call() {
	}
	return n, err
}

// peek copies up to len(p) received bytes and leaves them in the kernel. At the end it
// returns io.EOF.
func peek(fd uintptr, p []byte) (int, error) {
	n, err := retried(func() (int, error) {
		n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return n, err
	})
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// unread returns the input that is not yet consumed, from b and from the kernel, at most
// maxReply bytes, and reports whether the connection has ended after it. It may run
// concurrently with receive: under mu no byte is in transit between the kernel and b. If
// the connection is not a socket (TLS, for example), it returns only b.
func (l *link) unread() (p []byte, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.raw == nil {
		return bytes.Clone(l.b[l.r:l.w]), false
	}
	if err := l.raw.Control(l.peek); err != nil {
		return bytes.Clone(l.b[l.r:l.w]), true
	}
	if l.peekErr == syscall.EAGAIN {
		return bytes.Clone(l.b[l.r:l.w]), false
	}
	return l.peekAll(), l.peekErr != nil
}

// peekAll returns what is in b and in the kernel. The caller holds mu.
func (l *link) peekAll() []byte {
	p := append(make([]byte, 0, maxReply), l.b[l.r:l.w]...)
	n := 0
	l.raw.Control(func(fd uintptr) { n, _ = peek(fd, p[len(p):cap(p)]) })
	return p[:len(p)+max(n, 0)]
}

// silent reports whether the connection is open and nothing has arrived.
func (l *link) silent() bool {
	p, ended := l.unread()
	return len(p) == 0 && !ended
}

// errAnswered ends the sending of a request because input, or its end, has arrived.
var errAnswered = errors.New("the server answered before it had received everything")

// sendError is the error of a request that was not sent completely because the server
// has closed or has already answered. The reply is still read.
type sendError struct{ err error }

func (e *sendError) Error() string { return "sending: " + e.err.Error() }
func (e *sendError) Unwrap() error { return e.err }

// sendFailed classifies the error of a write.
func sendFailed(err error) error {
	switch {
	case err == nil:
		return nil
	case isHangup(err), err == errAnswered:
		return &sendError{err}
	case errors.Is(err, ErrUnexpectedReply):
		return err
	}
	return fmt.Errorf("sending: %w", err)
}

// readReply returns the next reply without its NUL. It keeps at most max bytes.
func (l *link) readReply(max int) (string, error) {
	for {
		if line, ok := l.next(); ok {
			l.trace.received(line)
			return line, nil
		}
		if line, err := l.receive(max); line != "" || err != nil {
			if err == nil {
				l.trace.received(line)
			}
			return line, err
		}
	}
}

// next returns the next reply that has been received completely, without its NUL.
func (l *link) next() (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := bytes.IndexByte(l.b[l.r+l.seen:l.w], 0)
	if i < 0 {
		l.seen = l.w - l.r
		return "", false
	}
	line := string(l.b[l.r : l.r+l.seen+i])
	l.r += l.seen + i + 1
	l.seen = 0
	return line, true
}

// more reports whether anything has been received after the last reply.
func (l *link) more() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w > l.r
}

// receive waits for more bytes. The one reply without a NUL is returned as line.
func (l *link) receive(max int) (line string, err error) {
	if err := l.makeRoom(max); err != nil {
		return "", err
	}
	if l.end == nil {
		l.end = l.read()
	}
	if l.end == nil {
		return "", nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended(l.end)
}

// read reads once into the free space after b[r:w].
func (l *link) read() error {
	if l.raw != nil {
		if err := l.raw.Read(l.take); err != nil {
			return err
		}
		return l.takeErr
	}
	n, err := l.nc.Read(l.b[l.w:])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w += n
	if n > 0 {
		return nil
	}
	return err
}

// watch waits for the first byte of the reply, or the end, and then stops any write that
// is in progress. The returned channel is closed after that.
func (l *link) watch() chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.makeRoom(maxReply)
		l.end = l.read()
		l.nc.SetWriteDeadline(past)
	}()
	return done
}

// makeRoom makes space in b after the received bytes.
func (l *link) makeRoom(max int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.w-l.r >= max {
		return fmt.Errorf("%w: no end within %d bytes", errReplyTooLong, max)
	}
	if l.r > 0 {
		l.w = copy(l.b, l.b[l.r:l.w])
		l.r = 0
	}
	if l.w == len(l.b) {
		b := make([]byte, min(2*len(l.b), max))
		copy(b, l.b)
		l.b = b
	}
	return nil
}

// ended returns the reply at the end of the connection: the line that clamd ends with a
// newline, or an error.
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

// isHangup reports whether err means that the peer has closed.
func isHangup(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
