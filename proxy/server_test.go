package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/protocol"
	"polyclam/proxy/client"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

func TestCommands(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	eicar := string(testfile.EICAR())
	tests := []struct{ name, send, want string }{
		{"ping z", "zPING\x00", "PONG\x00"},
		{"ping n", "nPING\n", "PONG\n"},
		{"ping crlf", "nPING\r\n", "PONG\n"},
		{"ping bare, no end", "PING", "PONG\n"},
		{"one shot answers one", "zPING\x00zPING\x00", "PONG\x00"},
		{"version", "zVERSION\x00", fallbackVersion + "\x00"},
		{"unknown", "zNONSENSE\x00", "UNKNOWN COMMAND\x00"},
		{"end outside", "zEND\x00", "UNKNOWN COMMAND\x00"},
		{"garbage", "\x16\x03\x01\x02\x00", "UNKNOWN COMMAND\n"},
		{"detstats", "nDETSTATS\n", ""},
		{"shutdown off", "nSHUTDOWN\n", "COMMAND UNAVAILABLE\n"},
		{"quit off", "zQUIT\x00", "COMMAND UNAVAILABLE\x00"},
		{"self check, no clamd", "nSELFCHECK\n", "DBUPTODATE\n"},
		{"self check needs a prefix", "SELFCHECK\n", "UNKNOWN COMMAND\n"},
		{"too long", "z" + strings.Repeat("A", 5000), ""},
		{"clean", "zINSTREAM\x00" + stream("hello", 2), "stream: OK\x00"},
		{"empty", "nINSTREAM\n" + stream("", 1), "stream: OK\n"},
		{"infected", "zINSTREAM\x00" + stream(eicar, 7), "stream: Eicar-Test-Signature FOUND\x00"},
		{"infected, crlf", "nINSTREAM\r\n" + stream(eicar, 68), "stream: Eicar-Test-Signature FOUND\n"},
		{"bytes after the end", "zINSTREAM\x00" + stream("x", 1) + "\n\x00\x00\x00\x00", "stream: OK\x00"},
		{"no descriptor", "zFILDES\x00\x00", "No file descriptor received. ERROR\x00"},
		{"over the limit", "zINSTREAM\x00\xff\xff\xff\xff", "INSTREAM size limit exceeded. ERROR\x00"},
		// This must be last: until the reload ends, SELFCHECK answers RELOADING.
		{"reload", "zRELOAD\x00", "RELOADING\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ts.ask(tt.send); got != tt.want {
				t.Errorf("sent %q: got %q, want %q", tt.send, got, tt.want)
			}
		})
	}
}

// TestStreamOverLimit checks that a client that sends everything before it reads does not get
// a broken pipe.
func TestStreamOverLimit(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Limits.Stream = 1000 }, eicarOnly())
	nc := ts.dial()
	if _, err := io.WriteString(nc, "nINSTREAM\n"+stream(strings.Repeat("x", 8<<20), 1024)); err != nil {
		t.Fatalf("writing: %v", err)
	}
	if got := readAll(t, nc); got != "INSTREAM size limit exceeded. ERROR\n" {
		t.Errorf("got %q", got)
	}
}

func TestStreamLimitExactly(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Limits.Stream = 1000 }, eicarOnly())
	if got := ts.ask("nINSTREAM\n" + stream(strings.Repeat("x", 1000), 100)); got != "stream: OK\n" {
		t.Errorf("got %q", got)
	}
}

func TestClientGoneInStream(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	nc := ts.dial()
	io.WriteString(nc, "zINSTREAM\x00\x00\x00\x10\x00half of it")
	nc.CloseWrite()
	if got := readAll(t, nc); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	testkit.Eventually(t, "the log line", func() bool { return strings.Contains(ts.log.String(), "client gone") })
	if strings.Contains(ts.log.String(), `"scanned"`) {
		t.Errorf("the log has a verdict: %s", ts.log)
	}
}

// askWith is ask with descriptors.
func (ts *testServer) askWith(send string, fds ...int) string {
	ts.t.Helper()
	nc := ts.dial()
	if _, _, err := nc.WriteMsgUnix([]byte(send), syscall.UnixRights(fds...), nil); err != nil {
		ts.t.Fatal(err)
	}
	return readAll(ts.t, nc)
}

