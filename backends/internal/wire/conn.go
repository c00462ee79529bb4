package wire

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

const (
	maxHead    = 64 << 10
	maxInterim = 5 // answers like 100 Continue before the real one
)

var errTooLong = errors.New("the answer is too long")

// conn is a connection to an engine. It is used by one exchange at a time, but for
// close.
type conn struct {
	nc     net.Conn
	source source
	r      *bufio.Reader
	ending bool // the engine said that it closes the connection
}

func newConn(nc net.Conn) *conn {
	c := &conn{nc: nc, source: source{nc: nc}}
	c.r = bufio.NewReader(&c.source)
	return c
}

func (c *conn) close() { c.nc.Close() }

// source bounds what comes in during one exchange, the framing included.
type source struct {
	nc    net.Conn
	left  int64
	heard bool
}

func (s *source) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, errTooLong
	}
	n, err := s.nc.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.heard = s.heard || n > 0
	return n, err
}

// begin begins an exchange.
func (c *conn) begin(maxBody int64) {
	// In chunks of one byte a body takes six times its length.
	c.source.left, c.source.heard = maxHead+6*maxBody, false
}

// receive reads the answer to a request.
func (c *conn) receive(method string, maxBody int64) (*Response, error) {
	for range maxInterim {
		res, err := http.ReadResponse(c.r, &http.Request{Method: method})
		switch {
		case err != nil:
			return nil, c.broken(err)
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the server switches protocols")
		case res.StatusCode >= 200:
			return c.body(res, maxBody)
		case res.StatusCode < 100:
			return nil, fmt.Errorf("status %d", res.StatusCode)
		}
	}
	return nil, errors.New("no end to interim answers")
}

// body reads the rest of an answer.
func (c *conn) body(res *http.Response, maxBody int64) (*Response, error) {
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, c.broken(err)
	case int64(len(data)) > maxBody:
		return nil, fmt.Errorf("%w: more than %d bytes: %.100q", errTooLong, maxBody, data)
	case c.r.Buffered() > 0:
		rest, _ := c.r.Peek(min(c.r.Buffered(), 100))
		return nil, fmt.Errorf("more than one answer: %q", rest)
	}
	c.ending = c.ending || res.Close
	return &Response{
		Status:   res.StatusCode,
		Location: res.Header.Get("Location"),
		Body:     data,
		Measured: res.ContentLength >= 0 || len(res.TransferEncoding) > 0,
	}, nil
}

// broken is the error for an answer that is none.
func (c *conn) broken(err error) error {
	var netErr net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &netErr):
		return Lost(err, c.source.heard)
	case errors.Is(err, errTooLong):
		return err
	}
	return fmt.Errorf("not an answer in HTTP: %s", Clip(err.Error(), 200)) // it quotes what came
}

// quiet reports whether the server has neither closed the connection nor said
// anything that nobody asked for.
func (c *conn) quiet() bool {
	nc := c.nc
	if s, ok := nc.(secured); ok {
		if !emptied(s.Conn) {
			return false
		}
		nc = s.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok || c.r.Buffered() > 0 {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	idle := false
	err = raw.Read(func(fd uintptr) bool {
		// The descriptor is non-blocking. A byte that this takes away was not
		// asked for, and the connection is given up for it.
		_, err := syscall.Read(int(fd), make([]byte, 1))
		idle = err == syscall.EAGAIN
		return true
	})
	return err == nil && idle
}

// emptied reports whether TLS holds nothing that has come in already.
func emptied(tc *tls.Conn) bool {
	tc.SetReadDeadline(time.Unix(1, 0))
	n, err := tc.Read(make([]byte, 1))
	tc.SetReadDeadline(time.Time{})
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
