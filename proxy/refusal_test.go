package proxy

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/backends/access"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy/client"
	"polyclam/proxy/files"
	"polyclam/test/testkit"
)

// logLines returns the fields of all log lines with this message so far.
func (ts *testServer) logLines(message string) (found []map[string]any) {
	for line := range strings.Lines(ts.log.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == message {
			found = append(found, fields)
		}
	}
	return found
}

// server returns the SERVER record.
func (ts *testServer) server() extended.Server {
	ts.t.Helper()
	first, _, _ := strings.Cut(ts.ask("nXSTATUS\n"), "\n")
	r, err := extended.Parse(first)
	if err != nil {
		ts.t.Fatal(err)
	}
	return r.Server()
}

// TestRepeatedRefusals checks that what a client repeats is logged once a minute with the
// number of repetitions, and that all of it is counted.
func TestRepeatedRefusals(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Listeners[0].PathCommands = false }, eicarOnly())
	for _, minute := range []float64{0, 4, 4} { // suppressed in the minute before
		for i := range 5 {
			ts.ask(fmt.Sprintf("zSCAN /etc/%d\x00", i))
		}
		ts.ask("zNONSENSE\x00") // another kind
		lines := ts.logLines("command refused")
		scan := lines[len(lines)-2]
		if suppressed, _ := scan["suppressed"].(float64); scan["object"] != "/etc/0" || suppressed != minute || scan["level"] != "warn" {
			t.Errorf("got %v, want %v suppressed", scan, minute)
		}
		ts.ahead.Add(int64(repeatPause))
	}
	if lines := ts.logLines("command refused"); len(lines) != 6 {
		t.Errorf("%d lines, want 6: %v", len(lines), lines)
	}
	if got := ts.server().CommandsRefused; got != 18 {
		t.Errorf("%d counted, want 18", got)
	}
}

func TestForeignProtocols(t *testing.T) {
	for _, tt := range []struct{ send, reason, input string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP instead of a command", `GET / HTTP/1.1\x0d\x0aHost: x\x0d\x0a\x0d\x0a`},
		{"POST /scan HTTP/1.1\r\n\r\n", "HTTP instead of a command", `POST /scan HTTP/1.1\x0d\x0a\x0d\x0a`},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS instead of a command", `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03`},
		{"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nzPING\x00", "the PROXY protocol, version 1, instead of a command", `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\x0d\x0azPING\x00`},
		{"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", "the PROXY protocol, version 2, instead of a command", `\x0d\x0a\x0d\x0a\x00\x0d\x0aQUIT\x0a!\x11\x00\x0c`},
		{"OPTIONS icap://x/y ICAP/1.0\r\n", "ICAP instead of a command", `OPTIONS icap://x/y ICAP/1.0\x0d\x0a`},
		{"OPTIONS / HTTP/1.0\r\n", "HTTP instead of a command", `OPTIONS / HTTP/1.0\x0d\x0a`},
		{"EHLO x\r\n", "SMTP instead of a command", `EHLO x\x0d\x0a`},
		{"SSH-2.0-x\r\n", "SSH instead of a command", `SSH-2.0-x\x0d\x0a`},
		{"ping\n", "unknown command", `ping\x0a`},
		{"zGET / HTTP\x00", "unknown command", `zGET / HTTP\x00`},
		{"z\"},\n{\"level\":\"error\"\x1b[31m\x00", "unknown command", `z"},\x0a{"level":"error"\x1b[31m\x00`},
		{"n" + strings.Repeat("\\", 5000), "a command longer than any path", "n" + strings.Repeat(`\\`, 63)},
		{"zIDSESSION\x00zGET\x00", "unknown command inside IDSESSION", `zGET\x00`},
		{"zIDSESSION\x00GET / HTTP/1.1\r\n\r\n", "HTTP instead of a command", `GET / HTTP/1.1\x0d\x0a\x0d\x0a`},
	} {
		ts := newServer(t, nil, eicarOnly())
		ts.ask(tt.send)
		line := ts.logLine("command refused")
		_, hint := line["hint"]
		if line["reason"] != tt.reason || line["input"] != tt.input || hint != strings.HasSuffix(tt.reason, " instead of a command") || line["id"] == "" {
			t.Errorf("%.60q: got %v", tt.send, line)
		}
		if n := strings.Count(ts.log.String(), "\n"); n != 1 {
			t.Errorf("%.60q: %d lines", tt.send, n)
		}
	}
}

