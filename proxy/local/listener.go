package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/protocol/nowait"
)

// ErrEmpty says that no connection waits to be accepted.
var ErrEmpty = errors.New("the backlog is empty")

// A Listener is a listening Unix socket whose connections are of type [*Conn]. It leaves the
// socket's file alone. It is safe for concurrent use.
type Listener struct {
	file *os.File
	raw  syscall.RawConn // of file
	addr *net.UnixAddr

	closed atomic.Bool
}

// Listen returns a listener on the socket of ln, and closes ln. After an error ln is still
// open.
func Listen(ln *net.UnixListener) (*Listener, error) {
	file, err := ln.File() // a copy, because net keeps package poll from waiting for a listener
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	addr, ok := ln.Addr().(*net.UnixAddr)
	if !ok {
		file.Close()
		return nil, fmt.Errorf("a Unix socket with the address %v", ln.Addr())
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	return &Listener{file: file, raw: raw, addr: addr}, nil
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	var got struct { // one variable for the closure is one allocation
		fd    int
		errno error
	}
	err := l.raw.Read(func(listening uintptr) bool {
		got.fd, got.errno = accept(int(listening))
		return got.errno != unix.EAGAIN
	})
	return l.accepted(got.fd, got.errno, err)
}

// AcceptQueued is Accept without waiting. It returns [ErrEmpty] if the backlog is empty. It
// ignores the deadline.
func (l *Listener) AcceptQueued() (net.Conn, error) {
	var fd int
	var errno error
	err := l.raw.Control(func(listening uintptr) { fd, errno = accept(int(listening)) })
	if err == nil && (errno == unix.EAGAIN || errno == unix.EINVAL) { // EINVAL: shut down, and empty
		return nil, ErrEmpty
	}
	return l.accepted(fd, errno, err)
}

// accept accepts a connection if one waits. It does not ask for the client's address, for
// which package unix would allocate more than the whole connection needs.
func accept(listening int) (int, error) {
	for {
		fd, errno := nowait.Accept(listening)
		switch errno {
		case nil:
			return fd, nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		}
		return -1, errno
	}
}

// accepted returns the connection of fd, unless there was an error: errno of accept(2), or err
// because the listener is closed or its deadline over.
func (l *Listener) accepted(fd int, errno, err error) (net.Conn, error) {
	if err == nil && errno != nil {
		err = os.NewSyscallError("accept4", errno)
	}
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "unix", Addr: l.addr, Err: l.explain(err)}
	}
	return &Conn{fd: int32(fd), addr: l.addr}, nil
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.closed.Store(true)
	if err := l.file.Close(); err != nil {
		return &net.OpError{Op: "close", Net: "unix", Addr: l.addr, Err: l.explain(err)}
	}
	return nil
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return l.addr }

// SetDeadline sets when Accept gives up.
func (l *Listener) SetDeadline(t time.Time) error { return l.explain(l.file.SetReadDeadline(t)) }

// SyscallConn implements [syscall.Conn].
func (l *Listener) SyscallConn() (syscall.RawConn, error) { return l.raw, nil }

// explain replaces err if the listener is closed: package os has its own errors for that.
func (l *Listener) explain(err error) error {
	if err != nil && l.closed.Load() {
		return net.ErrClosed
	}
	return err
}
