package protocol

import (
	"syscall"
	"unsafe"
)

// Watchable reports whether AwaitHangup can notice anything.
func (c *Conn) Watchable() bool { return c.raw != nil }

// AwaitHangup waits until the client has hung up, and reports whether it has: false at
// the read deadline or after Close. It reads nothing, and nothing else may read
// meanwhile. A client that has half-closed its end has not hung up, since it may wait
// for its reply. On TCP a close looks the same, so there only a reset counts, and the
// end of a connection whose other side no longer answers keepalives.
func (c *Conn) AwaitHangup() bool {
	if c.raw == nil {
		return false
	}
	gone := false
	err := c.raw.Read(func(fd uintptr) bool {
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
	p := pollFd{fd: fd} // POLLERR and POLLHUP need not be asked for
	now := syscall.Timespec{}
	n, _, _ := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return n == 1 && p.revents&(pollErr|pollHup) != 0
}
