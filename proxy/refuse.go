package proxy

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Shared marks a listener whose socket another process holds too, as systemd does with
// those it hands over. Shutdown does nothing to such a socket that outlasts this
// process: what it leaves in the backlog waits for the next one.
type Shared interface{ Shared() }

func isShared(ln net.Listener) bool {
	_, ok := ln.(Shared)
	return ok
}

// refuse makes a listening socket refuse new connections. Those in its backlog can
// still be accepted: closing it would reset them, and their clients could not know
// whether anything had been done for them.
func refuse(ln net.Listener) error {
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
			err = os.NewSyscallError("setsockopt", dropSYN(int(fd)))
		}
	})
	if ctlErr != nil {
		return ctlErr
	}
	return err
}

// dropSYN makes the kernel drop every packet to fd that asks for a connection. (TCP has
// no way to refuse them: shutdown(2) would drop the backlog as well.) The client sends
// it again after a second, and meets the next process or a refusal. Handshakes under way
// go on, and so do the connections accepted from now on, which inherit the filter: none
// of their packets has SYN set.
func dropSYN(fd int) error {
	const (
		flags = 13 // offset of the byte with the flags in the TCP header
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
