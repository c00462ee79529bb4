package line

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"polyclam/backends"
)

// Bounds on what an engine may say to one command.
const (
	maxLine  = 64 << 10
	maxLines = 100_000 // an archive may have a line for each of its members
)

// Conn is a connection to an engine. It is used by one dialogue at a time.
type Conn struct {
	nc      net.Conn
	r       *bufio.Reader
	lines   int  // since the last command
	heard   bool // a byte has come since the last command
	reused  bool
	spoiled bool
}

func newConn(nc net.Conn) *Conn { return &Conn{nc: nc, r: bufio.NewReader(nc)} }

func (c *Conn) close() { c.nc.Close() }

// bye closes a connection that is in order. It does not wait for an answer.
func (c *Conn) bye(text string) {
	if text != "" {
		c.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		io.WriteString(c.nc, text)
	}
	c.close()
}

// Reused reports whether an earlier dialogue took place on this connection, so
// that an answer which names nothing could be a late one to an earlier question.
func (c *Conn) Reused() bool { return c.reused }

// Spoil gives the connection up at the end of this dialogue, and lets pass what
// may still come.
func (c *Conn) Spoil() { c.spoiled = true }

// Pending is what has come and is not yet read. It is valid until the next read.
func (c *Conn) Pending() []byte {
	p, _ := c.r.Peek(c.r.Buffered())
	return p
}

// Command sends text, to which an answer is to come from its first byte on.
func (c *Conn) Command(text string) error {
	c.heard, c.lines = false, 0
	if _, err := io.WriteString(c.nc, text); err != nil {
		return c.lost(err)
	}
	return nil
}

// Nudge sends text in the middle of an answer. That the engine does not want it is
// seen, if it matters, where the answer goes on.
func (c *Conn) Nudge(text string) { io.WriteString(c.nc, text) }

// Line reads a line without its end, LF or CRLF. A line that the engine has not
// ended is no line.
func (c *Conn) Line() (string, error) {
	if c.lines++; c.lines > maxLines {
		return "", fmt.Errorf("more than %d lines in one answer", maxLines)
	}
	var line []byte
	for {
		part, err := c.r.ReadSlice('\n')
		c.heard = c.heard || len(part) > 0
		if len(line)+len(part) > maxLine {
			return "", fmt.Errorf("a line of more than %d bytes: %.100q", maxLine, part)
		}
		line = append(line, part...)
		if err == nil {
			return trimEnd(line), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", c.lost(err)
		}
	}
}

func trimEnd(line []byte) string {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return string(line)
}

// Read implements [io.Reader], for answers that are not lines. Only io.EOF is
// returned as it is.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.heard = c.heard || n > 0
	if err != nil && (err != io.EOF || !c.heard) {
		err = c.lost(err)
	}
	return n, err
}

// lost is the end of the connection: without a reply, or in the middle of one.
func (c *Conn) lost(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	hangup := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if hangup && !c.heard {
		return fmt.Errorf("%w: %w", backends.ErrNoReply, err)
	}
	return fmt.Errorf("connection lost: %w", err)
}

// quiet reports whether the engine has neither closed the connection nor said
// anything that nobody asked for.
func (c *Conn) quiet() bool {
	sc, ok := c.nc.(syscall.Conn)
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