// TestReloadLine checks that the log has who asked for a RELOAD and which engines got it.
func TestReloadLine(t *testing.T) {
	loads := &reloader{Backend: eicarEngine()}
	ts := newServer(t, nil, testEngine{name: "loads", backend: loads}, testEngine{name: "fixed", backend: eicarEngine()})
	for range 3 {
		if got := ts.ask("zRELOAD\x00"); got != "RELOADING\x00" {
			t.Errorf("got %q", got)
		}
	}
	lines := ts.logLines("reload command")
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1", len(lines))
	}
	line := lines[0]
	if fmt.Sprint(line["engines"], line["cannot_reload"]) != "[loads] [fixed]" || line["level"] != "info" || !strings.HasPrefix(line["client"].(string), "unix:uid=") {
		t.Errorf("got %v", line)
	}
}

// TestNotScannedCounters checks that each object that no engine received is counted by its
// reason.
func TestNotScannedCounters(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.ScanPaths = []string{t.TempDir()} }, eicarOnly())
	ts.ask("zINSTREAM\x00\x7f\xff\xff\xff")
	ts.ask("zSCAN /etc/hosts\x00")
	ts.ask("zSCAN " + filepath.Join(ts.cfg.ScanPaths[0], "missing") + "\x00")
	ts.ask("zFILDES\x00x")
	nc := ts.dial()
	nc.Write([]byte("zINSTREAM\x00\x00\x00\x00\x05ab"))
	nc.Close()
	ts.logLine("not scanned")
	testkit.Eventually(t, "the last line", func() bool { return len(ts.logLines("not scanned")) == 5 })
	want := extended.Refusals{NotScannedLimit: 1, NotScannedPath: 2, NotScannedOther: 1, NotScannedGone: 1}
	if got := ts.server().Refusals; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestDeniedFile checks what the log says about files that polyclamd may not read: one line
// with the remedy for all that are in one directory. Root may read everything, so the modes
// are not to blame here; see [files.Pool.Denied] for the others.
func TestDeniedFile(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	dir := t.TempDir()
	for _, name := range []string{"a\n", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	nc, _ := net.Pipe()
	s := &session{srv: ts.Server, nc: nc, peer: peer{key: client.User(1)}, task: &task{}, address: "unix:" + ts.addr}
	r := s.request(protocol.Command{Verb: protocol.VerbScan}, 0)
	defer r.end()
	w := walk{r: r, ctx: t.Context()}
	w.reply.r, w.reply.atEnd = r, true
	for _, name := range []string{"a\n", "b", "c"} {
		w.fail(filepath.Join(dir, name), &files.OpenError{Err: unix.EACCES})
	}
	w.fail(filepath.Join(dir, "gone", "x"), &files.LookupError{Err: unix.EACCES}) // has changed in the meantime: no advice
	line := ts.logLine("polyclamd may not read a client's file")
	hint, _ := line["hint"].(string)
	runsAs, _ := line["runs_as"].(string)
	if line["level"] != "warn" || line["object"] != filepath.Join(dir, `a\x0a`) || !strings.HasPrefix(runsAs, access.UserName(os.Geteuid())+" (groups ") || !strings.Contains(hint, "AppArmor") {
		t.Errorf("got %v", line)
	}
	if n := len(ts.logLines("not scanned")); n != 4 {
		t.Errorf("%d objects in the log, want 4", n)
	}
	ts.wg.Wait()
	if n := len(ts.logLines("polyclamd may not read a client's file")); n != 1 {
		t.Errorf("%d lines with advice, want 1", n)
	}
	if got := ts.tally.refusals().NotScannedDenied; got != 4 {
		t.Errorf("%d counted, want 4", got)
	}
}
