package protocol

import (
	"errors"
	"io"
	"os"
	"syscall"

	"polyclam/protocol/nowait"
)

// maxEmptyReads bounds the reads of no bytes from a net.Conn that is not a socket. An
// empty Write to a net.Pipe causes one, and it is not the end.
const maxEmptyReads = 100

// errNothing: nothing has arrived, and receive may not wait.
var errNothing = errors.New("protocol: nothing has arrived")

// consume drops n received bytes, and frees the segment when none are left.
func (c *Conn) consume(n int) {
	c.r += n
	c.off += int64(n)
	if c.r == c.w {
		c.free()
	}
}

func (c *Conn) free() {
	if c.seg != nil {
		c.seg.free()
		c.seg = nil
	}
	c.r, c.w = 0, 0
}

// take makes sure that there is a segment to receive into.
func (c *Conn) take() {
	if c.seg != nil {
		return
	}
	c.seg = newSegment(c.recv.large)
	c.w = copy(c.seg.b, c.held)
	c.held = ""
}

// park frees the segment while there is nothing to receive. An unfinished command is kept
// in a string of its size, so clients that stop in the middle of one hold no segment
// either.
func (c *Conn) park() {
	if c.w > c.r {
		c.held = string(c.seg.b[c.r:c.w])
	}
	c.free()
}

// fill receives at least one byte after those that are still unread. It takes a segment
// only when there is something to receive.
func (c *Conn) fill(large bool) error {
	if c.recv.awaited {
		c.recv.awaited = false
		return c.recv.err
	}
	if c.r > 0 && c.w == len(c.seg.b) {
		c.w = copy(c.seg.b, c.seg.b[c.r:c.w])
		c.r = 0
	}
	c.outdate()
	c.recv.large, c.recv.n, c.recv.err = large, 0, nil
	if !c.direct {
		c.receiveConn()
	} else if err := c.sock.Read(c.recv.f); err != nil {
		c.park()
		return err
	}
	switch {
	case c.recv.err != nil:
		return c.recv.err
	case c.recv.n == 0:
		return io.EOF
	}
	c.w += int(c.recv.n)
	return nil
}

// receiveConn receives from a connection that is not a socket.
func (c *Conn) receiveConn() {
	c.take()
	for range maxEmptyReads {
		n, err := c.nc.Read(c.seg.b[c.w:])
		if n > 0 {
			c.recv.n = int32(n)
			return // an error will come again
		}
		if err != nil {
			c.recv.err = err
			c.park()
			return
		}
	}
	c.recv.err = io.ErrNoProgress
	c.park()
}

// receive is called by RawConn.Read when the socket may be readable. If it is not, receive
// frees the segment and reports false.
func (c *Conn) receive(fd uintptr) bool {
	c.take()
	for {
		n, err := c.read(int(fd))
		switch err {
		case nil:
			c.recv.n = int32(n)
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			c.park()
			if c.recv.once {
				c.recv.err = errNothing
			}
			return c.recv.once
		default:
			c.recv.err = os.NewSyscallError("recvmsg", err)
		}
		if c.recv.n <= 0 {
			c.park()
		}
		return true
	}
}

func (c *Conn) read(fd int) (int, error) {
	p := c.seg.b[c.w:]
	if !c.unix {
		return nowait.Read(fd, p)
	}
	n, err := c.seg.receive(fd, p)
	if err == nil {
		c.takeDescriptors(c.seg.oob[:c.seg.msg.Controllen], int(c.seg.msg.Flags), n, n == len(p))
		return n, nil
	}
	return n, err
}
