package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/sockaddr"
)

// openTCP listens on exactly one address. Package net would make [::] include IPv4 with the
// network "tcp", and exclude it with "tcp6"; here the system decides, as for other daemons.
//
// Multipath TCP is off: the kernel ignores the filter on such a socket with which Shutdown
// refuses new connections (Linux 6.18), so connections that arrive late would be reset.
func openTCP(a netip.AddrPort, isShared bool) (*net.TCPListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctlErr := c.Control(func(fd uintptr) { err = prepare(int(fd), a, isShared) })
		return errors.Join(ctlErr, err)
	}}
	config.SetMultipathTCP(false)
	network := "tcp4"
	if a.Addr().Is6() {
		network = "tcp6"
	}
	ln, err := config.Listen(context.Background(), network, a.String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// prepare sets the options of a socket before it is bound.
func prepare(fd int, a netip.AddrPort, isShared bool) error {
	if isShared {
		if err := setShared(fd, true); err != nil {
			return err
		}
	}
	if isAnyIPv6(a) {
		return followSystem(fd)
	}
	return nil
}

func isAnyIPv6(a netip.AddrPort) bool { return a.Addr() == netip.IPv6Unspecified() }

// followSystem makes an IPv6 socket include or exclude IPv4 as new sockets do.
func followSystem(fd int) error {
	only := 1
	if IsDual() {
		only = 0
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
}

// IsDual reports whether [::] includes IPv4 on this machine, see bindv6only in ipv6(7). It
// asks a new socket, because the sysctl may be hidden from a service.
func IsDual() bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false // no IPv6
	}
	defer unix.Close(fd)
	only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && only == 0
}

// Includes4 reports whether an open socket for [::] includes IPv4.
func Includes4(ln syscall.Conn) bool {
	c, err := ln.SyscallConn()
	if err != nil {
		return false
	}
	only := 1
	c.Control(func(fd uintptr) {
		if n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err == nil {
			only = n
		}
	})
	return only == 0
}

// tryTCP binds a socket to the address, without listening, and closes it again. No client can
// connect to it meanwhile, and it disturbs no other socket: with SO_REUSEADDR only sockets
// that listen are in the way, as they are for openTCP.
func tryTCP(a netip.AddrPort) error {
	family, address := unix.AF_INET, unix.Sockaddr(nil)
	if a.Addr().Is4() {
		address = &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	} else {
		family = unix.AF_INET6
		zone, err := zoneID(a.Addr().Zone())
		if err != nil {
			return unix.EADDRNOTAVAIL
		}
		address = &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zone}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if isAnyIPv6(a) {
		if err := followSystem(fd); err != nil {
			return err
		}
	} else if family == unix.AF_INET6 {
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	return unix.Bind(fd, address)
}

func zoneID(name string) (uint32, error) {
	if name == "" {
		return 0, nil
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return uint32(i.Index), nil
}

// OpenBeside is [Open] for an address that overlaps those of sockets that are open and about
// to be closed: a reload replaces 127.0.0.1 by 0.0.0.0. Until they are closed, connections go
// to any of them.
func OpenBeside(a sockaddr.Addr, o Options, leaving []net.Listener) (net.Listener, error) {
	if len(leaving) == 0 || !a.IsTCP() {
		return Open(a, o)
	}
	for _, ln := range leaving {
		if err := sharePort(ln, true); err != nil {
			return nil, explainTCP(a, err)
		}
		defer sharePort(ln, false)
	}
	ln, err := openTCP(a.TCP(), true)
	if err != nil {
		return nil, explainTCP(a, err)
	}
	if err := sharePort(ln, false); err != nil {
		ln.Close()
		return nil, explainTCP(a, err)
	}
	return ln, nil
}

// sharePort allows or forbids that another socket of this user listens on the same port.
func sharePort(ln net.Listener, allow bool) error {
	s, ok := ln.(syscall.Conn)
	if !ok {
		return nil
	}
	c, err := s.SyscallConn()
	if err != nil {
		return err
	}
	if ctlErr := c.Control(func(fd uintptr) { err = setShared(int(fd), allow) }); ctlErr != nil {
		return ctlErr
	}
	return err
}

func setShared(fd int, allow bool) error {
	value := 0
	if allow {
		value = 1
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, value)
}
