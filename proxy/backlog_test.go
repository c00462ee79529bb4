package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// TestShutdownServesBacklog checks that Shutdown serves all clients that the kernel has
// accepted, even if limits.connections allows only one at a time.
func TestShutdownServesBacklog(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			release := make(chan struct{})
			connections := 1
			if network == "tcp" {
				connections = 2 // the Unix listener reserves one for its next client
			}
			ts := newServer(t, func(c *Config) { c.Limits.Connections = connections },
				testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
			dial := func() net.Conn { return ts.dial() }
			if network == "tcp" {
				dial = ts.dialerTCP()
			}
			first := dial()
			io.WriteString(first, "zINSTREAM\x00"+stream("ab", 2))
			testkit.Eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
			var waiting []net.Conn
			for range 20 {
				nc := dial()
				io.WriteString(nc, "nINSTREAM\n"+stream("ab", 2))
				waiting = append(waiting, nc)
			}
			done := make(chan error, 1)
			go func() { done <- ts.Shutdown(t.Context()) }()
			testkit.Eventually(t, "stopping", ts.isClosing)
			close(release)
			if got := readAll(t, first); got != "stream: OK\x00" {
				t.Errorf("first: %q", got)
			}
			first.Close()
			for i, nc := range waiting {
				if got := readAll(t, nc); got != "stream: OK\n" {
					t.Errorf("%d: %q", i, got)
				}
				nc.Close() // makes room
			}
			if err := <-done; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// TestShutdownRefusesNew checks that no connection is made once a shutdown has begun, while
// clients in the backlog still wait. A Unix socket refuses it; TCP drops the SYN, since a
// connection that was accepted and then closed would be reset.
func TestShutdownRefusesNew(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			release := make(chan struct{})
			connections := 1
			if network == "tcp" {
				connections = 2 // the Unix listener reserves one for its next client
			}
			ts := newServer(t, func(c *Config) { c.Limits.Connections = connections },
				testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
			dial, address := func() net.Conn { return ts.dial() }, ts.addr
			if network == "tcp" {
				dial = ts.dialerTCP()
			}
			first := dial()
			if network == "tcp" {
				address = first.RemoteAddr().String()
			}
			io.WriteString(first, "zINSTREAM\x00"+stream("ab", 2))
			testkit.Eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
			queued := dial()
			done := make(chan error, 1)
			go func() { done <- ts.Shutdown(t.Context()) }()
			testkit.Eventually(t, "stopping", ts.isClosing)
			if nc, err := net.DialTimeout(network, address, 100*time.Millisecond); err == nil {
				nc.Close()
				t.Error("connected")
			}
			close(release)
			readAll(t, first)
			first.Close()
			io.WriteString(queued, "zPING\x00")
			if got := readAll(t, queued); got != "PONG\x00" {
				t.Errorf("queued: %q", got)
			}
			queued.Close()
			if err := <-done; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// TestDropNew checks both ways to drop new connections: those in the backlog go on.
func TestDropNew(t *testing.T) {
	for name, drop := range map[string]func(int) error{"SYN": dropSYN, "TTL": dropLowTTL} {
		for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
			t.Run(name+" "+address, func(t *testing.T) {
				config := net.ListenConfig{}
				config.SetMultipathTCP(false)
				ln, err := config.Listen(t.Context(), "tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				queued, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer queued.Close()
				raw, _ := ln.(*net.TCPListener).SyscallConn()
				var dropErr error
				raw.Control(func(fd uintptr) { dropErr = drop(int(fd)) })
				switch {
				case name == "SYN" && dropErr == unix.EPERM && os.Getuid() != 0:
					return // dropLowTTL is for that
				case dropErr != nil:
					t.Fatal(dropErr)
				}
				_, port, _ := net.SplitHostPort(ln.Addr().String())
				for _, host := range []string{"127.0.0.1", "::1"} {
					if nc, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), 50*time.Millisecond); err == nil {
						nc.Close()
						t.Errorf("connected to %s", host)
					}
				}
				nc, err := acceptQueued(ln)
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				allowAnyTTL(nc)
				echo(t, queued, nc)
				if _, err := acceptQueued(ln); err != errBacklogEmpty {
					t.Errorf("a second connection: %v", err)
				}
			})
		}
	}
}

// TestAllowAnyTTL has a connection that drops what its client sends, as one does whose
// handshake was under way at dropLowTTL.
func TestAllowAnyTTL(t *testing.T) {
	ln := testkit.Listen(t, "tcp")
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	raw, _ := nc.(*net.TCPConn).SyscallConn()
	raw.Control(func(fd uintptr) { err = dropLowTTL(int(fd)) })
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(client, "x")
	nc.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read: %v", err)
	}
	allowAnyTTL(nc)
	nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := nc.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// echo sends a byte from a to b and back.
func echo(t *testing.T, a, b net.Conn) {
	t.Helper()
	for _, nc := range []net.Conn{a, b} {
		nc.SetDeadline(time.Now().Add(patience))
	}
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		if _, err := way[0].Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := way[1].Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// sharedListener is a socket that systemd also holds.
type sharedListener struct{ *net.UnixListener }

func (sharedListener) Shared() {}

// TestShutdownOfSharedSocket checks that this process or the next serves the backlog of a
// shared socket.
func TestShutdownOfSharedSocket(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	path := t.TempDir() + "/shared"
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	file, err := ln.File() // systemd's copy
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	next, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ts.Serve(sharedListener{ln}, ts.cfg.Listeners[0].Address) }()
	const n = 200
	answers := make(chan string, n)
	ask := func() {
		nc, err := net.Dial("unix", path)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		io.WriteString(nc, "zPING\x00")
		b, _ := io.ReadAll(nc)
		answers <- string(b)
	}
	for range n / 2 {
		go ask()
	}
	if err := ts.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	for range n / 2 {
		go ask()
	}
	second := newServer(t, nil, eicarOnly())
	go second.Serve(sharedListener{next.(*net.UnixListener)}, second.cfg.Listeners[0].Address)
	for range n {
		if got := <-answers; got != "PONG\x00" {
			t.Errorf("got %q", got)
		}
	}
}

// dialerTCP adds a TCP listener, and returns a function that connects to it.
func (ts *testServer) dialerTCP() func() net.Conn {
	ts.t.Helper()
	ln := testkit.Listen(ts.t, "tcp")
	go ts.Serve(ln, ts.cfg.Listeners[0].Address)
	return func() net.Conn {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			ts.t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(patience))
		ts.t.Cleanup(func() { nc.Close() })
		return nc
	}
}
