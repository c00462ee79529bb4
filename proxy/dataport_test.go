package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
	"polyclam/proxy/status"
)

// withStream allows STREAM, and changes what else is to be changed.
func withStream(changes ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Listeners[0].StreamCommand = true
		for _, change := range changes {
			change(c)
		}
	}
}

// stream sends STREAM and returns the connection and the port that it was told.
func (ts *testServer) stream(command string) (*net.UnixConn, string) {
	ts.t.Helper()
	nc := ts.dial()
	if _, err := io.WriteString(nc, command); err != nil {
		ts.t.Fatal(err)
	}
	return nc, readPort(ts.t, nc, command)
}

// readPort reads the reply to STREAM, and returns where the client is to go.
func readPort(t *testing.T, nc net.Conn, command string) string {
	t.Helper()
	term := byte('\n')
	if command[0] == 'z' {
		term = 0
	}
	reply := readRecord(t, nc, term)
	var port int
	if _, err := fmt.Sscanf(reply, "PORT %d", &port); err != nil || reply != fmt.Sprintf("PORT %d", port) {
		t.Fatalf("reply to STREAM: %q", reply)
	}
	return fmt.Sprint("127.0.0.1:", port)
}

// dialData connects to a data port, from 127.0.0.1 or another address.
func dialData(t *testing.T, address, from string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return nc.(*net.TCPConn)
}

// noVerdict wants the log to have a reason and no verdict.
func (ts *testServer) noVerdict(reason string) {
	ts.t.Helper()
	eventually(ts.t, "log line "+reason, func() bool { return strings.Contains(ts.log.String(), `"reason":"`+reason+`"`) })
	if strings.Contains(ts.log.String(), `"scanned"`) {
		ts.t.Errorf("a verdict in the log: %s", ts.log)
	}
}

func TestStreamCommand(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	large := strings.Repeat("x", 1<<20)
	for _, command := range []string{"STREAM", "STREAM\n", "STREAM\r\n", "nSTREAM\n", "nSTREAM\r\n", "zSTREAM\x00"} {
		for content, want := range map[string]string{
			"": "OK", "clean": "OK", large: "OK", string(backendtest.EICAR()): "Eicar-Test-Signature FOUND",
		} {
			nc, port := ts.stream(command)
			data := dialData(t, port, "127.0.0.1")
			if _, err := io.WriteString(data, content); err != nil {
				t.Fatal(err)
			}
			data.Close()
			term := "\n"
			if command[0] == 'z' {
				term = "\x00"
			}
			if got := readAll(t, nc); got != "stream: "+want+term {
				t.Errorf("%q, %d bytes: %q, want %s", command, len(content), got, want)
			}
		}
	}
}

// Most clients shut their end down and read the verdict before they close.
func TestStreamCommandHalfClose(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	nc, port := ts.stream("STREAM\n")
	data := dialData(t, port, "127.0.0.1")
	data.Write(backendtest.EICAR())
	data.CloseWrite()
	if got := readAll(t, nc); got != "stream: Eicar-Test-Signature FOUND\n" {
		t.Errorf("got %q", got)
	}
	if n, err := data.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes on the data connection", n)
	}
}

func TestStreamCommandOff(t *testing.T) {
	for _, on := range []bool{false, true} {
		ts := newServer(t, func(c *Config) { c.Listeners[0].StreamCommand = on }, eicarOnly())
		if !on {
			for _, send := range []string{"STREAM", "STREAM\n", "nSTREAM\n"} {
				if got := ts.ask(send); got != "UNKNOWN COMMAND\n" {
					t.Errorf("%q: %q", send, got)
				}
			}
			if got := ts.ask("zSTREAM\x00"); got != "UNKNOWN COMMAND\x00" {
				t.Errorf("z: %q", got)
			}
		}
		if got := ts.ask("STREAM x\n"); got != "UNKNOWN COMMAND\n" {
			t.Errorf("on = %v, with an argument: %q", on, got)
		}
		if got := ts.ask("nIDSESSION\nnSTREAM\n"); got != "1: Command invalid inside IDSESSION. ERROR\n" {
			t.Errorf("on = %v, in a session: %q", on, got)
		}
		if got := ts.ask("nIDSESSION\nnPING\nSTREAM\n"); !strings.Contains(got, "2: Only nCMDS") {
			t.Errorf("on = %v, bare in a session: %q", on, got)
		}
		if got := ts.ask("nVERSIONCOMMANDS\n"); strings.Contains(got, " STREAM") {
			t.Errorf("on = %v, the list: %q", on, got)
		}
	}
}

// serveTCP lets the server answer on a TCP port of its own, too.
func (ts *testServer) serveTCP(listen string) net.Addr {
	ts.t.Helper()
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		ts.t.Skipf("NOT TESTED: %v", err)
	}
	cfg := *ts.cfg
	lst := cfg.Listeners[0]
	lst.Address = "tcp:test"
	cfg.Listeners = append([]Listener{lst}, cfg.Listeners...)
	cfg.Engines = testConfig("", []testEngine{eicarOnly()}).Engines
	ts.Apply(&cfg)
	served := make(chan struct{})
	go func() {
		defer close(served)
		ts.Serve(ln, "tcp:test")
	}()
	ts.t.Cleanup(func() { ln.Close(); <-served })
	return ln.Addr()
}

