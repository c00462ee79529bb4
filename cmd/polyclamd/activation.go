package main

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"polyclam/cmd/internal/sockaddr"
	"polyclam/proxy"
	"polyclam/proxy/local"
)

var _ proxy.Shared = inheritedSocket{}

// inheritedSocket is a listening socket that systemd passed to this process. It implements
// [proxy.Shared].
type inheritedSocket struct{ socket }

// Shared implements [proxy.Shared].
func (inheritedSocket) Shared() {}

// socket has the methods common to Unix and TCP listeners.
type socket interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// inheritedUnix is an inheritedSocket on a Unix socket.
type inheritedUnix struct{ *local.Listener }

// Shared implements [proxy.Shared].
func (inheritedUnix) Shared() {}

// inherit returns ln as a listener that systemd shares.
func inherit(ln net.Listener) (net.Listener, error) {
	if u, ok := ln.(*net.UnixListener); ok {
		l, err := local.Listen(u)
		if err != nil {
			return nil, err
		}
		return inheritedUnix{l}, nil
	}
	if s, ok := ln.(socket); ok {
		return inheritedSocket{s}, nil
	}
	return ln, nil
}

// inheritedSockets returns the sockets that systemd passed to this process (LISTEN_FDS).
func inheritedSockets() (sockets, error) {
	lns, err := activation.Listeners()
	if err != nil {
		return nil, err
	}
	inherited := sockets{}
	for i, ln := range lns {
		if ln == nil {
			inherited.close()
			return nil, fmt.Errorf("descriptor %d from systemd is not a listening stream socket; use ListenStream= in the socket unit", 3+i)
		}
		if ln, err = inherit(ln); err != nil {
			inherited.close()
			return nil, fmt.Errorf("descriptor %d from systemd: %w", 3+i, err)
		}
		address := ln.Addr().Network() + ":" + ln.Addr().String() // of an abstract Unix socket
		if a, ok := sockaddr.Of(ln.Addr()); ok {
			address = a.String()
		}
		inherited[address] = ln
	}
	return inherited, nil
}
