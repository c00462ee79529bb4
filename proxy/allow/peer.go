package allow

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"polyclam/protocol/nowait"
)

// Unix returns nc as a socket if it is a Unix socket: a *net.UnixConn, or one that says so by
// a method UnixSocket.
func Unix(nc net.Conn) (syscall.Conn, bool) {
	switch nc := nc.(type) {
	case *net.UnixConn:
		return nc, true
	case interface {
		syscall.Conn
		UnixSocket()
	}:
		return nc, true
	}
	return nil, false
}

// Credentials returns the user, the group and the number of the process that connected.
func Credentials(nc syscall.Conn) (cred syscall.Ucred, err error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return cred, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = nowait.Credentials(int(fd))
	})
	if controlErr != nil {
		return cred, controlErr
	}
	return cred, err
}

// usualGroups is how many supplementary groups are read in the first attempt, and
// maxGroups the kernel's limit, NGROUPS_MAX.
const (
	usualGroups = 64
	maxGroups   = 65536
)

// Groups returns the supplementary groups of the process that connected, as they were at
// that time. It returns none if the kernel does not know them (Linux before 4.13).
func Groups(nc syscall.Conn) (list []uint32) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return nil
	}
	raw.Control(func(fd uintptr) {
		var n int
		var errno syscall.Errno
		if list, n, errno = peerGroups(fd, usualGroups); errno == unix.ERANGE && n <= maxGroups {
			list, _, _ = peerGroups(fd, n)
		}
	})
	return list
}

// peerGroups reads at most n groups. With ERANGE it returns how many there are.
func peerGroups(fd uintptr, n int) ([]uint32, int, syscall.Errno) {
	const idSize = uint32(unsafe.Sizeof(uint32(0)))
	list := make([]uint32, n)
	size := uint32(n) * idSize
	_, _, errno := syscall.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
		uintptr(unsafe.Pointer(unsafe.SliceData(list))), uintptr(unsafe.Pointer(&size)), 0)
	got := int(size / idSize)
	if errno != 0 {
		return nil, got, errno
	}
	return list[:got], got, 0
}
