package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	slow := &backendtest.Fake{Result: backends.Clean(0), Until: release}
	tests := []struct {
		name    string
		send    string
		started func(*testServer) bool // when to shut down
		during  func(net.Conn)         // what the client does during the shutdown
		want    string
	}{
		{"new connection", "", idleSessions(1), nil, ""},
		{"new connection, first command during the shutdown", "", idleSessions(1),
			func(nc net.Conn) { io.WriteString(nc, "zPING\x00") }, "PONG\x00"},
		{"new connection, scan during the shutdown", "", idleSessions(1),
			func(nc net.Conn) { io.WriteString(nc, "zINSTREAM\x00"+stream("ab", 2)) }, "stream: OK\x00"},
		{"new connection, session during the shutdown", "", idleSessions(1),
			func(nc net.Conn) { io.WriteString(nc, "zIDSESSION\x00zPING\x00") }, "1: PONG\x00"},
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
			ts := newServer(t, nil, testEngine{name: "slow", backend: slow})
			nc := ts.dial()
			io.WriteString(nc, tt.send)
			testkit.Eventually(t, "the time to shut down", func() bool { return tt.started(ts) })
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				done <- ts.Shutdown(ctx)
			}()
			testkit.Eventually(t, "the shutdown begins", ts.isClosing)
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

// TestShutdownAnswersPipelined checks that Shutdown answers all commands that a client of an
// IDSESSION has sent before, even those that wait for a scan.
func TestShutdownAnswersPipelined(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, func(c *Config) { c.Limits.SessionScans = 1 },
		testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	nc := ts.dial()
	const n = 2000 // more than is received together
	io.WriteString(nc, "nIDSESSION\n")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(nc, strings.Repeat("nINSTREAM\n"+stream("ab", 2), 3)+strings.Repeat("nPING\n", n))
	}()
	testkit.Eventually(t, "the scan begins", func() bool { return scansRunning(1)(ts) })
	<-sent
	done := make(chan error, 1)
	go func() { done <- ts.Shutdown(t.Context()) }()
	testkit.Eventually(t, "the shutdown begins", ts.isClosing)
	close(release)
	got := readAll(t, nc)
	if scans, pings := strings.Count(got, ": stream: OK\n"), strings.Count(got, ": PONG\n"); scans != 3 || pings != n {
		t.Errorf("%d scans and %d PINGs answered, want 3 and %d", scans, pings, n)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestShutdownAfterGrace checks that a scan that is cut off is not answered with OK.
func TestShutdownAfterGrace(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "slow", backend: &backendtest.Fake{Hang: true}})
	nc := ts.dial()
	io.WriteString(nc, "zINSTREAM\x00"+stream("ab", 2))
	testkit.Eventually(t, "the scan begins", func() bool { return scansRunning(1)(ts) })
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
	testkit.Eventually(t, "the first is served", func() bool { return idleSessions(1)(ts) })
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

// TestApply checks that a reload affects the next command, but not a scan under way.
func TestApply(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, nil, testEngine{name: "a", backend: &backendtest.Fake{Result: backends.Result{Category: backends.Encrypted}, Until: release}})
	nc := ts.dial()
	io.WriteString(nc, "nINSTREAM\n"+stream("x", 1))
	testkit.Eventually(t, "the scan begins", func() bool { return scansRunning(1)(ts) })
	next := testConfig(ts.cfg.Listeners[0].Address, []testEngine{{name: "b", backend: backendtest.Says(backends.Found(1, "V"))}})
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
