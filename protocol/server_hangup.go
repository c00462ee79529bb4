package protocol

import (
	"syscall"
	"unsafe"
)

// Watchable reports whether [Conn.AwaitHangup] can notice anything.
func (c *Conn) Watchable() bool { return c.sock != nil }

// AwaitHangup waits until the client has hung up. It reports false at the read deadline
// and after Close. It reads nothing, and nothing else may read at the same time. A client
// that has half-closed may be waiting for its reply and has not hung up. Over TCP a close
// looks the same, so there only a reset or unanswered keepalives count.
//
// With TLS it watches the socket below, and leaves even TLS's own messages there.
func (c *Conn) AwaitHangup() bool {
	if c.sock == nil {
		return false
	}
	gone := false
	err := c.sock.Read(func(fd uintptr) bool {
		gone = hungUp(int32(fd))
		return gone
	})
	return err == nil && gone
}

// pollFd is the struct pollfd of poll(2), which package syscall lacks.
type pollFd struct {
	fd      int32
	events  int16
	revents int16
}

const (
	pollErr = 0x8
	pollHup = 0x10
)

// hungUp reports whether both directions of the socket are closed, or it has failed.
func hungUp(fd int32) bool {
	p := pollFd{fd: fd} // POLLERR and POLLHUP need not be requested
	now := syscall.Timespec{}
	n, _, _ := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return n == 1 && p.revents&(pollErr|pollHup) != 0
}
