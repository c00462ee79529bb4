package dataport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A chunker turns the data connection into an INSTREAM: Read puts a length before the data
// it reads, and a zero length at the end.
type chunker struct {
	net.Conn
	p *Port
}

const lengthSize = 4

// SetReadDeadline implements [net.Conn].
func (c *chunker) SetReadDeadline(t time.Time) error {
	if err := c.Conn.SetReadDeadline(t); err != nil {
		return c.p.lost(err)
	}
	return nil
}

// Read implements [io.Reader].
func (c *chunker) Read(b []byte) (int, error) {
	if len(b) <= lengthSize {
		return 0, io.ErrShortBuffer
	}
	n, err := c.Conn.Read(b[lengthSize:])
	if n > 0 {
		binary.BigEndian.PutUint32(b, uint32(n))
		return lengthSize + n, nil // an error will come again
	}
	if err != io.EOF {
		return 0, c.p.lost(err)
	}
	if err := c.p.finish(); err != nil {
		return 0, err
	}
	return copy(b, make([]byte, lengthSize)), nil
}

// finish is called at the end of the data connection. It returns an error if there is
// one already: the kernel reports a reset once, and then the end.
func (p *Port) finish() error {
	p.unwatch()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complete = p.err == nil
	return p.err
}

// lost returns the error to report for a read from the data connection that failed with
// err.
func (p *Port) lost(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return err // the stream's own; it may go on
	}
	if p.err == nil {
		p.err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	return p.err
}
