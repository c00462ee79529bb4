// Package local serves Unix sockets with fewer system calls than package net.
//
// Go's runtime waits for connections with one epoll instance. Package net adds every
// connection to it, asks for the connection's address and sets timers for its deadlines.
// Most clients on the same machine have sent their request before their connection is
// accepted, and close it as soon as they have read the reply, so that nothing ever waits.
// A [Conn] therefore takes part only from the moment at which it has to wait.
package local

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"polyclam/protocol/nowait"
)

// A Conn is the accepted end of a connection on a Unix socket. It is a [net.Conn], and like
// those of package net it is safe for concurrent use.
//
// There is one for each client that waits, so it is small.
type Conn struct {
	addr *net.UnixAddr // of the listener
	fd   int32

	calls   int32 // system calls on fd under way, apart from those that file makes; guarded by mu
	mu      sync.Mutex
	writing sync.Mutex // held by Write

	closed bool // fd is closed after the last of the calls
	file   *os.File
	raw    syscall.RawConn // of file; nil: no call has had to wait yet

	readEnd, writeEnd deadline
}

// The directions of a call that may wait.
const (
	reading = iota
	writing
)

// UnixSocket marks a Conn as a socket, see [protocol.UnixSocket].
func (c *Conn) UnixSocket() {}

// Polled reports whether Go's runtime polls the connection, because a call has had to wait.
func (c *Conn) Polled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw != nil
}

// begin reserves fd for a call. If the connection has had to wait before, it reserves nothing
// and returns what waits.
func (c *Conn) begin(direction int) (syscall.RawConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	if c.raw != nil {
		return c.raw, nil
	}
	end := c.readEnd
	if direction == writing {
		end = c.writeEnd
	}
	if end.over() {
		return nil, os.ErrDeadlineExceeded
	}
	c.calls++
	return nil, nil
}

// hold reserves fd for a call that does not wait. The caller must call end.
func (c *Conn) hold() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.calls++
	return nil
}

// end ends a call that begin or hold has reserved fd for.
func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
}

// release is end for a caller that holds mu.
func (c *Conn) release() {
	if c.calls--; c.calls == 0 && c.closed {
		c.closeNow()
	}
}

// closeNow closes the descriptor. The caller holds mu.
func (c *Conn) closeNow() error {
	if c.file != nil {
		return c.file.Close()
	}
	return nowait.Close(int(c.fd))
}

// join ends a call, and lets the connection take part in the runtime's polling, because the
// call has to wait. That needs more stack than the 2 KiB that a goroutine starts with, so it
// happens in another goroutine: an idle client needs no more than these.
func (c *Conn) join() (syscall.RawConn, error) {
	joined := joins.Get().(chan error)
	go c.registerFor(joined)
	err := <-joined
	joins.Put(joined)
	if err != nil {
		return nil, err
	}
	return c.raw, nil // which does not change any more
}

// joins are channels for join.
var joins = sync.Pool{New: func() any { return make(chan error) }}

func (c *Conn) registerFor(joined chan<- error) { joined <- c.register() }

// register is join for a goroutine with any stack.
func (c *Conn) register() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.release()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.raw != nil:
		return nil
	}
	file := os.NewFile(uintptr(c.fd), "")
	// An error means that the runtime cannot wait for the descriptor.
	if err := file.SetReadDeadline(c.readEnd.time()); err != nil {
		return c.spoil(file, err)
	}
	if err := file.SetWriteDeadline(c.writeEnd.time()); err != nil {
		return c.spoil(file, err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return c.spoil(file, err)
	}
	c.file, c.raw = file, raw
	return nil
}

// spoil marks the connection as closed, because file has taken its descriptor and cannot
// wait. release closes it. The caller holds mu.
func (c *Conn) spoil(file *os.File, err error) error {
	c.file, c.closed = file, true
	return err
}