func TestStreamCommandTCP(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			ts := newServer(t, withStream(), eicarOnly())
			addr := ts.serveTCP(net.JoinHostPort(host, "0"))
			nc, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(patience))
			io.WriteString(nc, "STREAM\n")
			_, port, _ := net.SplitHostPort(readPort(t, nc, "STREAM\n"))
			data, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			data.Write(backendtest.EICAR())
			data.Close()
			if got := readAll(t, nc); got != "stream: Eicar-Test-Signature FOUND\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestStreamCommandLogLine(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	nc, port := ts.stream("STREAM\n")
	data := dialData(t, port, "127.0.0.1")
	io.WriteString(data, "abc")
	data.Close()
	readAll(t, nc)
	eventually(t, "log line", func() bool { return strings.Contains(ts.log.String(), `"scanned"`) })
	var line map[string]any
	if err := json.Unmarshal([]byte(strings.Split(ts.log.String(), "\n")[0]), &line); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"level": "info", "command": "STREAM", "object": "stream", "size": 3.0, "category": "ok", "action": "ok",
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"} {
		if line[k] != want {
			t.Errorf("%s: %v, want %v", k, line[k], want)
		}
	}
}

func TestStreamCommandInStats(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, withStream(), testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	nc, port := ts.stream("STREAM\n")
	dialData(t, port, "127.0.0.1").Close()
	eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
	if got := ts.ask("nSTATS\n"); !strings.Contains(got, "\tSTREAM 0.") || !strings.Contains(got, " stream\n") {
		t.Errorf("got %q", got)
	}
	close(release)
	if got := readAll(t, nc); got != "stream: OK\n" {
		t.Errorf("got %q", got)
	}
}

// What a hostile or unlucky world does, and what the client is told.
func TestStreamCommandHostile(t *testing.T) {
	const (
		soon = 20 * time.Millisecond
		wait = time.Second // bounds the command and the connections beside the waiting itself
	)
	tests := []struct {
		name   string
		change func(*Config)
		do     func(t *testing.T, ts *testServer, nc *net.UnixConn, port string)
		want   string
		reason string
	}{
		{"nobody connects", func(c *Config) { c.Limits.CommandReadTimeout = wait },
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {},
			"Accept timeout. ERROR\n", "no data connection"},
		{"strangers connect", func(c *Config) { c.Limits.CommandReadTimeout = wait },
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
			"Error processing command. ERROR\n", "bytes behind the command"},
		{"client gone in the stream", nil,
			func(t *testing.T, ts *testServer, nc *net.UnixConn, port string) {
				io.WriteString(dialData(t, port, "127.0.0.1"), "half")
				eventually(t, "stream", func() bool { return writers(1)(ts) })
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
				// A client that writes all before it reads must not see a broken pipe.
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
			if nc, err := net.Dial("tcp", port); err == nil {
				nc.Close()
				t.Error("the port is still open")
			}
		})
	}
}

// A stranger with clean content is first, and done before the client has connected.
func TestStreamCommandStrangerFirst(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, withStream(), testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	nc, port := ts.stream("STREAM\n")
	stranger := dialData(t, port, "127.0.0.1")
	io.WriteString(stranger, "clean")
	stranger.Close()
	eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
	data := dialData(t, port, "127.0.0.1")
	data.Write(backendtest.EICAR())
	data.Close()
	close(release)
	if got := readAll(t, nc); got != "stream: Second data connection ERROR\n" {
		t.Errorf("got %q", got)
	}
	ts.noVerdict("second data connection")
}

func TestStreamCommandStrangersAreLogged(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	nc, port := ts.stream("STREAM\n")
	for range 3 * maxRefused {
		stranger := dialData(t, port, "127.0.0.2")
		io.WriteString(stranger, "clean")
		if n, err := stranger.Read(make([]byte, 1)); err == nil {
			t.Errorf("%d bytes for a stranger", n)
		}
	}
	data := dialData(t, port, "127.0.0.1")
	data.Write(backendtest.EICAR())
	data.Close()
	if got := readAll(t, nc); got != "stream: Eicar-Test-Signature FOUND\n" {
		t.Errorf("got %q", got)
	}
	if n := strings.Count(ts.log.String(), `"peer":"127.0.0.2:`); n != maxRefused {
		t.Errorf("%d log lines, want %d: %s", n, maxRefused, ts.log)
	}
}

