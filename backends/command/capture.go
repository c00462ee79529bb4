package command

import (
	"bytes"
	"os"
	"sync"
	"syscall"
)

// capture keeps the beginning of a program's output and counts the rest.
type capture struct {
	limit int
	buf   []byte

	mu   sync.Mutex
	kept []byte
	more bool // output beyond limit was dropped
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

// output returns the output so far.
func (c *capture) output() (output []byte, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.kept), c.more
}

// fill reads to the end, or until r's deadline. It also reads output beyond the limit, so
// that the program does not block and its exit status still counts.
func (c *capture) fill(r *os.File) {
	for {
		n, err := r.Read(c.buf)
		c.add(c.buf[:n])
		if err != nil {
			return
		}
	}
}

// drain reads what is in the pipe without waiting for more.
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
