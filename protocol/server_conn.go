package protocol

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Errors of a [Conn], in addition to those of the connection itself.
var (
	// ErrCommandTooLong: a command has more than 4104 bytes. clamd closes without a
	// reply.
	ErrCommandTooLong = errors.New("protocol: command too long")
	// ErrStrayDescriptor: a descriptor arrived with a command other than FILDES.
	ErrStrayDescriptor = errors.New("protocol: ancillary data sent without FILDES")
	// ErrNoDescriptor: FILDES arrived without a descriptor, or with several.
	ErrNoDescriptor = errors.New("protocol: no file descriptor received")
)

// maxUnknown is the most bytes that Unknown returns.
const maxUnknown = 64

// A UnixSocket is a Unix socket that is not a *net.UnixConn. Its UnixSocket method does
// nothing. The methods of its RawConn wait as those of a *net.UnixConn do.
type UnixSocket interface {
	net.Conn
	syscall.Conn
	UnixSocket()
}

// Conn is the server end of one client's connection. While it waits for the client it
// holds no buffer except the bytes of an unfinished command. One goroutine at a time may
// read. WriteReply, SetReadDeadline and Close may be called from any goroutine.
//
// On Unix sockets it always receives ancillary data: an ordinary Read would silently lose
// descriptors.
type Conn struct {
	nc   net.Conn
	sock syscall.RawConn // of the socket, which may be below TLS; nil: there is none

	closed atomic.Bool
	direct bool // nc is a socket itself, and not such as a net.Pipe or TLS
	unix   bool
	shut   bool // CloseWrite has been called; guarded by mu

	// Guarded by reading, which the goroutine holds that reads.
	stray   bool // descriptors arrived that nothing could claim
	recv    recv
	reading sync.Mutex

	seg     *segment // seg.b[r:w] is received and not yet consumed
	r, w    int
	off     int64        // bytes consumed so far: the offset of seg.b[r] in the input
	held    string       // an unfinished command while waiting for the client; then seg is nil
	unknown *string      // see Unknown; nil: empty
	fds     []descriptor // received and not yet claimed, oldest first
	discard func(fd int) // see CloseWith; nil: close(2)

	mu       sync.Mutex // writes
	writeErr error      // of the first write that failed
	shutErr  error      // of the first call of CloseWrite
}

// recv carries the arguments and results of the callback that RawConn.Read runs.
type recv struct {
	once    bool // do not wait
	large   bool // take a large segment
	awaited bool // Await has left err for the next receive
	n       int32
	f       func(fd uintptr) bool
	err     error
}

// NewConn returns the server end of nc. It takes ownership: close it with [Conn.Close],
// which also closes unclaimed descriptors.
//
// To pass descriptors and to wait without a buffer, nc must be a *net.UnixConn, a
// [UnixSocket] or a *net.TCPConn. Any other net.Conn is only read through its Read method, because it may
// transform the input. If it has a method NetConn that returns one of the two, as a
// *tls.Conn has, AwaitHangup watches that.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc}
	var socket syscall.Conn
	switch nc := nc.(type) {
	case *net.UnixConn:
		c.unix = true
		socket = nc
	case UnixSocket:
		c.unix = true
		socket = nc
	case *net.TCPConn:
		socket = nc
	default:
		c.sock = below(nc)
		return c
	}
	if raw, err := socket.SyscallConn(); err == nil {
		c.sock, c.direct = raw, true
		c.recv.f = c.receive
	}
	return c
}

