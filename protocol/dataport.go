package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Errors of a DataPort: why there is no content.
var (
	// ErrNoDataPort: all ports that may be used are taken, or may not be used.
	ErrNoDataPort = errors.New("protocol: no free data port")
	// ErrDataAccept: the system does not hand over who connected.
	ErrDataAccept = errors.New("protocol: data port")
	// ErrNoDataConnection: the client did not connect in time.
	ErrNoDataConnection = errors.New("protocol: no data connection")
	// ErrSecondConnection: more than one data connection was made from the client's
	// address, and which is the client's cannot be told.
	ErrSecondConnection = errors.New("protocol: second data connection")
	// ErrDataLost: the data connection broke before its end.
	ErrDataLost = errors.New("protocol: data connection lost")
	// ErrBehindStream: the client sent more over its own connection, which is no
	// part of the dialogue.
	ErrBehindStream = errors.New("protocol: bytes behind STREAM")
)

// A DataPort is the second port of STREAM, the command before INSTREAM that clamd
// dropped:
//
//	-> STREAM
//	<- PORT 12345
//	   the client connects to this port, sends the bare content and closes
//	<- stream: OK
//
// It is open for the client at the other end of one Conn, the control connection:
// at the address the client spoke to, for the address the client comes from; on a
// Unix socket both are 127.0.0.1, where ClamAV::Client 0.11 goes to. Other
// addresses are cut off. That is all the dialogue has to tell who connects: a
// process on the client's host may come first and have its own content judged in
// place of the client's. So there is one data connection or no content: as long as
// the port is open a second one makes everything ErrSecondConnection.
//
// A reset of the data connection is an error, but a client that died closes it as
// one does that has sent everything: half a content cannot be told from a whole one.
//
// The goroutine that owns the control connection calls the methods, one after the
// other, and does not read from that connection before Close.
type DataPort struct {
	control *Conn
	ln      *net.TCPListener
	peer    netip.Addr // who may connect
	refused func(peer net.Addr)

	arrived  chan struct{} // closed when the data connection is there or never will be
	accepted chan struct{} // closed when nobody accepts any more
	watched  chan struct{} // closed when nobody watches the control connection; nil before Accept

	mu       sync.Mutex
	conn     *Conn // the data connection
	err      error // why there is no content
	watching bool  // what happens on the control connection counts

	closing sync.Once
}

// OpenDataPort listens for the data connection of the client of c, on one of the
// ports. Whoever connects from another address is cut off and told to refused,
// which other goroutines call.
func (c *Conn) OpenDataPort(ports PortRange, refused func(peer net.Addr)) (*DataPort, error) {
	if c.raw == nil {
		return nil, fmt.Errorf("%w: the client is not on a socket", ErrNoDataPort)
	}
	own, peer := address(c.nc.LocalAddr()), address(c.nc.RemoteAddr())
	if c.unix {
		own = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		peer = own
	}
	ln, err := listenData(own, ports)
	if err != nil {
		return nil, err
	}
	p := &DataPort{
		control: c, ln: ln, peer: peer, refused: refused,
		arrived: make(chan struct{}), accepted: make(chan struct{}),
	}
	go p.accept()
	return p, nil
}

// Port is the number that the client is told.
func (p *DataPort) Port() int { return p.ln.Addr().(*net.TCPAddr).Port }

// Accept waits for the data connection, until the control connection's read
// deadline: ErrNoDataConnection. It ends early when the client closes the control
// connection, io.EOF, or sends more over it, ErrBehindStream.
//
// The stream is the content, as that of [Conn.Stream] is; its WriteTo ends with the
// connection. It returns the same errors while the content is on its way, and
// ErrSecondConnection, and wraps in ErrDataLost whatever else ends the connection
// before its end. The read deadline of the control connection still counts: it is
// the caller's to remove.
func (p *DataPort) Accept(limit int64, timeout time.Duration) (*Stream, error) {
	p.watched, p.watching = make(chan struct{}), true
	go p.watch()
	<-p.arrived
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, p.err
	}
	s := p.conn.Stream(limit, timeout)
	s.port = p
	return s, nil
}

// accept takes connections until the port is closed.
func (p *DataPort) accept() {
	defer close(p.accepted)
	for {
		nc, err := p.ln.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return // Close
		}
		if err != nil {
			p.fail(fmt.Errorf("%w: %w", ErrDataAccept, err))
			return
		}
		p.meet(nc)
	}
}

// meet takes nc for the data connection, or closes it.
func (p *DataPort) meet(nc net.Conn) {
	if address(nc.RemoteAddr()) != p.peer {
		nc.Close()
		p.refused(nc.RemoteAddr())
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil && p.err == nil {
		p.conn = NewConn(nc)
		close(p.arrived)
		return
	}
	nc.Close()
	p.failLocked(ErrSecondConnection)
}

// watch waits for something to happen on the control connection, where nothing is to
// happen while the content is on its way.
func (p *DataPort) watch() {
	defer close(p.watched)
	p.control.Await()
	err := p.control.happened()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watching {
		p.failLocked(err)
	}
}

// happened says what Await returned for.
func (c *Conn) happened() error {
	c.reading.Lock()
	defer c.endRead()
	if c.w > c.r {
		return ErrBehindStream
	}
	switch err := c.fill(false); {
	case err == nil:
		return ErrBehindStream
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrNoDataConnection
	default:
		return io.EOF
	}
}

// unwatch ends watch: what happens on the control connection no longer counts.
func (p *DataPort) unwatch() {
	if p.watched == nil {
		return
	}
	p.mu.Lock()
	p.watching = false
	p.mu.Unlock()
	p.control.SetReadDeadline(time.Unix(1, 0))
	<-p.watched
}

// fail notes why there is no content, and cuts it off. The first reason counts.
func (p *DataPort) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failLocked(err)
}

func (p *DataPort) failLocked(err error) {
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

// ended is the error of the stream that ended with err. One that is to be drained
// can still be cut off.
func (p *DataPort) ended(err error) error {
	var writeErr *WriteError
	switch {
	case err == nil:
		p.unwatch()
	case err == ErrStreamLimit, errors.As(err, &writeErr), errors.Is(err, os.ErrDeadlineExceeded):
	default:
		err = fmt.Errorf("%w: %w", ErrDataLost, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err // the kernel reports a reset once, and then the end
	}
	return p.err
}

// Close closes the port and the data connection. It returns why the content that
// was received must not be trusted, as ErrSecondConnection: a verdict is told after
// Close, so that a client that finds its place taken is not told that of another.
// Further calls return the same and do nothing.
func (p *DataPort) Close() error {
	p.closing.Do(func() {
		p.unwatch()
		p.ln.SetDeadline(time.Unix(1, 0))
		<-p.accepted
		p.meetRest()
		p.ln.Close()
		if p.conn != nil {
			p.conn.Close()
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
