// Package dataport implements the data port of STREAM, the predecessor of INSTREAM:
//
//	-> STREAM
//	<- PORT 12345
//	   the client connects to this port, sends the bare object and closes
//	<- stream: OK
//
// clamd removed STREAM in 0.104 and answers UNKNOWN COMMAND. A few clients still send it
// and have no other way to scan a stream: ClamAV::Client 0.11, and with it qpsmtpd and
// courier-filter-perl. So a server may offer it, but nothing else in package protocol
// depends on it.
//
// The port listens on the address that the client connected to, and accepts connections
// only from the client's own address. For a client on a Unix socket both are 127.0.0.1,
// where ClamAV::Client connects to. Connections from other addresses are closed. Nothing
// else identifies the client: another process on its host may connect first, and get its
// own object scanned instead. Therefore a second connection, at any time before
// [Port.Close], is [ErrSecondConnection].
//
// A reset of the data connection is an error. But a client that dies half-way closes it
// exactly like one that has sent everything, so half an object cannot be distinguished
// from a whole one.
package dataport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"polyclam/protocol"
)

// Reasons why there is no object.
var (
	// ErrNoPort: all ports of the range are in use or not permitted.
	ErrNoPort = errors.New("no free data port")
	// ErrAccept: the system failed to accept connections.
	ErrAccept = errors.New("data port")
	// ErrNoConnection: the client did not connect in time.
	ErrNoConnection = errors.New("no data connection")
	// ErrSecondConnection: there was more than one connection from the client's address,
	// and it is unknown which one is the client's.
	ErrSecondConnection = errors.New("second data connection")
	// ErrLost: the data connection broke before its end.
	ErrLost = errors.New("data connection lost")
	// ErrClientGone: the client closed the control connection.
	ErrClientGone = errors.New("control connection closed")
	// ErrStrayInput: the client sent something over the control connection.
	ErrStrayInput = errors.New("input after STREAM")
)

// A Port is the data port of one client. The goroutine that serves the control
// connection calls its methods, one after the other, and does not read from the control
// connection before Close.
type Port struct {
	control net.Conn
	raw     syscall.RawConn // of control
	ln      *net.TCPListener
	peer    netip.Addr // where the client may connect from
	refused func(peer net.Addr)

	arrived  chan struct{} // closed when the data connection has arrived or never will
	accepted chan struct{} // closed when accept has ended
	watched  chan struct{} // closed when watch has ended; nil before Accept

	mu       sync.Mutex
	conn     *protocol.Conn // the data connection
	complete bool           // it was read to the end
	err      error          // why there is no object
	watching bool           // input on the control connection is an error

	closing sync.Once
}

// Open listens on one of the ports for the data connection of the client at the other
// end of control. It closes connections from other addresses and reports them to
// refused, from another goroutine.
func Open(control net.Conn, ports Range, refused func(peer net.Addr)) (*Port, error) {
	own, peer := address(control.LocalAddr()), address(control.RemoteAddr())
	var socket syscall.Conn
	switch control := control.(type) {
	case *net.UnixConn:
		own = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		peer = own
		socket = control
	case protocol.UnixSocket:
		own = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		peer = own
		socket = control
	case *net.TCPConn:
		socket = control
	default:
		return nil, fmt.Errorf("%w: the client is not on a socket", ErrNoPort)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoPort, err)
	}
	ln, err := listen(own, ports)
	if err != nil {
		return nil, err
	}
	p := &Port{
		control: control, raw: raw, ln: ln, peer: peer, refused: refused,
		arrived: make(chan struct{}), accepted: make(chan struct{}),
	}
	go p.accept()
	return p, nil
}

// Number returns the port number to send to the client.
func (p *Port) Number() int { return p.ln.Addr().(*net.TCPAddr).Port }

// Accept waits for the data connection. It ends with [ErrNoConnection] at the control
// connection's read deadline, with [ErrClientGone] when the client closes the control
// connection, and with [ErrStrayInput] when the client sends something over it.
//
// The stream ends with the data connection. It returns the same errors, and
// ErrSecondConnection, while the object arrives; anything else that ends the data
// connection early is [ErrLost]. The read deadline of the control connection still
// applies until the caller removes it.
func (p *Port) Accept(limit int64, timeout time.Duration) (*protocol.Stream, error) {
	p.watched, p.watching = make(chan struct{}), true
	go p.watch()
	<-p.arrived
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	return p.conn.Stream(limit, timeout), nil
}

// accept accepts connections until the port is closed.
func (p *Port) accept() {
	defer close(p.accepted)
	for {
		nc, err := p.ln.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return // Close
		}
		if err != nil {
			p.fail(fmt.Errorf("%w: %w", ErrAccept, err))
			return
		}
		p.admit(nc)
	}
}

// admit makes nc the data connection, or closes it.
func (p *Port) admit(nc net.Conn) {
	if address(nc.RemoteAddr()) != p.peer {
		nc.Close()
		p.refused(nc.RemoteAddr())
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil && p.err == nil {
		p.conn = protocol.NewConn(&chunker{nc, p})
		close(p.arrived)
		return
	}
	nc.Close()
	p.failLocked(ErrSecondConnection)
}

// watch waits for anything to happen on the control connection.
func (p *Port) watch() {
	defer close(p.watched)
	err := p.awaitControl()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watching {
		p.failLocked(err)
	}
}

// awaitControl waits for input on the control connection, and leaves it there.
func (p *Port) awaitControl() error {
	var n int
	var errno error
	err := p.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, errno = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
		return errno != syscall.EAGAIN
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrNoConnection
	case err == nil && errno == nil && n > 0:
		return ErrStrayInput
	}
	return ErrClientGone
}

// unwatch ends watch: from here on, input on the control connection and its end are
// ignored.
func (p *Port) unwatch() {
	if p.watched == nil {
		return
	}
	p.mu.Lock()
	p.watching = false
	p.mu.Unlock()
	p.control.SetReadDeadline(time.Unix(1, 0))
	<-p.watched
}

// fail closes the data connection. The first error is kept.
func (p *Port) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failLocked(err)
}

func (p *Port) failLocked(err error) {
	if p.conn != nil {
		p.conn.Close()
	}
	if p.err != nil {
		return
	}
	p.err = err
	if p.conn == nil {
		close(p.arrived)
	}
}

// Close closes the port and the data connection. It returns nil only if the whole object
// arrived over the only connection, or if there was no data connection and nothing failed.
// Send the verdict only after Close has returned nil: otherwise a client whose port
// another process has taken would get the verdict on the other object. Further calls
// return the same error.
func (p *Port) Close() error {
	p.closing.Do(func() {
		p.unwatch()
		p.ln.SetDeadline(time.Unix(1, 0))
		<-p.accepted
		p.emptyBacklog()
		p.ln.Close()
		if p.conn != nil {
			p.conn.Close()
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.conn != nil && !p.complete && p.watched != nil {
		p.err = fmt.Errorf("%w: closed before its end", ErrLost)
	}
	return p.err
}
