package protocol

import (
	"math"
	"os"
	"syscall"
)

// A descriptor waits to be claimed by the byte behind a FILDES.
//
// Linux ends a receive behind the bytes of the message that carries descriptors,
// so there is at most one such message in what one receive returned, and it is at
// its end. Only bytes of that receive can claim the descriptor, and those of the
// next one if the message did not fit.
type descriptor struct {
	fd  int
	end int64 // bytes at and behind this offset cannot claim it; unknownEnd until the next receive
}

const unknownEnd = math.MaxInt64

// Descriptor returns the descriptor that follows a FILDES command: it eats the one
// byte that carries it, waiting for it if need be. The file is the caller's to
// close. ErrNoDescriptor says that the byte came without one, or with several;
// ErrStrayDescriptor that one came with the command and the byte is missing.
func (c *Conn) Descriptor() (*os.File, error) {
	fd, err := c.RawDescriptor()
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "descriptor"), nil
}

// RawDescriptor is Descriptor for a server that does not trust the file: to make an
// *os.File of a non-blocking descriptor asks its file system whether it can be polled,
// and one made by a client (FUSE) may never answer.
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

// CloseWith makes discard close the descriptors that nothing claims, instead of
// close(2), which may wait for the file system. Call it before the first receive.
func (c *Conn) CloseWith(discard func(fd int)) { c.discard = discard }

func (c *Conn) closeDescriptor(fd int) {
	if c.discard != nil {
		c.discard(fd)
		return
	}
	syscall.Close(fd)
}

// strayAfter reports ErrStrayDescriptor when descriptors came that no byte still
// to be read can claim. They may belong to a FILDES behind an earlier command in
// the same packet, hence the look at where they end.
func (c *Conn) strayAfter(verb Verb) error {
	if verb == VerbFildes || verb == VerbXFildes {
		return nil // Descriptor says it
	}
	return c.takeStray()
}

// takeStray reports ErrStrayDescriptor once for descriptors that nothing can claim.
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

// outdate is called before every receive. What is unread then is at most the
// beginning of a command, so the descriptors that came with it are stray.
func (c *Conn) outdate() {
	if c.expire(unknownEnd - 1) {
		c.stray = true
	}
}

// expire closes the descriptors that no byte at off or behind it can claim, and
// reports whether there were any.
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

// takeDescriptors queues the descriptor of a receive of n bytes. A message with
// several is nothing that FILDES allows: all of them are closed, where clamd 1.4.6
// leaks them. MSG_CTRUNC says that there were more than there is room for, or than
// this process may open.
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

// parseRights returns the descriptors in ancillary data. The kernel wrote it: it
// is well-formed, also when it was cut.
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
