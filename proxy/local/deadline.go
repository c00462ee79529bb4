package local

import (
	"cmp"
	"net"
	"time"
)

// A deadline is a time as the nanoseconds since the program's start; 0: none.
type deadline int64

var start = time.Now()

func deadlineAt(t time.Time) deadline {
	if t.IsZero() {
		return 0
	}
	return cmp.Or(deadline(t.Sub(start)), 1)
}

// time is the deadline for package os.
func (d deadline) time() time.Time {
	if d == 0 {
		return time.Time{}
	}
	return start.Add(time.Duration(d))
}

// over reports whether the deadline is in the past.
func (d deadline) over() bool { return d != 0 && time.Since(start) >= time.Duration(d) }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.failed("set", net.ErrClosed)
	}
	if read {
		c.readEnd = deadlineAt(t)
	}
	if write {
		c.writeEnd = deadlineAt(t)
	}
	switch {
	case c.file == nil:
		return nil
	case read && write:
		return c.file.SetDeadline(t)
	case read:
		return c.file.SetReadDeadline(t)
	}
	return c.file.SetWriteDeadline(t)
}