func TestFildes(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	dir := t.TempDir()
	infected := dir + "/infected"
	if err := os.WriteFile(infected, testfile.EICAR(), 0o600); err != nil {
		t.Fatal(err)
	}
	moved := openFile(t, infected, unix.O_RDONLY)
	unix.Seek(moved, 60, unix.SEEK_SET)
	tests := []struct {
		name, command string
		fds           []int
		want          string // after "fd[N]: "
	}{
		{"infected", "zFILDES\x00\x00", []int{openFile(t, infected, unix.O_RDONLY)}, "Eicar-Test-Signature FOUND\x00"},
		{"offset moved", "nFILDES\nx", []int{moved}, "Eicar-Test-Signature FOUND\n"},
		{"directory", "nFILDES\nx", []int{openFile(t, dir, unix.O_RDONLY)}, "Not a regular file ERROR\n"},
		{"device", "nFILDES\nx", []int{openFile(t, "/dev/null", unix.O_RDONLY)}, "Not a regular file ERROR\n"},
		{"write only", "nFILDES\nx", []int{openFile(t, infected, unix.O_WRONLY)}, "Can't read file ERROR\n"},
		{"O_PATH", "nFILDES\nx", []int{openFile(t, infected, unix.O_PATH)}, "Can't read file ERROR\n"},
		{"two", "nFILDES\nx", []int{moved, moved}, "No file descriptor received. ERROR\n"},
		{"without the byte", "nFILDES\n", []int{moved}, "PROTOCOL ERROR: ancillary data sent without FILDES. ERROR\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ts.askWith(tt.command, tt.fds...)
			if i := strings.Index(got, "]: "); i >= 0 {
				got = got[i+3:]
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	ts := newServer(t, func(c *Config) {
		c.Limits.CommandReadTimeout = 20 * time.Millisecond
		c.Limits.ReadTimeout = 20 * time.Millisecond
	}, eicarOnly())
	for _, send := range []string{"", "zPIN", "zINSTREAM\x00", "zINSTREAM\x00\x00\x00\x00\x05ab", "zFILDES\x00", "zIDSESSION\x00"} {
		nc := ts.dial()
		io.WriteString(nc, send) // may fail: the server may have timed out
		if got := readAll(t, nc); got != "COMMAND READ TIMED OUT\n" {
			t.Errorf("%q: got %q", send, got)
		}
	}
}

func TestScanLogLine(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	ts.ask("zINSTREAM\x00" + stream("abc", 3))
	testkit.Eventually(t, "the log line", func() bool { return strings.Contains(ts.log.String(), `"scanned"`) })
	var line map[string]any
	if err := json.Unmarshal([]byte(strings.Split(ts.log.String(), "\n")[0]), &line); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"level": "info", "command": "INSTREAM", "object": "stream", "size": 3.0, "category": "ok", "action": "ok",
		"sha256":   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"listener": "unix:" + ts.addr,
		"client":   fmt.Sprintf("unix:uid=%d,pid=%d", os.Getuid(), os.Getpid()),
	}
	for k, v := range want {
		if line[k] != v {
			t.Errorf("%s: got %v, want %v", k, line[k], v)
		}
	}
	engines, _ := line["engines"].(map[string]any)
	fake, _ := engines["fake"].(map[string]any)
	if fake["category"] != "ok" {
		t.Errorf("engines: %v", line["engines"])
	}
}

func TestShutdownCommand(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Listeners[0].ShutdownCommand = true }, eicarOnly())
	if got := ts.ask("zSHUTDOWN\x00"); got != "" {
		t.Errorf("got %q", got)
	}
	<-ts.stop
}

func TestExtendedVerb(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	got := strings.Split(ts.ask("nXINSTREAM\n"+stream(string(testfile.EICAR()), 100)), "\n")
	if len(got) != 5 || got[0] != "stream: Eicar-Test-Signature FOUND" || !strings.HasSuffix(got[1], " ENGINE") ||
		!strings.HasSuffix(got[2], " SUMMARY") || got[3] != "END" {
		t.Errorf("got %q", got)
	}
}

// TestErrorsForRspamd checks that a client that takes errors for clean gets none.
func TestErrorsForRspamd(t *testing.T) {
	profile, _ := status.Lookup("rspamd")
	ts := newServer(t, func(c *Config) { c.Listeners[0].Profile = profile; c.Limits.Stream = 10 },
		testEngine{name: "broken", backend: backendtest.Fails(io.ErrUnexpectedEOF)})
	for _, send := range []string{
		"zINSTREAM\x00" + stream("x", 1),
		"zINSTREAM\x00" + stream(strings.Repeat("x", 100), 100),
		"zFILDES\x00\x00",
	} {
		if got := ts.ask(send); strings.Contains(got, "ERROR") {
			t.Errorf("%q: rspamd would take %q for clean", send, got)
		}
	}
}

func TestStats(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	got := ts.ask("nSTATS\n")
	for _, want := range []string{"POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 1  idle 0 max 10 idle-timeout 30\nQUEUE: 0 items\n",
		"\n\nMEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 pools_used 0.000M pools_total 64.000M\nEND\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}

// TestStatsNames checks which objects a client may see by name: on a Unix socket all of them,
// on TCP its own. The lines of the others stay, one for each thread.
func TestStatsNames(t *testing.T) {
	local, remote, other := client.User(4711), client.Host(netip.MustParseAddr("127.0.0.1")), client.Host(netip.MustParseAddr("127.0.0.2"))
	ts := newServer(t, nil, eicarOnly())
	defer ts.running.begin(local, "SCAN", "/home/private")()
	defer ts.running.begin(remote, "INSTREAM", "own")()
	defer ts.running.begin(other, "SCAN", "/srv/foreign")()
	for _, tt := range []struct {
		key  client.Key
		want []string
	}{
		{client.User(1), []string{"/home/private", "/srv/foreign", "own"}},
		{remote, []string{"-", "-", "own"}},
		{other, []string{"-", "-", "/srv/foreign"}},
		{client.Key{}, []string{"-", "-", "-"}},
	} {
		s := &session{srv: ts.Server, peer: peer{key: tt.key}, task: &task{}, address: "unix:" + ts.addr}
		r := s.request(protocol.Command{Verb: protocol.VerbStats}, 0)
		var got []string
		for _, m := range regexp.MustCompile(`(?m)^\t(?:SCAN|INSTREAM) [0-9.]+ (.*)$`).FindAllStringSubmatch(r.stats(), -1) {
			got = append(got, m[1])
		}
		r.end()
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.key, got, tt.want)
		}
	}
}
