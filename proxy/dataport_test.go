package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/protocol/dataport"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// withStream enables STREAM and applies other changes.
func withStream(changes ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Listeners[0].StreamCommand = true
		for _, change := range changes {
			change(c)
		}
	}
}

// stream sends STREAM and returns the connection and the address of the data port.
func (ts *testServer) stream(command string) (*net.UnixConn, string) {
	ts.t.Helper()
	nc := ts.dial()
	if _, err := io.WriteString(nc, command); err != nil {
		ts.t.Fatal(err)
	}
	return nc, readPort(ts.t, nc, command)
}

// readPort reads the reply to STREAM and returns the address of the data port.
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

func TestStreamCommand(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	large := strings.Repeat("x", 1<<20)
	for _, command := range []string{"STREAM", "STREAM\n", "STREAM\r\n", "nSTREAM\n", "nSTREAM\r\n", "zSTREAM\x00"} {
		for object, want := range map[string]string{
			"": "OK", "clean": "OK", large: "OK", string(testfile.EICAR()): "Eicar-Test-Signature FOUND",
		} {
			nc, port := ts.stream(command)
			data := dialData(t, port, "127.0.0.1")
			if _, err := io.WriteString(data, object); err != nil {
				t.Fatal(err)
			}
			data.Close()
			term := "\n"
			if command[0] == 'z' {
				term = "\x00"
			}
			if got := readAll(t, nc); got != "stream: "+want+term {
				t.Errorf("%q, %d bytes: %q, want %s", command, len(object), got, want)
			}
		}
	}
}

// TestStreamCommandHalfClose does what most clients do: they half-close the data connection,
// and read the verdict before they close it.
func TestStreamCommandHalfClose(t *testing.T) {
	ts := newServer(t, withStream(), eicarOnly())
	nc, port := ts.stream("STREAM\n")
	data := dialData(t, port, "127.0.0.1")
	data.Write(testfile.EICAR())
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

// serveTCP adds a TCP listener to the server.
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
			data.Write(testfile.EICAR())
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
	testkit.Eventually(t, "log line", func() bool { return strings.Contains(ts.log.String(), `"scanned"`) })
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
	testkit.Eventually(t, "scan", func() bool { return scansRunning(1)(ts) })
	if got := ts.ask("nSTATS\n"); !strings.Contains(got, "\tSTREAM 0.") || !strings.Contains(got, " stream\n") {
		t.Errorf("got %q", got)
	}
	close(release)
	if got := readAll(t, nc); got != "stream: OK\n" {
		t.Errorf("got %q", got)
	}
}

func TestStreamCommandPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	ts := newServer(t, withStream(func(c *Config) { c.Listeners[0].StreamPorts = dataport.Range{First: port, Last: port} }), eicarOnly())
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

// TestStreamCommandProfiles checks that clients which mistake an error for clean get a
// signature name instead.
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
				data.Write(testfile.EICAR())
				want = "stream: Eicar-Test-Signature FOUND\x00"
			}
			fmt.Fprintf(data, "object %d", i)
			data.Close()
			if got := readAll(t, nc); got != want {
				t.Errorf("%d: got %q", i, got)
			}
		})
	}
	clients.Wait()
}
