package engineconn

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/ended"
	"polyclam/backends/internal/tracing"
)

// Limits on an engine's answer to one request.
const (
	maxLine  = 64 << 10
	maxLines = 100_000 // an archive may have a line for each of its members
)

// A Conn is a connection to an engine. Only one dialogue uses it at a time, in one
// goroutine.
type Conn struct {
	nc   net.Conn
	sock *socket // below nc
	r    *bufio.Reader

	lines int // since the last request
	step  string

	replied  bool // a byte of the answer to the last request has arrived
	reused   bool
	early    bool
	noReuse  bool
	trace    *tracing.Tracer // of this dialogue; nil: none
	subjects map[string]bool // of earlier requests, see SetSubject

	// State belongs to the engine's package.
	State any
}

func newConn(nc net.Conn, s *socket) *Conn {
	c := &Conn{nc: nc, sock: s, step: "greeting"}
	c.r = bufio.NewReader(receiver{c})
	return c
}

// NewConn returns a Conn on nc, for tests of dialogues.
func NewConn(nc net.Conn) *Conn {
	s := newSocket(nc)
	return newConn(s, s)
}

// receiver notices the first byte of an answer.
type receiver struct{ c *Conn }

func (r receiver) Read(p []byte) (int, error) {
	n, err := r.c.nc.Read(p)
	r.c.replied = r.c.replied || n > 0
	r.c.trace.Read(p[:n])
	return n, err
}

// Close closes the connection. Reads and writes in progress return an error.
func (c *Conn) Close() error { return c.sock.Conn.Close() }

// goodbye sends text and closes the connection, without waiting for an answer.
func (c *Conn) goodbye(text string) {
	if text != "" {
		c.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		io.WriteString(c.nc, text)
	}
	c.Close()
}

// Reused reports whether an earlier dialogue used this connection. If so, an answer
// without an id could be a late one to an earlier request.
func (c *Conn) Reused() bool { return c.reused }

// IsEarly reports whether the answer began before the last byte of the request was
// sent.
func (c *Conn) IsEarly() bool { return c.early }

// NoReuse makes the client close the connection at the end of this dialogue.
func (c *Conn) NoReuse() { c.noReuse = true }

// maxSubjects limits how many subjects a connection remembers. Then the connection is closed.
const maxSubjects = 10_000

// SetSubject names what a request is about, such as a path, if nothing else identifies
// the answer. If an earlier request on this connection had the same subject, an answer
// could be a late one, so the dialogue runs again on a new connection.
func (c *Conn) SetSubject(subject string) error {
	if c.subjects[subject] {
		return fmt.Errorf("%w: asked about %q before", errStray, subject)
	}
	if c.subjects == nil {
		c.subjects = map[string]bool{}
	}
	c.subjects[subject] = true
	c.noReuse = c.noReuse || len(c.subjects) >= maxSubjects
	return nil
}

// Stray reports an answer that does not belong to the request. On a reused connection it
// marks err, so that the dialogue runs again on a new connection.
func (c *Conn) Stray(err error) error {
	if !c.reused {
		return err
	}
	return fmt.Errorf("%w: %w", errStray, err)
}

// SetStep names the current step of the dialogue for errors, e.g. "SCANDATA". Send and
// Command set it to "sending the object" and "waiting for the answer".
func (c *Conn) SetStep(step string) { c.step = step }

// Reader returns the receiving side for an engine's own parser, which must pass its read
// errors through Lost or Broken.
func (c *Conn) Reader() *bufio.Reader { return c.r }

// Pending returns the buffered input that has not been read. It is valid until the next
// read.
func (c *Conn) Pending() []byte {
	p, _ := c.r.Peek(c.r.Buffered())
	return p
}

// HideRest keeps everything that has not been read yet out of the trace, because it may be
// the object.
func (c *Conn) HideRest() { c.trace.HideRest(c.r.Buffered()) }

// SetReadDeadline limits the wait for input that may never arrive.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// CloseWrite closes the sending side; the connection is not kept. It cannot mark the end
// of an object, because Send may wait for the answer.
func (c *Conn) CloseWrite() {
	c.noReuse = true
	if tc, ok := c.nc.(tlsConn); ok {
		tc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		tc.CloseWrite()
		return
	}
	c.sock.CloseWrite()
}

