// Package nowait has system calls for descriptors that never make a call wait: sockets that
// do not block, and small files in memory.
//
// Around each call of package syscall, Go's runtime prepares for a wait. If its monitor
// thread sleeps because nothing was to be done, it also wakes that thread, which then looks
// every 20 µs until nothing is to be done again. For a client that sends one object after
// another to a slow engine, that was a third of polyclamd's processor time.
//
// The runtime does not know of the calls here. No other goroutine gets the processor until
// one ends, and the garbage collector waits for it. So they must be short: no more than
// [Most] bytes, and nothing on a file system that may have to wait for a disk or a network.
// If the system is short of memory, a call may wait for a page, as any other code may.
package nowait

import (
	"runtime"
	"syscall"
	"unsafe"
)

// Most is how many bytes a call should move at most.
const Most = 256 << 10

// outcome returns the result of a system call.
func outcome(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// Read is read(2).
func Read(fd int, p []byte) (int, error) {
	if watched {
		return syscall.Read(fd, p)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return outcome(n, errno)
}

// Write is write(2).
func Write(fd int, p []byte) (int, error) {
	if watched {
		return syscall.Write(fd, p)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return outcome(n, errno)
}

// WriteAt is pwrite(2).
func WriteAt(fd int, p []byte, off int64) (int, error) {
	if watched {
		return syscall.Pwrite(fd, p, off)
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PWRITE64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(off), 0, 0)
	return outcome(n, errno)
}

// Receive is recvmsg(2).
func Receive(fd int, msg *syscall.Msghdr, flags int) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(msg)), uintptr(flags))
	return outcome(n, errno)
}

// Send is sendmsg(2) of p, which is not empty, with the ancillary data oob.
func Send(fd int, p, oob []byte) (int, error) {
	iov := syscall.Iovec{Base: unsafe.SliceData(p)}
	iov.SetLen(len(p))
	msg := syscall.Msghdr{Iov: &iov, Iovlen: 1, Control: unsafe.SliceData(oob)}
	msg.SetControllen(len(oob))
	n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), syscall.MSG_NOSIGNAL)
	runtime.KeepAlive(&iov)
	runtime.KeepAlive(p)
	runtime.KeepAlive(oob)
	return outcome(n, errno)
}

// Accept is accept4(2) without the client's address.
func Accept(fd int) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), 0, 0, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
	return outcome(n, errno)
}

// CloseWrite is shutdown(2) of the sending side.
func CloseWrite(fd int) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SHUTDOWN, uintptr(fd), syscall.SHUT_WR, 0)
	_, err := outcome(0, errno)
	return err
}

// Close is close(2).
func Close(fd int) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
	_, err := outcome(0, errno)
	return err
}

// Credentials returns the user, the group and the number of the process that connected.
func Credentials(fd int) (syscall.Ucred, error) {
	var cred syscall.Ucred
	size := uint32(syscall.SizeofUcred)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED,
		uintptr(unsafe.Pointer(&cred)), uintptr(unsafe.Pointer(&size)), 0)
	_, err := outcome(0, errno)
	return cred, err
}

// Lock is fcntl(2) with F_OFD_SETLK or F_OFD_GETLK.
func Lock(fd, command int, lock *syscall.Flock_t) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(command), uintptr(unsafe.Pointer(lock)))
	_, err := outcome(0, errno)
	return err
}

// OpenAt is openat(2) for reading. name ends with a NUL.
func OpenAt(dir int, name []byte) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.SliceData(name))), syscall.O_RDONLY|syscall.O_CLOEXEC, 0, 0, 0)
	return outcome(n, errno)
}
