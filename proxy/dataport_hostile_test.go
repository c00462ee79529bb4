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
	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

// noVerdict checks that the log has this reason and no verdict.
func (ts *testServer) noVerdict(reason string) {
	ts.t.Helper()
	testkit.Eventually(ts.t, "log line "+reason, func() bool { return strings.Contains(ts.log.String(), `"reason":"`+reason+`"`) })
	if strings.Contains(ts.log.String(), `"scanned"`) {
		ts.t.Errorf("a verdict in the log: %s", ts.log)
	}
}

// TestStreamCommandHostile covers what can go wrong between STREAM and the verdict.
func TestStreamCommandHostile(t *testing.T) {
	const (
		soon = 20 * time.Millisecond
		wait = time.Second // includes the command and the connections
	)
	tests := []struct {
		name   string
		change func(*Config)
		do     func(t *testing.T, ts *testServer, nc *net.UnixConn, port string)
		want   string
		reason string
	}{
		{"no connection", func(c *Config) { c.Limits.CommandReadTimeout = wait },
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {},
			"Accept timeout. ERROR\n", "no data connection"},
		{"connections from elsewhere", func(c *Config) { c.Limits.CommandReadTimeout = wait },
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				for range 3 {
					io.WriteString(dialData(t, port, "127.0.0.2"), "clean")
				}
			}, "Accept timeout. ERROR\n", "no data connection"},
		{"client gone", nil,
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) { nc.Close() },
			"", "client gone"},
		{"client half-closes", nil,
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) { nc.CloseWrite() },
			"", "client gone"},
		{"client sends more", nil,
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) { io.WriteString(nc, "STREAM\n") },
			"Error processing command. ERROR\n", "bytes after the command"},
		{"client gone in the stream", nil,
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				io.WriteString(dialData(t, port, "127.0.0.1"), "half")
				testkit.Eventually(t, "stream", func() bool { return writers(1)(ts) })
				nc.Close()
			}, "", "client gone"},
		{"reset", nil,
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				data := dialData(t, port, "127.0.0.1")
				io.WriteString(data, "half")
				data.SetLinger(0)
				data.Close()
			}, "stream: Data connection lost ERROR\n", "data connection lost"},
		{"silence", func(c *Config) { c.Limits.ReadTimeout = soon },
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				io.WriteString(dialData(t, port, "127.0.0.1"), "half")
			}, "COMMAND READ TIMED OUT\n", "read timeout"},
		{"second connection", nil,
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				io.WriteString(dialData(t, port, "127.0.0.1"), "half")
				dialData(t, port, "127.0.0.1").Close()
			}, "stream: Second data connection ERROR\n", "second data connection"},
		{"over the limit", func(c *Config) { c.Limits.Stream = 1000 },
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				data := dialData(t, port, "127.0.0.1")
				// A client that writes everything before it reads must not get a broken pipe.
				if _, err := io.WriteString(data, strings.Repeat("x", 8<<20)); err != nil {
					t.Errorf("writing: %v", err)
				}
				data.Close()
			}, "INSTREAM size limit exceeded. ERROR\n", "size limit exceeded"},
		{"one byte over the limit", func(c *Config) { c.Limits.Stream = 3 },
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				data := dialData(t, port, "127.0.0.1")
				io.WriteString(data, "abcd")
				data.Close()
			}, "INSTREAM size limit exceeded. ERROR\n", "size limit exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var changes []func(*Config)
			if tt.change != nil {
				changes = append(changes, tt.change)
			}
			ts := newServer(t, withStream(changes...), eicarOnly())
			nc, port := ts.stream("STREAM\n")
			tt.do(t, ts, nc, port)
			if got, err := io.ReadAll(nc); string(got) != tt.want || err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			ts.noVerdict(tt.reason)
			// The client's end may be closed before the port.
			testkit.Eventually(t, "the port is closed", func() bool {
				nc, err := net.Dial("tcp", port)
				if err == nil {
					nc.Close()
				}
				return err != nil
			})
		})
	}
}

// TestStreamCommandStrangerFirst has another process send a clean object before the client
// connects.
func TestStreamCommandStrangerFirst(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, withStream(), testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	nc, port := ts.stream("STREAM\n")
	stranger := dialData(t, port, "127.0.0.1")
	io.WriteString(stranger, "clean")
	stranger.Close()
	testkit.Eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
	data := dialData(t, port, "127.0.0.1")
	data.Write(testfile.EICAR())
	data.Close()
	close(release)
	if got := readAll(t, nc); got != "stream: Second data connection ERROR\n" {
		t.Errorf("got %q", got)
	}
	ts.noVerdict("second data connection")
}

