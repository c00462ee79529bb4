package dataport

import (
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// hang bounds what would otherwise wait forever. Nothing is measured by it.
const hang = 30 * time.Second

// A testPort is a Port with both ends of its control connection.
type testPort struct {
	*Port
	client, server net.Conn
	refusals       *atomic.Int64
}

func openPort(t testing.TB, server, client net.Conn, ports Range) testPort {
	t.Helper()
	refusals := new(atomic.Int64)
	p, err := Open(server, ports, func(net.Addr) { refusals.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return testPort{p, client, server, refusals}
}

// A controlKind is a kind of control connection.
type controlKind struct {
	name string
	make func(t testing.TB) (server, client net.Conn)
	host string // where the client finds the port
}

func (k controlKind) open(t testing.TB) testPort {
	t.Helper()
	server, client := k.make(t)
	return openPort(t, server, client, Range{})
}

var controlKinds = []controlKind{
	{"unix", func(t testing.TB) (net.Conn, net.Conn) {
		return pairOn(t, "unix", filepath.Join(t.TempDir(), "s"), "")
	}, "127.0.0.1"},
	{"tcp", tcpPair, "127.0.0.1"},
	{"tcp on all addresses", func(t testing.TB) (net.Conn, net.Conn) { return pairOn(t, "tcp", "[::]:0", "127.0.0.1") }, "127.0.0.1"},
	{"tcp on another address", func(t testing.TB) (net.Conn, net.Conn) { return pairOn(t, "tcp", "0.0.0.0:0", "127.0.0.3") }, "127.0.0.3"},
	{"tcp6", func(t testing.TB) (net.Conn, net.Conn) { return pairOn(t, "tcp", "[::1]:0", "::1") }, "::1"},
}

func tcpPair(t testing.TB) (server, client net.Conn) {
	return pairOn(t, "tcp", "127.0.0.1:0", "127.0.0.1")
}

// pairOn listens on an address and connects to it, over TCP as the given host.
func pairOn(t testing.TB, network, listen, host string) (server, client net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, listen)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer ln.Close()
	address := ln.Addr().String()
	if network == "tcp" {
		_, port, _ := net.SplitHostPort(address)
		address = net.JoinHostPort(host, port)
	}
	client, err = net.Dial(network, address)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); client.Close() })
	server.SetReadDeadline(time.Now().Add(hang))
	client.SetDeadline(time.Now().Add(hang))
	return server, client
}

// dial connects to the data port, from a given address or, if that is empty, from the
// usual one.
func (p testPort) dial(t testing.TB, host, from string) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	nc, err := d.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(p.Number())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(hang))
	return nc.(*net.TCPConn)
}

// send sends something over the control connection.
func (p testPort) send(t testing.TB, packet string) {
	t.Helper()
	if _, err := p.client.Write([]byte(packet)); err != nil {
		t.Fatalf("client: %v", err)
	}
}

// halfClose half-closes the client's end of the control connection.
func (p testPort) halfClose() { p.client.(interface{ CloseWrite() error }).CloseWrite() }

func openTCP(t testing.TB, ports Range) testPort {
	t.Helper()
	server, client := tcpPair(t)
	return openPort(t, server, client, ports)
}