// wait calls f until it reports true, and waits until the socket is ready after each time it
// does not.
func (c *Conn) wait(direction int, f func(fd uintptr) bool) error {
	raw, err := c.begin(direction)
	if err != nil {
		return err
	}
	if raw == nil {
		if c.try(f) {
			return nil
		}
		if raw, err = c.join(); err != nil {
			return err
		}
	}
	if direction == writing {
		err = raw.Write(f)
	} else {
		err = raw.Read(f)
	}
	if err != nil && c.isClosed() {
		return net.ErrClosed
	}
	return err
}

// try calls f. If it reports true, or panics, the call is over.
func (c *Conn) try(f func(fd uintptr) bool) bool {
	done := true
	defer func() {
		if done {
			c.end()
		}
	}()
	done = f(uintptr(c.fd))
	return done
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	waitErr := c.wait(reading, func(fd uintptr) bool {
		n, err = nowait.Read(int(fd), p)
		for err == syscall.EINTR {
			n, err = nowait.Read(int(fd), p)
		}
		return err != syscall.EAGAIN
	})
	switch {
	case waitErr != nil:
		return 0, c.failed("read", waitErr)
	case err != nil:
		return 0, c.failed("read", os.NewSyscallError("read", err))
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	raw, err := c.begin(writing)
	if err == nil && raw == nil {
		n, err = send(int(c.fd), p)
		c.end()
		if err == nil {
			return n, nil
		}
		if err != syscall.EAGAIN {
			err = os.NewSyscallError("write", err)
		}
	}
	if err != nil && err != syscall.EAGAIN {
		return n, c.failed("write", err)
	}
	return c.writeRest(p, n)
}

// writeRest is Write after n bytes of p. It may wait.
func (c *Conn) writeRest(p []byte, n int) (int, error) {
	var err error
	waitErr := c.wait(writing, func(fd uintptr) bool {
		var sent int
		sent, err = send(int(fd), p[n:])
		n += sent
		return err != syscall.EAGAIN
	})
	switch {
	case waitErr != nil:
		return n, c.failed("write", waitErr)
	case err != nil:
		return n, c.failed("write", os.NewSyscallError("write", err))
	}
	return n, nil
}

// send writes p until it is written, or the socket takes no more: EAGAIN.
func send(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		sent, err := nowait.Write(fd, p[n:min(len(p), n+nowait.Most)])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += sent
	}
	return n, nil
}

func (c *Conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "unix", Addr: c.addr, Err: err}
}

// CloseWrite half-closes the connection: the other end sees the end of its input.
func (c *Conn) CloseWrite() error {
	if err := c.hold(); err != nil {
		return c.failed("close", err)
	}
	defer c.end()
	if err := nowait.CloseWrite(int(c.fd)); err != nil {
		return c.failed("close", os.NewSyscallError("shutdown", err))
	}
	return nil
}

// Close implements [net.Conn]. Calls that wait end with [net.ErrClosed].
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed("close", net.ErrClosed)
	}
	c.closed = true
	if c.calls == 0 {
		return c.closeNow()
	}
	if c.file != nil { // the last call closes it, and until then others may wait
		c.file.SetDeadline(time.Unix(1, 0))
	}
	return nil
}

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr implements [net.Conn]. Clients of Unix sockets have no addresses.
func (c *Conn) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// SyscallConn implements [syscall.Conn].
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return (*rawConn)(c), nil }

// rawConn is a Conn as a [syscall.RawConn].
type rawConn Conn

// Control implements [syscall.RawConn].
func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	if err := c.hold(); err != nil {
		return err
	}
	defer c.end()
	f(uintptr(c.fd))
	return nil
}

// Read implements [syscall.RawConn].
func (r *rawConn) Read(f func(fd uintptr) bool) error { return (*Conn)(r).wait(reading, f) }

// Write implements [syscall.RawConn].
func (r *rawConn) Write(f func(fd uintptr) bool) error { return (*Conn)(r).wait(writing, f) }
