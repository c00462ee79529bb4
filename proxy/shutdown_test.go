package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	slow := &backendtest.Fake{Result: backends.Clean(0), Until: release}
	tests := []struct {
		name    string
		send    string
		started func(*testServer) bool // when to shut down
		during  func(net.Conn)         // what the client does meanwhile
		want    string
	}{
		{"new connection", "", idleSessions(1), nil, ""},
		{"new connection, first command during the shutdown", "", idleSessions(1),
			func(nc net.Conn) { io.WriteString(nc, "zPING\x00") }, "PONG\x00"},
		{"new connection, scan during the shutdown", "", idleSessions(1),
			func(nc net.Conn) { io.WriteString(nc, "zINSTREAM\x00"+stream("ab", 2)) }, "stream: OK\x00"},
		{"new connection, session during the shutdown", "", idleSessions(1),
			func(nc net.Conn) { io.WriteString(nc, "zIDSESSION\x00zPING\x00") }, ""},
		{"half a command", "zPI", idleSessions(1), nil, ""},
		{"idle session", "zIDSESSION\x00", idleSessions(1), nil, ""},
		{"upload under way", "zINSTREAM\x00\x00\x00\x00\x04ab", writers(1),
			func(nc net.Conn) { io.WriteString(nc, "cd\x00\x00\x00\x00") }, "stream: OK\x00"},
		{"scan under way", "zINSTREAM\x00" + stream("ab", 2), scansRunning(1), nil, "stream: OK\x00"},
		{"scan in a session", "zIDSESSION\x00zINSTREAM\x00" + stream("ab", 2), scansRunning(1), nil, "1: stream: OK\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			release = make(chan struct{})
			slow.Until = release
			ts := newServer(t, nil, engine{name: "slow", backend: slow})
			nc := ts.dial()
			io.WriteString(nc, tt.send)
			eventually(t, "start", func() bool { return tt.started(ts) })
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				done <- ts.Shutdown(ctx)
			}()
			eventually(t, "closing", ts.isClosing)
			if tt.during != nil {
				tt.during(nc)
			}
			close(release)
			if got := readAll(t, nc); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if err := <-done; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// Clients that the kernel has accepted are served, also when no more than one at a time
// is let in.
func TestShutdownServesBacklog(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			release := make(chan struct{})
			connections := 1
			if network == "tcp" {
				connections = 2 // the other listener reserves one for its next client
			}
			ts := newServer(t, func(c *Config) { c.Limits.Connections = connections },
				engine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
			dial := func() net.Conn { return ts.dial() }
			if network == "tcp" {
				dial = ts.listenTCP()
			}
			first := dial()
			io.WriteString(first, "zINSTREAM\x00"+stream("ab", 2))
			eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
			var waiting []net.Conn
			for range 20 {
				nc := dial()
				io.WriteString(nc, "nINSTREAM\n"+stream("ab", 2))
				waiting = append(waiting, nc)
			}
			done := make(chan error, 1)
			go func() { done <- ts.Shutdown(t.Context()) }()
			eventually(t, "stopping", ts.isClosing)
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

// Once a shutdown has begun, new connections are refused, not accepted and then dropped.
func TestShutdownRefusesWhatComesLater(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, func(c *Config) { c.Limits.Connections = 1 },
		engine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	first := ts.dial()
	io.WriteString(first, "zINSTREAM\x00"+stream("ab", 2))
	eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
	queued := ts.dial()
	done := make(chan error, 1)
	go func() { done <- ts.Shutdown(t.Context()) }()
	eventually(t, "stopping", ts.isClosing)
	if nc, err := net.Dial("unix", ts.addr); err == nil {
		nc.Close()
		t.Error("connected")
	}
	close(release)
	first.Close()
	io.WriteString(queued, "zPING\x00")
	if got := readAll(t, queued); got != "PONG\x00" {
		t.Errorf("got %q", got)
	}
	queued.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// sharedListener is a socket of which systemd holds a copy.
type sharedListener struct{ *net.UnixListener }

func (sharedListener) Shared() {}

// What is in the backlog of a shared socket is served by this process or the next.
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

func TestShutdownOutOfGrace(t *testing.T) {
	ts := newServer(t, nil, engine{name: "slow", backend: &backendtest.Fake{Hang: true}})
	nc := ts.dial()
	io.WriteString(nc, "zINSTREAM\x00"+stream("ab", 2))
	eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := ts.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	b, _ := io.ReadAll(nc)
	if string(b) == "stream: OK\x00" {
		t.Errorf("OK for a scan that was cut off")
	}
}

func TestConnectionLimit(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Limits.Connections = 1 }, eicarOnly())
	first := ts.dial()
	eventually(t, "first", func() bool { return idleSessions(1)(ts) })
	second := ts.dial()
	io.WriteString(second, "zPING\x00")
	io.WriteString(first, "zPING\x00")
	if got := readAll(t, first); got != "PONG\x00" {
		t.Errorf("first: %q", got)
	}
	first.Close()
	if got := readAll(t, second); got != "PONG\x00" {
		t.Errorf("second: %q", got)
	}
}

// A reload changes the policy of the next command, not of a scan that has begun.
func TestApply(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, nil, engine{name: "a", backend: &backendtest.Fake{Result: backends.Result{Category: backends.Encrypted}, Until: release}})
	nc := ts.dial()
	io.WriteString(nc, "nINSTREAM\n"+stream("x", 1))
	eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
	next := testConfig(ts.cfg.Listeners[0].Address, []engine{{name: "b", backend: backendtest.Says(backends.Found(1, "V"))}})
	ts.Apply(next)
	if got := ts.ask("nINSTREAM\n" + stream("x", 1)); got != "stream: V FOUND\n" {
		t.Errorf("new: %q", got)
	}
	close(release)
	if got := readAll(t, nc); got != "stream: OK\n" {
		t.Errorf("old: %q", got)
	}
}

func idleSessions(n int) func(*testServer) bool {
	return func(ts *testServer) bool {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		idle := 0
		for _, isIdle := range ts.sessions {
			if isIdle {
				idle++
			}
		}
		return idle == n
	}
}

func writers(n int) func(*testServer) bool {
	return func(ts *testServer) bool { return ts.spool.Stats().Writers == n }
}

func scansRunning(n int) func(*testServer) bool {
	return func(ts *testServer) bool { return len(ts.running.list()) == n }
}

// listenTCP serves a TCP socket too, and returns what connects to it.
func (ts *testServer) listenTCP() func() net.Conn {
	ts.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		ts.t.Fatal(err)
	}
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
