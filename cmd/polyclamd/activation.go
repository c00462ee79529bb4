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

var _ proxy.Shared = handedSocket{}

// handedSocket is a listening socket that belongs to systemd, see [proxy.Shared].
type handedSocket struct{ socket }

// Shared implements [proxy.Shared].
func (handedSocket) Shared() {}

// socket is what listeners on Unix and TCP sockets have in common.
type socket interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// activated returns the sockets that systemd handed to us (LISTEN_FDS), by
// their address: "unix:/path" or "tcp:host:port".
func activated() (sockets, error) {
	lns, err := activation.Listeners()
	if err != nil {
		return nil, err
	}
	handed := sockets{}
	for i, ln := range lns {
		if ln == nil {
			handed.close()
			return nil, fmt.Errorf("descriptor %d of systemd is not a listening stream socket; want ListenStream= in the unit", 3+i)
		}
		if s, ok := ln.(socket); ok {
			ln = handedSocket{s}
		}
		handed[ln.Addr().Network()+":"+ln.Addr().String()] = ln
	}
	return handed, nil
}

// adopt gives each socket of handed the listener of file with that address, or
// else adds one to file with the defaults of its kind. That listener's address
// becomes the one the kernel calls bound, so that it stays the same over
// reloads, however the file spells it.
func adopt(file *config.File, handed sockets) sockets {
	for address := range handed {
		i := slices.IndexFunc(file.Listeners, func(l config.Listener) bool { return samePlace(l.Address, address) })
		if i < 0 {
			file.Listeners = append(file.Listeners, config.NewListener(address))
			continue
		}
		file.Listeners[i].Address = address
	}
	return maps.Clone(handed)
}

// samePlace reports whether the address configured is the one that the kernel
// calls bound.
func samePlace(configured, bound string) bool {
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

// canonicalTCP is one spelling for all of an address: every way to say "all
// interfaces" is the same, and a name is its first address.
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
