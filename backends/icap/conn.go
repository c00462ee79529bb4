package icap

import (
	"bufio"
	"net"
	"syscall"
)

// conn is one connection to the server, with at most one request in flight.
type conn struct {
	nc     net.Conn // plain, or TLS
	raw    net.Conn // the socket below
	br     *bufio.Reader
	reused bool  // has carried a request before this one
	got    int64 // bytes of the answer to this request, those ahead in br included
}

func newConn(nc, raw net.Conn) *conn {
	c := &conn{nc: nc, raw: raw}
	c.br = bufio.NewReaderSize(reader{c}, 8<<10)
	return c
}

// reader counts what is read.
type reader struct{ c *conn }

func (r reader) Read(p []byte) (int, error) {
	n, err := r.c.nc.Read(p)
	r.c.got += int64(n)
	return n, err
}

// Close ends every read and write under way at once. TLS is not told: its own Close
// waits for the peer, and all that ICAP sends says where it ends.
func (c *conn) Close() error { return c.raw.Close() }

// quiet reports whether the connection is open and nothing has come in that was not
// asked for. It costs one system call.
func (c *conn) quiet() bool {
	if c.br.Buffered() > 0 {
		return false
	}
	s, ok := c.raw.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := s.SyscallConn()
	if err != nil {
		return false
	}
	idle := false
	err = rc.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		idle = err == syscall.EAGAIN
		return true
	})
	return err == nil && idle
}
