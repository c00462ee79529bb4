package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// TestPeerOf checks who the client of a real connection is.
func TestPeerOf(t *testing.T) {
	accepted := func(network string) net.Conn {
		t.Helper()
		ln := testkit.Listen(t, network)
		c, err := net.Dial(network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	user := peerOf(accepted("unix"))
	if want := fmt.Sprintf("unix:uid=%d,pid=%d", os.Getuid(), os.Getpid()); user.key != client.User(uint32(os.Getuid())) || !user.local() || user.String() != want {
		t.Errorf("Unix socket: %v, %s, want %s", user.key, user, want)
	}
	nc := accepted("tcp")
	host := peerOf(nc)
	if want := nc.RemoteAddr().String(); host.key != client.Host(netip.MustParseAddr("127.0.0.1")) || host.local() || host.String() != want {
		t.Errorf("TCP: %v, %s, want %s", host.key, host, want)
	}
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	if p := peerOf(pipe); !p.key.IsZero() || p.local() {
		t.Errorf("pipe: %v, want the zero Key", p.key)
	}
	for _, balancer := range []peer{user, host} {
		p := balancer.proxied(netip.MustParseAddrPort("[::ffff:192.0.2.7]:99"))
		if p.key != client.Host(netip.MustParseAddr("192.0.2.7")) || p.local() || p.String() != "192.0.2.7:99" {
			t.Errorf("behind %s: %v, %s, local %v", balancer, p.key, p, p.local())
		}
	}
}