func TestStreamCommandRefusedLogged(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	nc, port := ts.stream("STREAM\n")
	for range 3 * maxRefused {
		stranger := dialData(t, port, "127.0.0.2")
		io.WriteString(stranger, "clean")
		if n, err := stranger.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes for another host", n)
		}
	}
	data := dialData(t, port, "127.0.0.1")
	data.Write(testfile.EICAR())
	data.Close()
	if got := readAll(t, nc); got != "stream: Eicar-Test-Signature FOUND\n" {
		t.Errorf("got %q", got)
	}
	if n := strings.Count(ts.log.String(), `"peer":"127.0.0.2:`); n != maxRefused {
		t.Errorf("%d log lines, want %d: %s", n, maxRefused, ts.log)
	}
}

// TestStreamCommandOutlastsTheWait checks that the time to connect does not limit the stream.
func TestStreamCommandOutlastsTheWait(t *testing.T) {
	const wait = time.Second
	ts := newServer(t, withStream(func(c *Config) { c.Limits.CommandReadTimeout = wait }), eicarOnly())
	start := time.Now()
	nc, port := ts.stream("STREAM\n")
	data := dialData(t, port, "127.0.0.1")
	io.WriteString(data, "half ")
	testkit.Eventually(t, "time", func() bool { return time.Since(start) > wait+wait/4 })
	io.WriteString(data, "of it")
	data.Close()
	if got := readAll(t, nc); got != "stream: OK\n" {
		t.Errorf("got %q", got)
	}
}

func TestStreamCommandShutdown(t *testing.T) {
	tests := []struct {
		name   string
		before func(t *testing.T, port string) *net.TCPConn
		ready  func(*testServer) bool
		want   string
	}{
		{"waiting", func(*testing.T, string) *net.TCPConn { return nil }, idleSessions(1), ""},
		{"stream in progress", func(t *testing.T, port string) *net.TCPConn {
			data := dialData(t, port, "127.0.0.1")
			io.WriteString(data, "half ")
			return data
		}, writers(1), "stream: OK\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, withStream(), eicarOnly())
			nc, port := ts.stream("STREAM\n")
			data := tt.before(t, port)
			testkit.Eventually(t, "start", func() bool { return tt.ready(ts) })
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				done <- ts.Shutdown(ctx)
			}()
			testkit.Eventually(t, "closing", ts.isClosing)
			if data != nil {
				io.WriteString(data, "of it")
				data.Close()
			}
			if got := readAll(t, nc); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if err := <-done; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// TestStreamCommandShutdownOutOfGrace checks that the end of the grace cuts off all
// streams, even one that is only being drained.
func TestStreamCommandShutdownOutOfGrace(t *testing.T) {
	for _, limit := range []int64{1 << 20, 1} {
		ts := newServer(t, withStream(func(c *Config) { c.Limits.Stream = limit }), eicarOnly())
		nc, port := ts.stream("STREAM\n")
		data := dialData(t, port, "127.0.0.1")
		io.WriteString(data, "x")
		testkit.Eventually(t, "stream", func() bool { return writers(1)(ts) })
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				if _, err := io.WriteString(data, "xx"); err != nil {
					return
				}
			}
		}()
		if limit == 1 {
			testkit.Eventually(t, "draining", func() bool { return writers(0)(ts) })
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		start := time.Now()
		if err := ts.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("limit %d: Shutdown: %v", limit, err)
		}
		if took := time.Since(start); took > drainTotal/2 {
			t.Errorf("limit %d: Shutdown took %v", limit, took)
		}
		cancel()
		close(stop)
		<-stopped
		if b, _ := io.ReadAll(nc); strings.Contains(string(b), "OK") {
			t.Errorf("limit %d: %q for half a stream", limit, b)
		}
	}
}

// TestStreamCommandTakesTwoConnections checks that STREAM takes a second place in
// limits.connections, and returns it.
func TestStreamCommandTakesTwoConnections(t *testing.T) {
	// One of the three connections is for the next client to be accepted.
	ts := newServer(t, withStream(func(c *Config) { c.Limits.Connections = 3 }), eicarOnly())
	for range 5 {
		nc, port := ts.stream("STREAM\n")
		waiting := ts.dial()
		io.WriteString(waiting, "nPING\n")
		dialData(t, port, "127.0.0.1").Close()
		if got := readAll(t, nc); got != "stream: OK\n" {
			t.Errorf("got %q", got)
		}
		nc.Close()
		if got := readAll(t, waiting); got != "PONG\n" {
			t.Errorf("got %q", got)
		}
		waiting.Close()
		testkit.Eventually(t, "room", func() bool { ts.mu.Lock(); defer ts.mu.Unlock(); return ts.places.Open() == 1 })
	}
	first := ts.dial()
	testkit.Eventually(t, "first", func() bool { return idleSessions(1)(ts) })
	if got := ts.ask("STREAM\n"); got != "stream: Too many connections ERROR\n" {
		t.Errorf("with two clients: %q", got)
	}
	first.Close()
	if !strings.Contains(ts.log.String(), `"reason":"connections"`) {
		t.Errorf("no reason in the log: %s", ts.log)
	}
}
