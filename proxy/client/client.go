// Package client identifies the client of a request, so that limits and queues can be
// shared between clients: the user at the other end of a Unix socket, or the host at the
// other end of a TCP connection.
package client

import (
	"context"
	"fmt"
	"net/netip"
)

// ipv6Prefix is the length of the prefix that belongs to one site. By RFC 6177 a site gets
// at least a /64, and any host there may use all of its addresses.
const ipv6Prefix = 64

// A Key identifies a client. Two connections have equal keys if and only if they count as
// one client. The zero Key is the daemon itself, which is not limited to a share.
//
// Every connection has one, so it is smaller than the prefix and the number would be.
type Key struct {
	addr netip.Addr // of a TCP connection, all bits that do not count being zero
	user uint32     // of a Unix socket
	bits uint8      // of addr that count
	unix bool
}

// User is the key of a user on Unix sockets.
func User(uid uint32) Key { return Key{user: uid, unix: true} }

// Host is the key of an address on TCP: an IPv4 address, or the /64 of an IPv6 one.
func Host(a netip.Addr) Key {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = ipv6Prefix
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return Key{}
	}
	return Key{addr: p.Addr(), bits: uint8(p.Bits())}
}

// IsUser reports whether k is a user on Unix sockets.
func (k Key) IsUser() bool { return k.unix }

// UID is the number of the user on Unix sockets.
func (k Key) UID() uint32 { return k.user }

// IsZero reports whether k is the daemon itself.
func (k Key) IsZero() bool { return k == Key{} }

// String names the client for logs and messages: "uid 33", "192.0.2.1",
// "2001:db8::/64".
func (k Key) String() string {
	switch {
	case k.unix:
		return fmt.Sprintf("uid %d", k.user)
	case k.addr.IsValid() && int(k.bits) == k.addr.BitLen():
		return k.addr.String()
	case k.addr.IsValid():
		return netip.PrefixFrom(k.addr, int(k.bits)).String()
	}
	return "polyclamd"
}

type contextKey struct{}

// NewContext returns a context for the work of client k.
func NewContext(ctx context.Context, k Key) context.Context {
	return context.WithValue(ctx, contextKey{}, k)
}

// FromContext returns the client whose work ctx is for, or the zero Key.
func FromContext(ctx context.Context) Key {
	k, _ := ctx.Value(contextKey{}).(Key)
	return k
}
