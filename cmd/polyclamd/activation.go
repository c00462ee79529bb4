package main

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"polyclam/backends"
	"polyclam/cmd/internal/config"
	"polyclam/proxy"
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

// inheritedSockets returns the sockets that systemd passed to this process (LISTEN_FDS), by
// address: "unix:/path" or "tcp:host:port".
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
		if s, ok := ln.(socket); ok {
			ln = inheritedSocket{s}
		}
		inherited[ln.Addr().Network()+":"+ln.Addr().String()] = ln
	}
	return inherited, nil
}

// adopt assigns each inherited socket to the listener of file with its address. If there is
// none, it adds a listener with the defaults. The listener's address becomes the bound
// address as the kernel reports it, so it is the same after a reload, however the file
// spells it.
func adopt(file *config.File, inherited sockets) sockets {
	for address := range inherited {
		i := slices.IndexFunc(file.Listeners, func(l config.Listener) bool { return sameAddress(l.Address, address) })
		if i < 0 {
			file.Listeners = append(file.Listeners, config.NewListener(address))
			continue
		}
		file.Listeners[i].Address = address
	}
	return maps.Clone(inherited)
}

// sameAddress reports whether the configured address is the bound address that the kernel
// reports.
func sameAddress(configured, bound string) bool {
	network, a, err := backends.ParseAddress(configured)
	if err != nil {
		return false
	}
	b, ok := strings.CutPrefix(bound, network+":")
	if !ok {
		return false
	}
	if network == "unix" {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return canonicalTCP(a) == canonicalTCP(b)
}

// canonicalTCP returns one spelling for all spellings of an address. All wildcard addresses
// are the same, and a name means its first address.
func canonicalTCP(address string) string {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return address
	}
	if len(a.IP) == 0 || a.IP.IsUnspecified() {
		return ":" + strconv.Itoa(a.Port)
	}
	return net.JoinHostPort(a.IP.String(), strconv.Itoa(a.Port))
}