// The second room of a STREAM is there while it lasts, and is given back.
func TestStreamCommandTakesTwoConnections(t *testing.T) {
	// Of three connections one is for the next client to be accepted.
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
		eventually(t, "room", func() bool { ts.mu.Lock(); defer ts.mu.Unlock(); return ts.places.Open() == 1 })
	}
	first := ts.dial()
	eventually(t, "first", func() bool { return idleSessions(1)(ts) })
	if got := ts.ask("STREAM\n"); got != "stream: Too many connections ERROR\n" {
		t.Errorf("with two clients: %q", got)
	}
	first.Close()
	if !strings.Contains(ts.log.String(), `"reason":"connections"`) {
		t.Errorf("no reason in the log: %s", ts.log)
	}
}

func TestStreamCommandPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	ts := newServer(t, withStream(func(c *Config) { c.Listeners[0].StreamPorts = protocol.PortRange{First: port, Last: port} }), eicarOnly())
	if got := ts.ask("zSTREAM\x00"); got != "Can't find any free port. ERROR\x00" {
		t.Errorf("got %q", got)
	}
	ts.noVerdict("no data port")
	if !strings.Contains(ts.log.String(), "address already in use") {
		t.Errorf("the log does not say why: %s", ts.log)
	}
	taken.Close()
	nc, address := ts.stream("STREAM\n")
	if address != fmt.Sprint("127.0.0.1:", port) {
		t.Errorf("%s, want port %d", address, port)
	}
	dialData(t, address, "127.0.0.1").Close()
	if got := readAll(t, nc); got != "stream: OK\n" {
		t.Errorf("got %q", got)
	}
}

// A client that takes what it cannot read for clean content gets an identifier, one
// that takes an ERROR line for it gets none.
func TestStreamCommandProfiles(t *testing.T) {
	for client, want := range map[string]string{
		"mimedefang": "stream: Error processing command. ERROR\n", "rspamd": "stream: Heuristics.Limits.Exceeded.ScanFailed FOUND\n", "http-gateway": "stream: Heuristics.Scan.Failed FOUND\n",
	} {
		profile, _ := status.Lookup(client)
		ts := newServer(t, withStream(func(c *Config) { c.Listeners[0].Profile = profile }), eicarOnly())
		nc, _ := ts.stream("STREAM\n")
		io.WriteString(nc, "more")
		if got := readAll(t, nc); got != want {
			t.Errorf("%s: %q, want %q", client, got, want)
		}
	}
}

// The time for connecting is over, the stream goes on.
func TestStreamCommandOutlastsTheWait(t *testing.T) {
	const wait = time.Second
	ts := newServer(t, withStream(func(c *Config) { c.Limits.CommandReadTimeout = wait }), eicarOnly())
	start := time.Now()
	nc, port := ts.stream("STREAM\n")
	data := dialData(t, port, "127.0.0.1")
	io.WriteString(data, "half ")
	eventually(t, "time", func() bool { return time.Since(start) > wait+wait/4 })
	io.WriteString(data, "of it")
	data.Close()
	if got := readAll(t, nc); got != "stream: OK\n" {
		t.Errorf("got %q", got)
	}
}

func TestStreamCommandEngineDown(t *testing.T) {
	ts := newServer(t, withStream(), testEngine{name: "broken", backend: backendtest.Fails(io.ErrUnexpectedEOF)})
	nc, port := ts.stream("STREAM\n")
	dialData(t, port, "127.0.0.1").Close()
	if got := readAll(t, nc); !strings.HasSuffix(got, " ERROR\n") {
		t.Errorf("got %q", got)
	}
}

func TestStreamCommandMany(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			nc, port := ts.stream("zSTREAM\x00")
			data := dialData(t, port, "127.0.0.1")
			want := "stream: OK\x00"
			if i%2 == 1 {
				data.Write(backendtest.EICAR())
				want = "stream: Eicar-Test-Signature FOUND\x00"
			}
			fmt.Fprintf(data, "content %d", i)
			data.Close()
			if got := readAll(t, nc); got != want {
				t.Errorf("%d: got %q", i, got)
			}
		})
	}
	clients.Wait()
}

func TestStreamCommandShutdown(t *testing.T) {
	tests := []struct {
		name   string
		before func(t *testing.T, port string) *net.TCPConn
		ready  func(*testServer) bool
		want   string
	}{
		{"waiting", func(*testing.T, string) *net.TCPConn { return nil }, idleSessions(1), ""},
		{"stream under way", func(t *testing.T, port string) *net.TCPConn {
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
			eventually(t, "start", func() bool { return tt.ready(ts) })
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				done <- ts.Shutdown(ctx)
			}()
			eventually(t, "closing", ts.isClosing)
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

// What is left when the grace is over is cut off at once, a stream that is only
// being drained included.
func TestStreamCommandShutdownOutOfGrace(t *testing.T) {
	for _, limit := range []int64{1 << 20, 1} {
		ts := newServer(t, withStream(func(c *Config) { c.Limits.Stream = limit }), eicarOnly())
		nc, port := ts.stream("STREAM\n")
		data := dialData(t, port, "127.0.0.1")
		io.WriteString(data, "x")
		eventually(t, "stream", func() bool { return writers(1)(ts) })
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
			eventually(t, "draining", func() bool { return writers(0)(ts) })
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
