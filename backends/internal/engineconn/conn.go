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
)

// Bounds on what an engine may say to one request.
const (
	maxLine  = 64 << 10
	maxLines = 100_000 // an archive may have a line for each of its members
)

// Conn is a connection to an engine. One dialogue uses it at a time, from one
// goroutine.
type Conn struct {
	nc   net.Conn
	sock *socket // below nc
	r    *bufio.Reader

	received int64 // bytes of plain text, those ahead in r included
	lines    int   // since the last request
	doing    string
	begun    time.Time

	heard   bool // a byte of the answer to the last request has come
	reused  bool
	early   bool
	spoiled bool
	asked   map[string]bool // the subjects of earlier requests, see Ask

	// State is for the engine's own package: what it knows about this connection.
	State any
}

func newConn(nc net.Conn, s *socket) *Conn {
	c := &Conn{nc: nc, sock: s, doing: "greeting"}
	c.r = bufio.NewReader(receiver{c})
	return c
}

// NewConn makes a Conn of a connection that the caller has made, for tests of
// dialogues.
func NewConn(nc net.Conn) *Conn {
	s := newSocket(nc)
	return newConn(s, s)
}

// receiver counts what is received.
type receiver struct{ c *Conn }

func (r receiver) Read(p []byte) (int, error) {
	n, err := r.c.nc.Read(p)
	r.c.received += int64(n)
	r.c.heard = r.c.heard || n > 0
	return n, err
}

// Close ends every read and write under way.
func (c *Conn) Close() error { return c.sock.Conn.Close() }

// goodbye closes a connection that is in order. It does not wait for an answer.
func (c *Conn) goodbye(text string) {
	if text != "" {
		c.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		io.WriteString(c.nc, text)
	}
	c.Close()
}

// Reused reports whether an earlier dialogue took place on this connection, so that
// an answer without an id could be a late one to an earlier request.
func (c *Conn) Reused() bool { return c.reused }

// IsEarly reports whether the answer began before the last byte of the request was
// sent.
func (c *Conn) IsEarly() bool { return c.early }

// Spoil gives the connection up at the end of this dialogue.
func (c *Conn) Spoil() { c.spoiled = true }

// maxAsked bounds what Ask remembers: after so many requests the connection is given up.
const maxAsked = 10_000

// Ask sets what a request is about, such as a path, where nothing else identifies the
// answer. If this connection has asked about it before, an answer could be a late one,
// and the dialogue runs again on a new connection.
func (c *Conn) Ask(subject string) error {
	if c.asked[subject] {
		return fmt.Errorf("%w: asked about %q before", errStray, subject)
	}
	if c.asked == nil {
		c.asked = map[string]bool{}
	}
	c.asked[subject] = true
	c.spoiled = c.spoiled || len(c.asked) >= maxAsked
	return nil
}

// Unrelated marks the error of an answer to something that was not asked. On a
// connection that was used before it is a stray answer: the dialogue runs again on a
// new connection.
func (c *Conn) Unrelated(err error) error {
	if !c.reused {
		return err
	}
	return fmt.Errorf("%w: %w", errStray, err)
}

// Heard reports whether a byte has come since the last request.
func (c *Conn) Heard() bool { return c.heard }

// Doing names the step of the dialogue for errors, e.g. "SCANDATA". Send and Command
// set it to "sending" and "waiting for the answer" otherwise.
func (c *Conn) Doing(step string) { c.doing = step }

// Reader is the receiving side, for parsers of their own. Read errors from it must
// pass through Lost.
func (c *Conn) Reader() *bufio.Reader { return c.r }

// Pending is what has come and is not read. It is valid until the next read.
func (c *Conn) Pending() []byte {
	p, _ := c.r.Peek(c.r.Buffered())
	return p
}

// SetReadDeadline bounds the wait for input that may never come.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// CloseWrite says that nothing more will be sent. The connection is not kept. It cannot
// mark the end of an object: Send may wait for the answer to it.
func (c *Conn) CloseWrite() {
	c.spoiled = true
	if tc, ok := c.nc.(secured); ok {
		tc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		tc.CloseWrite()
		return
	}
	c.sock.CloseWrite()
}

// Line reads a line without its end, LF or CRLF. A line that the engine has not
// ended is no line.
func (c *Conn) Line() (string, error) {
	line, err := c.Until("\n")
	if n := len(line); err == nil && n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, err
}

// Until reads up to one of the end bytes, at most 64 KiB, and leaves the end away.
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

// Read implements [io.Reader], for answers that are not lines. io.EOF is returned as
// it is once a byte of the answer has come.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && (err != io.EOF || !c.heard) {
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

// Lost is the error for the end of the connection: without a reply, or in the middle
// of one.
func (c *Conn) Lost(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case !IsHangup(err):
		return fmt.Errorf("connection lost: %w", err)
	case !c.heard:
		return &ending{backends.ErrNoReply.Error(), []error{backends.ErrNoReply, err}}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &ending{"connection closed in the middle of the answer", []error{err}}
	}
	return &ending{"connection reset in the middle of the answer", []error{err}}
}

// Broken is the error of a parser on Reader: that of the connection if it was lost,
// see Lost, or else err itself, which says what is wrong with the answer.
func (c *Conn) Broken(err error) error {
	var netErr net.Error
	if IsHangup(err) || errors.Is(err, net.ErrClosed) || errors.As(err, &netErr) {
		return c.Lost(err)
	}
	return err
}

// IsHangup reports whether err says that the peer has closed or reset the connection.
func IsHangup(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isSilent reports whether nothing has arrived that was not read: the connection is
// open and the engine has said nothing unasked. It costs one system call.
func (c *Conn) isSilent() bool {
	return c.r.Buffered() == 0 && !c.hasPlain() && c.sock.silent(c.sock.mark())
}

// hasMore reports whether more bytes have come than were read. Over TLS only those
// that are read ahead count: what else has arrived may be a farewell of TLS itself.
func (c *Conn) hasMore() bool {
	if c.r.Buffered() > 0 {
		return true
	}
	if _, isTLS := c.nc.(secured); isTLS || !c.sock.hasInput() {
		return false
	}
	_, err := c.r.Peek(1)
	return err == nil
}

// hasPlain reports whether TLS holds plain text that was received already.
func (c *Conn) hasPlain() bool {
	tc, ok := c.nc.(secured)
	return ok && !emptied(tc.Conn)
}

// emptied reports whether TLS holds nothing that has come in already. A deadline in
// the past lets crypto/tls return what it has, and read nothing.
func emptied(tc *tls.Conn) bool {
	tc.SetReadDeadline(time.Unix(1, 0))
	n, err := tc.Read(make([]byte, 1))
	tc.SetReadDeadline(time.Time{})
	var netErr net.Error
	return n == 0 && errors.As(err, &netErr) && netErr.Timeout()
}