// below returns the socket below nc, or nil.
func below(nc net.Conn) syscall.RawConn {
	over, ok := nc.(interface{ NetConn() net.Conn })
	if !ok {
		return nil
	}
	socket, ok := over.NetConn().(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// Close closes the connection and all unclaimed descriptors. A pending read in another
// goroutine ends with net.ErrClosed.
func (c *Conn) Close() error {
	c.closed.Store(true)
	err := c.nc.Close()
	c.release()
	return err
}

// release frees what a closed connection holds, unless another goroutine is reading: then
// endRead calls release again.
func (c *Conn) release() {
	if !c.reading.TryLock() {
		return
	}
	defer c.reading.Unlock()
	c.closeDescriptors()
	c.free()
	c.held = ""
}

// endRead is deferred by everything that locks c.reading.
func (c *Conn) endRead() {
	c.reading.Unlock()
	if c.closed.Load() {
		c.release()
	}
}

// Await waits until there is input, or its end, and keeps it for [Conn.ReadCommand]. It
// also returns at the read deadline, which the caller sets, and immediately if the
// connection is not a socket itself. ReadCommand should follow soon: with input the
// connection holds a buffer.
//
// It halves the cost of an idle client for servers with a goroutine for each: ReadCommand
// needs more stack than the 2 KiB that a goroutine starts with, Await does not if it is
// called near the top of the stack.
//
// A server may call it in a new goroutine when a client has not sent anything for a while:
// the old one ends, and with it its large stack.
func (c *Conn) Await() {
	c.reading.Lock()
	defer c.endRead()
	if !c.direct || c.w > c.r {
		return
	}
	if err := c.fill(false); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.recv.err, c.recv.awaited = err, true
	}
}

// Awaits reports whether Await waits.
func (c *Conn) Awaits() bool { return c.direct }

// ReadCommand returns the next command. The error is io.EOF if the client has closed or
// half-closed, even in the middle of a command; [ErrCommandTooLong]; or the connection's
// own error. After a deadline, which the caller sets, it may be called again. With
// [ErrStrayDescriptor] it also returns the command, whose framing the reply needs.
func (c *Conn) ReadCommand() (Command, error) {
	c.reading.Lock()
	defer c.endRead()
	for {
		if c.w > c.r {
			cmd, n := cut(c.seg.b[c.r:c.w])
			if n > maxCommand && cmd.Prefixed || n == 0 && c.w-c.r >= maxCommand {
				c.noteUnknown(c.w - c.r)
				return Command{}, ErrCommandTooLong
			}
			if n > 0 && cmd.Verb == "" {
				c.noteUnknown(n)
			}
			if n > 0 {
				c.consume(n)
				return cmd, c.strayAfter(cmd.Verb)
			}
		}
		if err := c.fill(false); err != nil {
			return Command{}, err
		}
	}
}

// Unknown returns the beginning of the last command that ReadCommand did not understand,
// with its prefix: at most 64 bytes, for a log. Only the goroutine that reads may call it.
func (c *Conn) Unknown() string {
	if c.unknown == nil {
		return ""
	}
	return *c.unknown
}

// noteUnknown keeps the start of the next n bytes for Unknown.
func (c *Conn) noteUnknown(n int) {
	unknown := string(c.seg.b[c.r : c.r+min(n, maxUnknown)])
	c.unknown = &unknown
}

// Buffered returns the number of bytes received but not consumed. Only the goroutine that
// reads may call it.
func (c *Conn) Buffered() int { return c.w - c.r + len(c.held) }

// Consumed returns the total number of bytes consumed. Only the goroutine that reads may
// call it.
func (c *Conn) Consumed() int64 { return c.off }

// SetReadDeadline sets the deadline of ReadCommand and Descriptor. Discard and Stream set
// their own, and do not restore it.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// WriteReply sends text, which includes its terminator, in one write: many clients read
// only once.
//
// After an error all further calls return the same error: part of a reply may have been
// sent, and the next one must not be mistaken for the rest.
func (c *Conn) WriteReply(text []byte, timeout time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeErr != nil {
		return c.writeErr
	}
	c.writeErr = c.nc.SetWriteDeadline(time.Now().Add(timeout))
	if c.writeErr == nil {
		_, c.writeErr = c.nc.Write(text)
	}
	return c.writeErr
}

// CloseWrite half-closes the connection, so that the client sees the end of the input
// after the reply. It waits for a pending WriteReply. It does nothing if the connection
// has no half-close. Further calls return the error of the first one.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hc, ok := c.nc.(interface{ CloseWrite() error }); ok && !c.shut {
		c.shut = true
		c.shutErr = hc.CloseWrite()
	}
	return c.shutErr
}

// DiscardReceived reads and drops the input that has arrived, without waiting, and returns
// how much that was, at most a little more than limit. The error is io.EOF if the client has
// closed or half-closed, or the connection's own. If the connection is not a socket itself,
// or its read deadline is over, it reads nothing.
func (c *Conn) DiscardReceived(limit int64) (n int64, err error) {
	c.reading.Lock()
	defer c.endRead()
	c.recv.once = true
	defer func() { c.recv.once = false }()
	for {
		n += int64(c.w - c.r)
		c.consume(c.w - c.r)
		if !c.direct || n > limit {
			return n, nil
		}
		switch err := c.fill(false); {
		case err == errNothing, errors.Is(err, os.ErrDeadlineExceeded): // of an earlier receive
			return n, nil
		case err != nil:
			return n, err
		}
	}
}

// DiscardNext waits for input, at most until the read deadline, which the caller sets, and
// drops it. It returns how much that was.
func (c *Conn) DiscardNext() (n int64, err error) {
	c.reading.Lock()
	defer c.endRead()
	if c.w == c.r {
		err = c.fill(true)
	}
	n = int64(c.w - c.r)
	c.consume(c.w - c.r)
	return n, err
}

// Discard reads and drops input until the client closes, is silent for quiet, or has sent
// limit bytes, for at most the time total. Closing with unread input would reset the
// connection, and the client could lose the reply.
func (c *Conn) Discard(quiet, total time.Duration, limit int64) {
	c.reading.Lock()
	defer c.endRead()
	end := time.Now().Add(total)
	n := int64(c.w - c.r)
	for {
		c.consume(c.w - c.r)
		now := time.Now()
		if n > limit || now.After(end) {
			return
		}
		deadline := now.Add(quiet)
		if deadline.After(end) {
			deadline = end
		}
		if c.nc.SetReadDeadline(deadline) != nil || c.fill(true) != nil {
			return
		}
		n += int64(c.w - c.r)
	}
}