// Line reads a line and removes LF or CRLF. A connection that ends within a line is an
// error.
func (c *Conn) Line() (string, error) {
	line, err := c.Until("\n")
	if n := len(line); err == nil && n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, err
}

// Until reads up to one of the end bytes, at most 64 KiB, and removes it.
func (c *Conn) Until(ends string) (string, error) {
	if c.lines++; c.lines > maxLines {
		return "", fmt.Errorf("more than %d lines in one answer", maxLines)
	}
	var line []byte
	for {
		if _, err := c.r.Peek(1); err != nil {
			return string(line), c.Lost(err)
		}
		part := c.Pending()
		if i := bytes.IndexAny(part, ends); i >= 0 {
			line = append(line, part[:i]...)
			c.r.Discard(i + 1)
			if err := c.tooLong(line); err != nil {
				return "", err
			}
			return string(line), nil
		}
		line = append(line, part...)
		c.r.Discard(len(part))
		if err := c.tooLong(line); err != nil {
			return "", err
		}
	}
}

func (c *Conn) tooLong(line []byte) error {
	if len(line) > maxLine {
		return fmt.Errorf("a line of more than %d bytes: %.100q", maxLine, line)
	}
	return nil
}

// Read implements [io.Reader], for answers that are not lines. It returns io.EOF
// unchanged after the first byte of the answer.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && (err != io.EOF || !c.replied) {
		err = c.Lost(err)
	}
	return n, err
}

// Fill reads all of p, for answers of a known length.
func (c *Conn) Fill(p []byte) error {
	if _, err := io.ReadFull(c.r, p); err != nil {
		return c.Lost(err)
	}
	return nil
}

// Lost returns the error for a connection that ended without a reply or in the middle of
// one.
func (c *Conn) Lost(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case !IsHangup(err):
		return fmt.Errorf("connection lost: %w", ended.Connection(err))
	case !c.replied:
		return &ended.Error{Text: backends.ErrNoReply.Error(), Causes: []error{backends.ErrNoReply, err}}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &ended.Error{Text: "connection closed in the middle of the answer", Causes: []error{err}}
	}
	return &ended.Error{Text: "connection reset in the middle of the answer", Causes: []error{err}}
}

// Broken returns the error of a parser on Reader: Lost if the connection ended, or else
// err unchanged, which says what is wrong with the answer.
func (c *Conn) Broken(err error) error {
	var netErr net.Error
	if IsHangup(err) || errors.Is(err, net.ErrClosed) || errors.As(err, &netErr) {
		return c.Lost(err)
	}
	return err
}

// IsHangup reports whether err means that the peer closed or reset the connection.
func IsHangup(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isSilent reports whether the connection is open and has no unread input. It costs one
// system call.
func (c *Conn) isSilent() bool {
	return c.r.Buffered() == 0 && !c.hasPlaintext() && c.sock.silent(c.sock.mark())
}

// hasMore reports whether there is unread input. With TLS only buffered plain text
// counts: anything else may be a closing alert of TLS itself.
func (c *Conn) hasMore() bool {
	if c.r.Buffered() > 0 {
		return true
	}
	if _, isTLS := c.nc.(tlsConn); isTLS || !c.sock.hasInput() {
		return false
	}
	_, err := c.r.Peek(1)
	return err == nil
}

// hasPlaintext reports whether TLS holds plain text that was already received.
func (c *Conn) hasPlaintext() bool {
	tc, ok := c.nc.(tlsConn)
	return ok && !isDrained(tc.Conn)
}

// isDrained reports whether TLS holds no received plain text. With a deadline in the
// past, crypto/tls returns what it has and reads nothing.
func isDrained(tc *tls.Conn) bool {
	tc.SetReadDeadline(time.Unix(1, 0))
	n, err := tc.Read(make([]byte, 1))
	tc.SetReadDeadline(time.Time{})
	var netErr net.Error
	return n == 0 && errors.As(err, &netErr) && netErr.Timeout()
}
