package dataport

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

// Range is a range of ports, as clamd's StreamMinPort and StreamMaxPort. The zero value
// leaves the choice to the kernel.
type Range struct{ First, Last uint16 }

// maxTries bounds the ports that are tried, as in clamd 0.103.
const maxTries = 1000

// address returns the IP address of a, with its zone.
func address(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// listen listens on a free port of the range. It starts at a random one, so that others
// cannot predict where the client will connect to.
func listen(own netip.Addr, ports Range) (*net.TCPListener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // one connection, one end
	size := int(ports.Last) - int(ports.First) + 1
	if size < 1 {
		return nil, fmt.Errorf("%w: %d-%d is empty", ErrNoPort, ports.First, ports.Last)
	}
	var last error
	for start, i := rand.IntN(size), 0; i < min(size, maxTries); i++ {
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
	return nil, fmt.Errorf("%w: %w", ErrNoPort, last)
}

// maxBacklog is the longest backlog of Linux, unless it was raised.
const maxBacklog = 4096

// emptyBacklog closes the connections that were made but not accepted when accept ended:
// a [net.Listener] does not return them after its deadline.
func (p *Port) emptyBacklog() {
	raw, err := p.ln.SyscallConn()
	if err != nil {
		p.fail(fmt.Errorf("%w: %w", ErrAccept, err))
		return
	}
	raw.Control(func(fd uintptr) {
		for range maxBacklog {
			nfd, sa, err := syscall.Accept4(int(fd), syscall.SOCK_CLOEXEC)
			switch err {
			case nil:
				syscall.Close(nfd)
				if p.conn != nil && remote(sa) == p.peer.WithZone("") { // the zone is the listener's
					p.fail(ErrSecondConnection)
				}
			case syscall.EAGAIN:
				return
			case syscall.EINTR, syscall.ECONNABORTED:
			default:
				p.fail(fmt.Errorf("%w: %w", ErrAccept, err))
				return
			}
		}
		p.fail(fmt.Errorf("%w: too many connections", ErrAccept))
	})
}

// remote returns the IP address of sa, without its zone.
func remote(sa syscall.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *syscall.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	}
	return netip.Addr{}
}
