package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// listenTCP makes a test server accept TCP too, where each address of the loopback network is
// another client.
func (ts *testServer) listenTCP() string {
	ts.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		ts.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ts.Serve(ln, "tcp:test") }()
	ts.t.Cleanup(func() {
		ln.Close()
		<-served
	})
	return ln.Addr().String()
}

// overTCP adds the listener for listenTCP to a configuration.
func overTCP(change func(*Config)) func(*Config) {
	return func(c *Config) {
		l := c.Listeners[0]
		l.Address = "tcp:test"
		c.Listeners = append(c.Listeners, l)
		if change != nil {
			change(c)
		}
	}
}

// dialFrom connects a client from an address.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return nc
}

func pong(t *testing.T, nc net.Conn) {
	t.Helper()
	io.WriteString(nc, "zPING\x00")
	if got := readRecord(t, nc, 0); got != "PONG" {
		t.Errorf("got %q", got)
	}
}

// ended reports whether the server closes the connection without a reply.
func ended(nc net.Conn) bool {
	_, err := nc.Read(make([]byte, 1))
	return err == io.EOF || errors.Is(err, syscall.ECONNRESET)
}

// TestConnectionsOfOthers checks that idle connections of one client do not exclude other
// clients. Some of them are served, some wait, and the rest are closed.
func TestConnectionsOfOthers(t *testing.T) {
	ts := newServer(t, overTCP(func(c *Config) {
		c.Limits.Connections, c.Limits.Waiting, c.Limits.ClientShare = 18, 4, 75
	}), eicarOnly())
	to := ts.listenTCP()
	// Two of 18 places are reserved for the next accepts of two listeners. One client
	// may have 12 of the other 16, and three of the four that may wait.
	const served, waiting = 12, 3
	var hog []net.Conn
	for range served + waiting {
		hog = append(hog, dialFrom(t, "127.0.0.2", to))
	}
	testkit.Eventually(t, "the first client has its share", func() bool {
		s, w := ts.connectionsOf(client.Host(netip.MustParseAddr("127.0.0.2")))
		return s == served && w == waiting
	})
	for range 20 {
		if nc := dialFrom(t, "127.0.0.2", to); !ended(nc) {
			t.Error("a connection is neither served nor closed")
		}
	}
	for range 5 {
		nc := dialFrom(t, "127.0.0.3", to)
		pong(t, nc)
		nc.Close()
		if got := ts.ask("zPING\x00"); got != "PONG\x00" {
			t.Errorf("on the Unix socket: %q", got)
		}
		testkit.Eventually(t, "the places are free again", func() bool {
			other, _ := ts.connectionsOf(client.Host(netip.MustParseAddr("127.0.0.3")))
			own, _ := ts.connectionsOf(client.User(uint32(os.Getuid())))
			return other == 0 && own == 0
		})
	}
	// As sessions end, the waiting ones are served in order.
	for i, nc := range hog[served:] {
		hog[i].Close()
		pong(t, nc)
	}
	if n := countLines(ts.log.String(), "connections refused"); n != 1 {
		t.Errorf("%d lines about refused connections, want 1: %s", n, ts.log)
	}
}

// TestConnectionsOfOneClient checks that a single client within its share never waits.
func TestConnectionsOfOneClient(t *testing.T) {
	ts := newServer(t, func(c *Config) {
		c.Limits.Connections, c.Limits.Waiting, c.Limits.ClientShare = 101, 100, 75
	}, eicarOnly())
	for range 75 {
		nc := ts.dial()
		io.WriteString(nc, "zPI")
	}
	ts.eventuallyConnections(75, 0)
	ts.dial()
	ts.eventuallyConnections(75, 1)
}

// connectionsOf returns how many connections a client has.
func (ts *testServer) connectionsOf(k client.Key) (served, waiting int64) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.places.Held(k)
}

// eventuallyConnections waits until the test has the given number of connections to the Unix socket.
func (ts *testServer) eventuallyConnections(served, waiting int64) {
	ts.t.Helper()
	testkit.Eventually(ts.t, fmt.Sprintf("%d connections are served and %d wait", served, waiting), func() bool {
		s, w := ts.connectionsOf(client.User(uint32(os.Getuid())))
		return s == served && w == waiting
	})
}

// TestWaitingConnectionsAtShutdown checks that Shutdown closes waiting connections.
func TestWaitingConnectionsAtShutdown(t *testing.T) {
	ts := newServer(t, func(c *Config) {
		c.Limits.Connections, c.Limits.Waiting, c.Limits.ClientShare = 3, 10, 50
	}, eicarOnly())
	first := ts.dial()
	testkit.Eventually(t, "the first is served", func() bool { return idleSessions(1)(ts) })
	second := ts.dial()
	ts.eventuallyConnections(1, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := ts.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if !ended(first) || !ended(second) {
		t.Error("a connection is left open")
	}
}

// TestConnectionsAfterReload checks that a reload with a higher limit serves waiting
// connections.
func TestConnectionsAfterReload(t *testing.T) {
	set := func(n int) func(*Config) {
		return func(c *Config) { c.Limits.Connections, c.Limits.Waiting, c.Limits.ClientShare = n, 10, 50 }
	}
	ts := newServer(t, set(3), eicarOnly())
	ts.dial()
	testkit.Eventually(t, "the first is served", func() bool { return idleSessions(1)(ts) })
	second := ts.dial()
	ts.eventuallyConnections(1, 1)
	next := testConfig(ts.cfg.Listeners[0].Address, []testEngine{eicarOnly()})
	set(10)(next)
	ts.Apply(next)
	pong(t, second)
}

// TestKeepalive checks that Go turns on keepalives, which detect dead TCP peers.
func TestKeepalive(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialFrom(t, "127.0.0.2", ln.Addr().String())
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		on, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		if err != nil || on != 1 {
			t.Errorf("SO_KEEPALIVE is %d, %v", on, err)
		}
	})
}
