package proxy

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"polyclam/proxy/local"
)

// errBacklogEmpty says that no connection waits to be accepted.
var errBacklogEmpty = local.ErrEmpty

// acceptQueued is Accept without waiting. It returns errBacklogEmpty if the backlog of ln
// is empty.
func acceptQueued(ln net.Listener) (net.Conn, error) {
	if queued, ok := ln.(interface{ AcceptQueued() (net.Conn, error) }); ok {
		return queued.AcceptQueued()
	}
	socket, ok := ln.(syscall.Conn)
	if !ok {
		return nil, errBacklogEmpty
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var acceptErr error
	err = raw.Control(func(listening uintptr) {
		for {
			fd, _, acceptErr = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if acceptErr != unix.EINTR && acceptErr != unix.ECONNABORTED {
				return
			}
		}
	})
	switch {
	case err != nil:
		return nil, err
	case acceptErr == unix.EAGAIN, acceptErr == unix.EINVAL: // EINVAL: shut down by refuseNew, and empty
		return nil, errBacklogEmpty
	case acceptErr != nil:
		return nil, os.NewSyscallError("accept", acceptErr)
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close() // FileConn duplicates it
	return net.FileConn(f)
}

// Shared marks a listener whose socket another process holds too, such as systemd. Shutdown
// makes no change to such a socket that would outlast this process: connections left in the
// backlog wait for the next one.
type Shared interface{ Shared() }

func isShared(ln net.Listener) bool {
	_, ok := ln.(Shared)
	return ok
}

// dropNew makes the kernel drop new connections to the TCP socket fd.
func dropNew(fd int) error {
	err := dropSYN(fd)
	if err == unix.EPERM {
		err = dropLowTTL(fd)
	}
	return err
}

// refuseNew makes a listening socket refuse new connections. Those in its backlog can
// still be accepted. Closing the socket would reset them, and their clients could not know
// whether their commands had been carried out.
func refuseNew(ln net.Listener) error {
	socket, ok := ln.(syscall.Conn)
	if !ok {
		return nil // it will be closed
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	ctlErr := raw.Control(func(fd uintptr) {
		switch ln.Addr().Network() {
		case "unix":
			// Linux refuses connections to a Unix socket that is shut down for receiving.
			err = os.NewSyscallError("shutdown", unix.Shutdown(int(fd), unix.SHUT_RD))
		case "tcp":
			err = os.NewSyscallError("setsockopt", dropNew(int(fd)))
		}
	})
	if ctlErr != nil {
		return ctlErr
	}
	return err
}

// dropSYN makes the kernel drop every packet to fd that asks for a connection. TCP has no
// way to refuse connections: shutdown(2) would drop the backlog as well. The client
// repeats its SYN after a second and reaches the next process, or is refused. Handshakes
// under way continue. Accepted connections inherit the filter, which does not matter:
// none of their packets has SYN set.
//
// The kernel forbids the filter (EPERM) to a user without CAP_BPF if all filters together
// have used up net.core.bpf_jit_limit. Then [dropLowTTL] does nearly the same.
func dropSYN(fd int) error {
	const (
		flags = 13 // offset of the flags in the TCP header
		syn   = 0x02
		all   = 1<<32 - 1
	)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: all},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
}

// dropLowTTL makes the kernel drop every packet to fd that has passed a router or comes from a
// system that does not begin with the highest TTL: in practice, all. A connection whose
// handshake was under way inherits that, so acceptors call [allowAnyTTL].
func dropLowTTL(fd int) error {
	const highest = 255
	err4 := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, highest)
	if err6 := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT, highest); err6 == nil {
		return nil
	}
	return err4
}

// allowAnyTTL undoes dropLowTTL for a connection.
func allowAnyTTL(nc net.Conn) {
	socket, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MINTTL, 0)
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT, 0)
	})
}
