package command

import (
	"bytes"
	"os"
	"sync"
	"syscall"
)

// capture keeps the beginning of what a program prints and counts on.
type capture struct {
	limit int
	buf   []byte

	mu   sync.Mutex
	kept []byte
	more bool // there was more than is kept
}

func newCapture(limit int) *capture {
	return &capture{limit: limit, buf: make([]byte, 32<<10)}
}

func (c *capture) add(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), c.limit-len(c.kept))
	c.kept = append(c.kept, p[:n]...)
	c.more = c.more || n < len(p)
}

// soFar is what was printed until now.
func (c *capture) soFar() (output []byte, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.kept), c.more
}

// fill reads to the end, or until the deadline of r is over. What is beyond the
// limit is read too, lest the program hangs: its exit status still counts.
func (c *capture) fill(r *os.File) {
	for {
		n, err := r.Read(c.buf)
		c.add(c.buf[:n])
		if err != nil {
			return
		}
	}
}

// drain takes what is in the pipe and does not wait for more.
func (c *capture) drain(r *os.File) {
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	const most = 1 << 20 // the largest pipe, unless root changed that; see pipe(7)
	_ = raw.Control(func(fd uintptr) {
		for total := 0; total < most; {
			n, err := syscall.Read(int(fd), c.buf)
			if err == syscall.EINTR {
				continue
			}
			if n <= 0 {
				return
			}
			c.add(c.buf[:n])
			total += n
		}
	})
}
