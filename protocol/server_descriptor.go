package protocol

import (
	"math"
	"os"
	"syscall"
)

// A descriptor waits to be claimed by the byte after FILDES.
//
// Linux ends a receive after the bytes of a message that carries descriptors, so one
// receive returns at most one such message, at its end. Only bytes of that receive can
// claim the descriptor, or bytes of the next one if the message did not fit.
type descriptor struct {
	fd  int
	end int64 // bytes from this offset on cannot claim it; unknownEnd until the next receive
}

const unknownEnd = math.MaxInt64

// Descriptor returns the descriptor that follows a FILDES command. It waits for the byte
// that carries it, and consumes it. The caller has to close the file. The error is
// [ErrNoDescriptor] if the byte carried no descriptor, or several, and
// [ErrStrayDescriptor] if one arrived with the command and the byte is missing.
func (c *Conn) Descriptor() (*os.File, error) {
	fd, err := c.RawDescriptor()
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "descriptor"), nil
}

// RawDescriptor is [Conn.Descriptor] for a server that does not trust the file. Creating
// an *os.File of a non-blocking descriptor asks its file system whether it can be polled,
// and a client's own file system (FUSE) may never answer.
func (c *Conn) RawDescriptor() (int, error) {
	c.reading.Lock()
	defer c.endRead()
	if err := c.takeStray(); err != nil {
		return -1, err
	}
	if c.w == c.r {
		if err := c.fill(false); err != nil {
			return -1, err
		}
	}
	c.consume(1)
	if len(c.fds) == 0 {
		return -1, ErrNoDescriptor
	}
	fd := c.fds[0].fd
	c.fds = append(c.fds[:0], c.fds[1:]...)
	return fd, nil
}

// CloseWith makes c close unclaimed descriptors with discard instead of close(2), which
// may wait for the file system. Call it before the first receive.
func (c *Conn) CloseWith(discard func(fd int)) { c.discard = discard }

func (c *Conn) closeDescriptor(fd int) {
	if c.discard != nil {
		c.discard(fd)
		return
	}
	syscall.Close(fd)
}

// strayAfter returns ErrStrayDescriptor if descriptors arrived that no unread byte can
// claim. Others may belong to a later FILDES in the same packet.
func (c *Conn) strayAfter(verb Verb) error {
	if verb == VerbFildes || verb == VerbXFildes {
		return nil // Descriptor reports it
	}
	return c.takeStray()
}

// takeStray returns ErrStrayDescriptor once for descriptors that nothing can claim.
func (c *Conn) takeStray() error {
	if c.expire(c.off) {
		c.stray = true
	}
	if !c.stray {
		return nil
	}
	c.stray = false
	return ErrStrayDescriptor
}

// outdate is called before every receive. What is unread then is at most the start of a
// command, so descriptors that arrived with it are stray.
func (c *Conn) outdate() {
	if c.expire(unknownEnd - 1) {
		c.stray = true
	}
}

// expire closes the descriptors that no byte from off on can claim, and reports whether
// there were any.
func (c *Conn) expire(off int64) bool {
	kept := c.fds[:0]
	for _, d := range c.fds {
		if d.end <= off {
			c.closeDescriptor(d.fd)
			continue
		}
		kept = append(kept, d)
	}
	expired := len(kept) < len(c.fds)
	c.fds = kept
	return expired
}

// takeDescriptors queues the descriptor that arrived with n bytes. FILDES does not allow
// several: all of them are closed (clamd 1.4.6 leaks them). MSG_CTRUNC means that there
// were more than fit, or more than this process may open.
func (c *Conn) takeDescriptors(oob []byte, flags, n int, full bool) {
	end := c.off + int64(c.w-c.r) + int64(n)
	for i := range c.fds {
		c.fds[i].end = min(c.fds[i].end, end)
	}
	if len(oob) == 0 {
		return
	}
	fds := parseRights(oob)
	if len(fds) != 1 || flags&syscall.MSG_CTRUNC != 0 {
		for _, fd := range fds {
			c.closeDescriptor(fd)
		}
		return
	}
	if full {
		end = unknownEnd
	}
	c.fds = append(c.fds, descriptor{fds[0], end})
}

// parseRights returns the descriptors in ancillary data, which comes from the kernel and
// is well-formed even if it was truncated.
func parseRights(oob []byte) []int {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range messages {
		if got, err := syscall.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

func (c *Conn) closeDescriptors() {
	for _, d := range c.fds {
		c.closeDescriptor(d.fd)
	}
	c.fds = nil
}
