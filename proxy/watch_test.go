package proxy

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// stuck is an engine whose scans end only when they are cancelled. It sends the causes to the
// channel.
func stuck() (testEngine, chan error) {
	ends := make(chan error, 100)
	return testEngine{name: "stuck", backend: backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		<-ctx.Done()
		ends <- context.Cause(ctx)
		return backends.Result{}, context.Cause(ctx)
	})}, ends
}

func countLines(log, message string) int { return strings.Count(log, `"message":"`+message+`"`) }

// TestClientGoneDuringScan checks that a scan is cancelled when its client hangs up, and
// has a log line but no verdict.
func TestClientGoneDuringScan(t *testing.T) {
	dir := tree(t, "a", "x", "b", "y")
	for _, test := range []struct {
		name, send string
		half       bool // the client half-closes first
	}{
		{"stream", "zINSTREAM\x00" + stream("x", 1), false},
		{"stream, half-closed", "zINSTREAM\x00" + stream("x", 1), true},
		{"extended", "zXINSTREAM\x00" + stream("x", 1), false},
		{"path", "zSCAN " + dir + "\x00", false},
		{"parallel paths", "zMULTISCAN " + dir + "\x00", true},
		{"session", "zIDSESSION\x00zINSTREAM\x00" + stream("x", 1), false},
		{"session, half-closed", "zIDSESSION\x00zINSTREAM\x00" + stream("x", 1), true},
		{"session over its scans", "zIDSESSION\x00" + strings.Repeat("zINSTREAM\x00"+stream("x", 1), 7), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, ends := stuck()
			ts := newServer(t, nil, e)
			nc := ts.dial()
			io.WriteString(nc, test.send)
			testkit.Eventually(t, "the scan begins", func() bool { return len(ts.running.list()) > 0 })
			if test.half {
				nc.CloseWrite()
			}
			nc.Close()
			select {
			case err := <-ends:
				if err != errGone {
					t.Errorf("cancelled because %v", err)
				}
			case <-time.After(patience):
				t.Fatal("not cancelled")
			}
			testkit.Eventually(t, "the log line", func() bool { return countLines(ts.log.String(), "not scanned") > 0 })
			testkit.Eventually(t, "the session ends", func() bool { return idleSessions(0)(ts) && scansRunning(0)(ts) })
			if log := ts.log.String(); countLines(log, "scanned") > 0 || !strings.Contains(log, `"reason":"client gone"`) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// TestHalfCloseIsNotHangup checks that a client that only half-closes gets its answer. On
// TCP a close looks the same.
func TestHalfCloseIsNotHangup(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, overTCP(nil), testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	clients := []net.Conn{ts.dial(), dialFrom(t, "127.0.0.2", ts.listenTCP())}
	for _, nc := range clients {
		io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1))
		nc.(interface{ CloseWrite() error }).CloseWrite()
	}
	testkit.Eventually(t, "both are watched", func() bool {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		n := 0
		for s := range ts.sessions {
			if isWatched(s) {
				n++
			}
		}
		return n == len(clients)
	})
	close(release)
	for _, nc := range clients {
		if got := readAll(t, nc); got != "stream: OK\x00" {
			t.Errorf("got %q", got)
		}
	}
}

// isWatched reports whether the connection of s is watched. The caller holds connections.mu.
func isWatched(s *session) bool {
	if !s.begun {
		return false // it has no task yet
	}
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return s.watch.looking != nil
}

// TestClientResetDuringScan checks that a TCP client that resets the connection has gone.
func TestClientResetDuringScan(t *testing.T) {
	e, ends := stuck()
	ts := newServer(t, overTCP(nil), e)
	nc := dialFrom(t, "127.0.0.2", ts.listenTCP())
	io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1))
	testkit.Eventually(t, "the scan begins", func() bool { return scansRunning(1)(ts) })
	nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
	if err := <-ends; err != errGone {
		t.Errorf("cancelled because %v", err)
	}
}

// TestClientGoneWaitingForSlot checks that a scan that waits for a slot leaves the queue when
// its client hangs up.
func TestClientGoneWaitingForSlot(t *testing.T) {
	e, ends := stuck()
	ts := newServer(t, nil, e)
	begin := func(n int) (clients []*net.UnixConn) {
		running := len(ts.running.list())
		for range n {
			nc := ts.dial()
			io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1))
			clients = append(clients, nc)
		}
		testkit.Eventually(t, "the scans begin", scansRunningOf(ts, running+n))
		return clients
	}
	busy := begin(10) // all slots
	for _, nc := range begin(30) {
		nc.Close()
	}
	testkit.Eventually(t, "the waiting scans are cancelled", scansRunningOf(ts, 10))
	if len(ends) > 0 {
		t.Errorf("%d of them reached the engine", len(ends))
	}
	testkit.Eventually(t, "the log lines", func() bool { return countLines(ts.log.String(), "not scanned") == 30 })
	for _, nc := range busy {
		nc.Close()
	}
}

func scansRunningOf(ts *testServer, n int) func() bool {
	return func() bool { return scansRunning(n)(ts) }
}

// TestClientGoneWaitingForSpool checks the same for a stream that waits for room in the
// spool.
func TestClientGoneWaitingForSpool(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	if err := ts.spool.Configure(spool.Config{Total: 64 << 10, Wait: 10 * patience}); err != nil {
		t.Fatal(err)
	}
	full := ts.dial()
	io.WriteString(full, "zINSTREAM\x00"+strings.TrimSuffix(stream(strings.Repeat("x", 60<<10), 4<<10), "\x00\x00\x00\x00"))
	testkit.Eventually(t, "the spool is full", func() bool { return ts.spool.Stats().Used >= 60<<10 })
	nc := ts.dial()
	io.WriteString(nc, "zINSTREAM\x00"+stream(strings.Repeat("x", 16<<10), 16<<10))
	testkit.Eventually(t, "the stream waits", func() bool { return ts.spool.Stats().Waiting == 1 })
	nc.Close()
	testkit.Eventually(t, "the stream does not wait any longer", func() bool { return ts.spool.Stats().Waiting == 0 })
	testkit.Eventually(t, "the log line", func() bool { return strings.Contains(ts.log.String(), `"reason":"client gone"`) })
	full.Close()
}

// TestSessionContinuesAfterWatch checks that a connection is read again after it was watched.
func TestSessionContinuesAfterWatch(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, func(c *Config) { c.Limits.SessionScans = 1 },
		testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	nc := ts.dial()
	io.WriteString(nc, "nIDSESSION\nnINSTREAM\n"+stream("x", 1)+"nINSTREAM\n"+stream("y", 1))
	testkit.Eventually(t, "the reader is watched", func() bool {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		for s := range ts.sessions {
			return isWatched(s)
		}
		return false
	})
	close(release)
	io.WriteString(nc, "nPING\n")
	got := []string{readRecord(t, nc, '\n'), readRecord(t, nc, '\n'), readRecord(t, nc, '\n')}
	for _, want := range []string{"1: stream: OK", "2: stream: OK", "3: PONG"} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}
