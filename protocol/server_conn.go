package protocol

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Errors of a server's Conn beside those of the connection itself.
var (
	// ErrCommandTooLong: a command has more than maxCommand bytes. clamd closes
	// without a reply.
	ErrCommandTooLong = errors.New("protocol: command too long")
	// ErrStrayDescriptor: a descriptor came with something else than FILDES.
	ErrStrayDescriptor = errors.New("protocol: ancillary data sent without FILDES")
	// ErrNoDescriptor: FILDES came without exactly one descriptor.
	ErrNoDescriptor = errors.New("protocol: no file descriptor received")
)

// Conn is the server end of one client's connection. While it waits for a client
// it holds no buffer but the bytes of an unfinished command. One goroutine at a
// time may read; WriteReply may be called from any number of goroutines, and
// SetReadDeadline and Close from any goroutine at any time.
//
// Its lowest reader takes ancillary data along on Unix sockets: an ordinary Read
// there would lose a descriptor silently.
type Conn struct {
	nc   net.Conn
	raw  syscall.RawConn // nil if nc is no bare socket, as a net.Pipe or TLS
	unix bool

	closed  atomic.Bool
	reading sync.Mutex // held by the goroutine that reads; guards the rest down to recv

	seg  *segment // what has been received and not yet consumed is seg.b[r:w]
	r, w int
	off  int64  // bytes consumed so far: the place of seg.b[r] in all that is received
	held []byte // an unfinished command, kept while the client is waited for; seg is nil then

	fds []descriptor // received and not yet claimed, oldest first

	discard func(fd int) // see CloseWith; nil: close(2)
	stray   bool         // descriptors came that nothing could claim
	recv    recv

	mu       sync.Mutex // writes
	writeErr error      // of the first write that failed
}

// recv carries the arguments and results of the callback that RawConn.Read runs.
type recv struct {
	f     func(fd uintptr) bool
	peek  bool // receive nothing, only see whether there is something
	large bool // take a large segment
	n     int
	err   error
}

// NewConn returns the server end of nc, which it owns from now on: close it with
// Close, which also closes descriptors that nobody asked for.
//
// Descriptors and waiting without a buffer need a *net.UnixConn or *net.TCPConn
// itself. Any other net.Conn is only read by its Read, since it may change what
// comes from the socket below it.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc}
	var socket syscall.Conn
	switch nc := nc.(type) {
	case *net.UnixConn:
		c.unix = true
		socket = nc
	case *net.TCPConn:
		socket = nc
	default:
		return c
	}
	if raw, err := socket.SyscallConn(); err == nil {
		c.raw = raw
		c.recv.f = c.receive
	}
	return c
}

// Close closes the connection and every descriptor that was received and not
// claimed. A read under way in another goroutine ends with net.ErrClosed.
func (c *Conn) Close() error {
	c.closed.Store(true)
	err := c.nc.Close()
	c.release()
	return err
}

// release gives back what a closed connection holds, unless somebody is reading
// into it right now: endRead comes here again.
func (c *Conn) release() {
	if !c.reading.TryLock() {
		return
	}
	defer c.reading.Unlock()
	c.closeDescriptors()
	c.free()
	c.held = nil
}

// endRead is deferred by every reader after it locked c.reading.
func (c *Conn) endRead() {
	c.reading.Unlock()
	if c.closed.Load() {
		c.release()
	}
}

// Await waits until there is something to receive, the end included, and receives
// nothing: ReadCommand then tells what it is. It is for whoever waits for thousands
// of clients, each on a goroutine. ReadCommand needs more stack than the 2 KiB that
// a goroutine begins with, Await in a shallow place does not, and so halves what an
// idle client costs. It returns at the read deadline too, which is the caller's to
// set, and at once for a connection that is no bare socket.
func (c *Conn) Await() {
	c.reading.Lock()
	defer c.endRead()
	if c.raw == nil || c.w > c.r {
		return
	}
	c.recv.peek = true
	c.raw.Read(c.recv.f) // the deadline or the end: ReadCommand meets them again
	c.recv.peek = false
}

// ReadCommand returns the next command. It returns io.EOF when the client has
// closed or half-closed, also in the middle of a command; ErrCommandTooLong; or the
// connection's error, such as a deadline, after which it may be called again. With
// ErrStrayDescriptor it returns the command as well, since the reply is framed as
// it asks. The read deadline is the caller's to set.
func (c *Conn) ReadCommand() (Command, error) {
	c.reading.Lock()
	defer c.endRead()
	for {
		if c.w > c.r {
			cmd, n := cut(c.seg.b[c.r:c.w])
			if n > maxCommand && cmd.Prefixed || n == 0 && c.w-c.r >= maxCommand {
				return Command{}, ErrCommandTooLong
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

// Buffered reports how many bytes have been received and not consumed. It is for
// the goroutine that reads.
func (c *Conn) Buffered() int { return c.w - c.r + len(c.held) }

// Consumed reports how many of the client's bytes have been consumed in all. It is for
// the goroutine that reads.
func (c *Conn) Consumed() int64 { return c.off }

// SetReadDeadline sets the deadline of ReadCommand and Descriptor. Discard and a
// Stream set their own, which stays behind.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// WriteReply sends text, which has its terminator, in one write within timeout.
// Many clients read once and take what they got for the whole reply.
//
// After a write that failed every further one fails alike: half a reply may be
// out, and the next one must not be taken for its end.
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

// CloseWrite half-closes the connection, after a reply that is being written: the
// client reads the end behind it. It does nothing where there is no half-close.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hc, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	return nil
}

// Discard reads and drops what the client still sends, until it closes, is silent
// for quiet, or the whole has taken total or limit bytes. Closing with input unread
// would reset the connection and could take the reply away from the client.
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
