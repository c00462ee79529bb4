// Package sockaddr determines which sockets the address of a listener means.
//
// An address means what it says: "tcp:0.0.0.0:3310" is IPv4 only, "tcp:[::]:3310" is IPv6
// (and IPv4 where the system's default says so), and a name is each of its addresses, as
// for clamd 1.4.6, which opens one socket for each result of getaddrinfo(3).
package sockaddr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"polyclam/backends"
)

// An Addr is the address of one socket, in one canonical form, so that two can be compared
// with ==. The zero Addr is none.
type Addr struct {
	path string
	tcp  netip.AddrPort
}

// String returns the address as a configuration has it: "unix:/path" or "tcp:host:port".
func (a Addr) String() string {
	if a.path != "" {
		return "unix:" + a.path
	}
	return "tcp:" + a.tcp.String()
}

// Path returns the path of a Unix socket, or "".
func (a Addr) Path() string { return a.path }

// TCP returns the address of a TCP socket.
func (a Addr) TCP() netip.AddrPort { return a.tcp }

// IsTCP reports whether a is the address of a TCP socket.
func (a Addr) IsTCP() bool { return a.tcp.IsValid() }

// IsAnyIPv6 reports whether a is [::].
func (a Addr) IsAnyIPv6() bool { return a.tcp.Addr() == netip.IPv6Unspecified() }

// DialTarget returns the network and address at which a client on the same machine reaches the
// socket. 0.0.0.0 and [::] are reached on the loopback interface.
func (a Addr) DialTarget() (network, address string) {
	if !a.IsTCP() {
		return "unix", a.path
	}
	ip := a.tcp.Addr()
	switch {
	case ip == netip.IPv4Unspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case ip == netip.IPv6Unspecified():
		ip = netip.IPv6Loopback()
	}
	return "tcp", netip.AddrPortFrom(ip, a.tcp.Port()).String()
}

// Overlaps reports whether a and b cannot both be listened on. isDual says that [::] includes
// IPv4.
func (a Addr) Overlaps(b Addr, isDual bool) bool {
	if a == b {
		return true
	}
	if !a.IsTCP() || !b.IsTCP() || a.tcp.Port() != b.tcp.Port() {
		return false
	}
	return a.includes(b, isDual) || b.includes(a, isDual)
}

func (a Addr) includes(b Addr, isDual bool) bool {
	ip := a.tcp.Addr()
	return ip.IsUnspecified() && (ip.Is4() == b.tcp.Addr().Is4() || ip.Is6() && isDual)
}

// A Name is a host name with a port.
type Name struct {
	Host string
	Port uint16
}

// Parse parses the address of a listener. It returns an Addr, or a Name that has to be looked
// up.
func Parse(address string) (Addr, Name, error) {
	network, rest, err := backends.ParseAddress(address)
	if err != nil {
		return Addr{}, Name{}, err
	}
	if network == "unix" {
		return Unix(rest), Name{}, nil
	}
	host, text, err := net.SplitHostPort(rest)
	if err != nil {
		return Addr{}, Name{}, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return Addr{}, Name{}, fmt.Errorf("%q: port %q is not a number between 1 and 65535; clamd's port is 3310", address, text)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return tcp(ip, uint16(port)), Name{}, nil
	}
	return Addr{}, Name{Host: host, Port: uint16(port)}, nil
}

func tcp(ip netip.Addr, port uint16) Addr {
	return Addr{tcp: netip.AddrPortFrom(ip.Unmap(), port)}
}

// Of returns the address of an open socket; false means that it is of another kind.
func Of(a net.Addr) (Addr, bool) {
	switch a := a.(type) {
	case *net.UnixAddr:
		return Unix(a.Name), strings.HasPrefix(a.Name, "/")
	case *net.TCPAddr:
		p := a.AddrPort()
		return tcp(p.Addr(), p.Port()), p.IsValid()
	}
	return Addr{}, false
}

// A Resolver looks up names. [net.DefaultResolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Resolve returns the sockets' addresses for the address of a listener, without duplicates.
func Resolve(ctx context.Context, r Resolver, address string) ([]Addr, error) {
	one, name, err := Parse(address)
	if err != nil {
		return nil, err
	}
	if one != (Addr{}) {
		return []Addr{one}, nil
	}
	ips, err := r.LookupNetIP(ctx, "ip", name.Host)
	if err != nil || len(ips) == 0 {
		return nil, lookupError(name.Host, err)
	}
	var list []Addr
	seen := map[Addr]bool{}
	for _, ip := range ips {
		if a := tcp(ip, name.Port); !seen[a] {
			seen[a] = true
			list = append(list, a)
		}
	}
	return list, nil
}

// lookupError explains why a name has no address.
func lookupError(host string, err error) error {
	const remedy = "write an address instead, or add the name to /etc/hosts"
	var dns *net.DNSError
	switch {
	case err == nil:
		return fmt.Errorf("the name %q has no address; %s", host, remedy)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("the name %q does not exist; correct it, %s", host, remedy)
	case errors.As(err, &dns) && dns.IsTimeout:
		return fmt.Errorf("the name server did not answer for %q; %s", host, remedy)
	case errors.As(err, &dns):
		return fmt.Errorf("the name %q cannot be looked up: %s; %s", host, dns.Err, remedy)
	}
	return fmt.Errorf("the name %q cannot be looked up: %w; %s", host, err, remedy)
}

// Conflict reports whether two addresses certainly share a socket, as far as can be said without
// looking up names and without the system's default for [::].
func Conflict(a, b string) bool {
	x, xName, err := Parse(a)
	if err != nil {
		return false
	}
	y, yName, err := Parse(b)
	if err != nil {
		return false
	}
	if x == (Addr{}) || y == (Addr{}) {
		return x == y && xName.Port == yName.Port && strings.EqualFold(xName.Host, yName.Host)
	}
	return x.Overlaps(y, false)
}

// Unix returns the address of the Unix socket at an absolute path.
func Unix(path string) Addr { return Addr{path: filepath.Clean(path)} }
