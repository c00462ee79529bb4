package protocol

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// PortRange are the ports that a data port may have: clamd's StreamMinPort and
// StreamMaxPort. The zero value leaves the choice to the kernel.
type PortRange struct{ First, Last uint16 }

// maxPortTries bounds the ports that are tried, as in clamd 0.103.
const maxPortTries = 1000

// address is the IP address of a, with its zone.
func address(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// listenData listens on the first of the ports that is free, from a random one on:
// nobody is to know where the client will be told to go.
func listenData(own netip.Addr, ports PortRange) (*net.TCPListener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // one connection, one end
	size := int(ports.Last) - int(ports.First) + 1
	if size < 1 {
		return nil, fmt.Errorf("%w: %d-%d is empty", ErrNoDataPort, ports.First, ports.Last)
	}
	var last error
	for start, i := rand.IntN(size), 0; i < min(size, maxPortTries); i++ {
		port := int(ports.First) + (start+i)%size
		ln, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(own.String(), strconv.Itoa(port)))
		if err == nil {
			return ln.(*net.TCPListener), nil
		}
		last = err
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			break
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrNoDataPort, last)
}

// maxRest is the longest backlog of Linux, unless it was raised.
const maxRest = 4096

// meetRest meets those who connected and were not accepted when accept ended: a
// [net.Listener] past its deadline does not look at them.
func (p *DataPort) meetRest() {
	raw, err := p.ln.SyscallConn()
	if err != nil {
		p.fail(fmt.Errorf("%w: %w", ErrDataAccept, err))
		return
	}
	raw.Control(func(fd uintptr) {
		for range maxRest {
			nfd, sa, err := syscall.Accept4(int(fd), syscall.SOCK_CLOEXEC)
			switch err {
			case nil:
				syscall.Close(nfd)
				if p.conn != nil && from(sa) == p.peer.WithZone("") { // the zone is the listener's
					p.fail(ErrSecondConnection)
				}
			case syscall.EAGAIN:
				return
			case syscall.EINTR, syscall.ECONNABORTED:
			default:
				p.fail(fmt.Errorf("%w: %w", ErrDataAccept, err))
				return
			}
		}
		p.fail(fmt.Errorf("%w: no end of connections", ErrDataAccept))
	})
}

// from is the IP address of sa, without its zone.
func from(sa syscall.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *syscall.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	}
	return netip.Addr{}
}
