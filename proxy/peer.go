package proxy

import (
	"fmt"
	"net"
	"net/netip"

	"polyclam/proxy/allow"
	"polyclam/proxy/client"
)

// A peer is the client at the other end of a connection: a process on a Unix socket, a host
// on TCP, or the client that a trusted load balancer names in a PROXY header. It is a value
// that does not change.
type peer struct {
	key  client.Key     // for shares, rates and limits on log lines
	addr netip.AddrPort // of a host, also one in a PROXY header; zero: none
	pid  int32          // of a process on a Unix socket, whose user is in key; 0: none, or not known
	// via is the load balancer that sent a PROXY header; nil: the client is connected
	// itself. Then addr is the client's, or zero if the header has no address on a
	// network, and there is no pid.
	via *peer
}

// peerOf returns the other end of nc, which is the client unless nc comes from a load
// balancer.
func peerOf(nc net.Conn) peer {
	if socket, ok := allow.Unix(nc); ok {
		cred, err := allow.Credentials(socket)
		if err != nil {
			return peer{}
		}
		return peer{key: client.User(cred.Uid), pid: cred.Pid}
	}
	if nc, ok := nc.(*net.TCPConn); ok {
		if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
			return hostPeer(a.AddrPort())
		}
	}
	return peer{}
}

// hostPeer returns the peer with an address on a network.
func hostPeer(a netip.AddrPort) peer {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	return peer{key: client.Host(a.Addr()), addr: a}
}

// proxied returns the client of a load balancer p, by the address in its PROXY header.
func (p peer) proxied(a netip.AddrPort) peer {
	c := hostPeer(a)
	c.via = &p
	return c
}

// onBalancer returns a client on the host of a load balancer p, where it has connected to a
// Unix socket. It counts as the balancer.
func (p peer) onBalancer() peer { return peer{key: p.key, via: &p} }

// local reports whether the client is a process on this machine that has connected to a
// Unix socket itself. Only such a client may see paths and what belongs to others.
func (p peer) local() bool { return p.via == nil && p.key.IsUser() }

// String names the client for the log: "192.0.2.1:4711", "unix:uid=33,pid=4711".
func (p peer) String() string {
	switch {
	case p.addr.IsValid():
		return p.addr.String()
	case p.via != nil:
		return p.via.String()
	case p.key.IsUser():
		return fmt.Sprintf("unix:uid=%d,pid=%d", p.key.UID(), p.pid)
	}
	return "unix"
}

// ClientOf returns the client at the other end of a connection to a Unix or TCP socket.
func ClientOf(nc net.Conn) client.Key { return peerOf(nc).key }
