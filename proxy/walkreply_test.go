package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
)

// askInBubble sends one packet to a server of its own in the bubble of a synctest,
// over a pipe, and returns everything up to the end.
func askInBubble(t *testing.T, cfg *Config, send string) string {
	t.Helper()
	sp, err := spool.New(spool.Config{Memory: 64 << 10, Total: 64 << 20, Store: spool.Memfd, PathMode: 0o600, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	s := NewServer(ServerOptions{Config: cfg, Spool: sp, Log: zerolog.Nop()})
	defer s.Shutdown(t.Context())
	client, server := net.Pipe()
	defer client.Close()
	s.waitForRoom()
	s.start(server, cfg.Listeners[0].Address)
	if _, err := io.WriteString(client, send); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(client)
	if err != nil {
		t.Errorf("after %q: %v", reply, err)
	}
	return string(reply)
}

// What a walk does not come to before its deadline is an error in the reply,
// whatever the policy says of scans that are interrupted. Of four files the first
// is scanned in time, the second is cut off, and two are not reached.
func TestDeadlineInDirectory(t *testing.T) {
	eicar := string(backendtest.EICAR())
	for _, test := range []struct {
		name, verb, client string
		interrupted        action
		want               string // D is the directory, F the file that is cut off
	}{
		{"SCAN", "SCAN", "generic", "tempfail", "F: fake scan failed ERROR\nD: Exceeded time limit ERROR\n"},
		{"SCAN, interrupted is ok", "SCAN", "generic", "ok", "D: Exceeded time limit ERROR\n"},
		{"SCAN for MIMEDefang", "SCAN", "mimedefang", "ok", "D: Exceeded time limit ERROR\n"},
		{"SCAN for rspamd", "SCAN", "rspamd", "ok", "D: Heuristics.Limits.Exceeded.ScanFailed FOUND\n"},
		{"SCAN, interrupted is quarantined", "SCAN", "generic", "quarantine", "F: Heuristics.Scan.Failed FOUND\n"},
		{"CONTSCAN has a deadline for each file", "CONTSCAN", "generic", "tempfail", "D: OK\n"},
		{"SCAN for an HTTP gateway", "SCAN", "http-gateway", "ok", "D: Heuristics.Scan.Failed FOUND\n"},
		{"XSCAN, interrupted is ok", "XSCAN", "generic", "ok", "D: Exceeded time limit ERROR\n" +
			`D: engine=fake category=interrupted action=ok code=999 elapsed=0.000 msg="not asked: answer_within, 10s for the whole directory, was over before this and what follows it" ENGINE` + "\n" +
			"D: category=interrupted action=tempfail code=999 engine=fake engines=1 failed=1 version=1 SUMMARY\nEND\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := tree(t, "a", eicar, "b", eicar, "c", eicar, "d", eicar)
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig("unix:/s", []engine{{name: "fake", backend: &backendtest.Fake{Result: backends.Clean(0), Delay: 6 * time.Second}}})
				l := &cfg.Listeners[0]
				l.Profile, _ = status.Lookup(test.client)
				l.Profile.AnswerWithin = 10 * time.Second
				l.Policy = l.Policy.WithActions(map[backends.Category]action{backends.Interrupted: test.interrupted})
				got := askInBubble(t, cfg, "n"+test.verb+" "+dir+"\n")
				if i := strings.Index(got, dir+": Exceeded"); test.verb == "XSCAN" && i > 0 {
					got = got[i:] // behind the two that were looked at
				}
				want := test.want
				if strings.HasPrefix(want, "F") {
					want = got[:len(dir)+2] + want[1:]
				}
				if want = strings.ReplaceAll(want, "D: ", dir+": "); got != want {
					t.Errorf("got\n%swant\n%s", got, want)
				}
			})
		})
	}
}

// Where everything was looked at before the time was up, nothing is added.
func TestDeadlineAfterDirectory(t *testing.T) {
	dir := tree(t, "a", "x", "b/", "")
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig("unix:/s", []engine{{name: "fake", backend: backends.Func(func(ctx context.Context, _ backends.Content) (backends.Result, error) {
			<-ctx.Done()
			return backends.Clean(0), nil
		})}})
		cfg.Listeners[0].Profile.AnswerWithin = time.Second
		if got, want := askInBubble(t, cfg, "nSCAN "+dir+"/a\n"), dir+"/a: OK\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A walk that the end of the daemon cuts off says so before the connection ends.
func TestShutdownInDirectory(t *testing.T) {
	for _, test := range []struct {
		send, before, end string
		interrupted       action
	}{
		{"nCONTSCAN %s\n", "", ": Scan interrupted ERROR\n", "tempfail"},
		{"nCONTSCAN %s\n", "", ": Heuristics.Scan.Failed FOUND\n", "quarantine"},
		{"nMULTISCAN %s\n", "", ": Scan interrupted ERROR\n", "tempfail"},
		{"nSCAN %s\n", "", ": Scan interrupted ERROR\n", "ok"},
		{"zIDSESSION\x00zSCAN %s\x00", "1: ", ": Scan interrupted ERROR\x00", "tempfail"},
		{"nXCONTSCAN %s\n", "", ": category=interrupted action=tempfail code=999 engine=fake engines=1 failed=1 version=1 SUMMARY\nEND\n", "tempfail"},
	} {
		t.Run(strings.Trim(test.send, "\n\x00"), func(t *testing.T) {
			dir := tree(t, "a", "x", "b", "x", "c", "x", "d", "x", "e", "x", "f", "x")
			ts := newServer(t, func(c *Config) {
				l := &c.Listeners[0]
				l.Policy = l.Policy.WithActions(map[backends.Category]action{backends.Interrupted: test.interrupted})
			}, engine{name: "fake", backend: &backendtest.Fake{Hang: true}})
			nc := ts.dial()
			fmt.Fprintf(nc, test.send, dir)
			eventually(t, "scan", func() bool { return len(ts.running.list()) > 0 })
			over, cancel := context.WithCancel(t.Context())
			cancel()
			ts.Shutdown(over)
			got := readAll(t, nc)
			if !strings.HasSuffix(got, test.before+dir+test.end) || test.interrupted != "ok" && strings.Contains(got, ": OK") {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// The reply does not wait for the lines of the log, and no line is lost.
func TestWalkLog(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := newWalkLog(ctx, func() { recover() })
	blocked, written := make(chan struct{}), make(chan int, 100)
	l.add(func() { <-blocked; written <- 0; panic("in a line") })
	for i := range maxWalkLog {
		l.add(func() { written <- 1 + i })
	}
	cancel() // from now on nothing waits
	for i := range 50 {
		l.add(func() { written <- 1 + maxWalkLog + i })
	}
	close(blocked)
	l.finish()
	if len(written) != 51+maxWalkLog {
		t.Errorf("%d lines, want %d", len(written), 51+maxWalkLog)
	}
	ts := newServer(t, nil, eicarOnly())
	dir := tree(t, "a", "x", "b", "x", "c/d", "x")
	ts.ask("nCONTSCAN " + dir + "\n")
	eventually(t, "a line for each file", func() bool { return strings.Count(ts.log.String(), `"scanned"`) == 3 })
}

// A directory that can be opened but not read to its end is never OK.
func TestDirectoryUnreadable(t *testing.T) {
	dir := tree(t, "a", "x")
	ts := newServer(t, nil, eicarOnly())
	unreadable, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	ts.waitForRoom()
	defer ts.leave()
	s := &session{srv: ts.Server, nc: server, address: ts.cfg.Listeners[0].Address, conn: protocol.NewConn(server)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		w := &walk{r: s.request(protocol.Command{Verb: protocol.VerbScan, Arg: dir, Term: '\n'}, 0), ctx: t.Context(), collect: true}
		w.directory(unreadable, dir, 0)
		w.finish(dir)
	}()
	got, want := readAll(t, client), dir+": File path check failure: Bad file descriptor. ERROR\n"
	<-done
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// halfRead is a directory whose disk fails after the first names.
type halfRead struct {
	*os.File
	read bool
}

func (d *halfRead) Readdirnames(int) ([]string, error) {
	if d.read {
		return nil, &os.PathError{Op: "readdirent", Path: d.Name(), Err: unix.EIO}
	}
	d.read = true
	return d.File.Readdirnames(1)
}

func TestReadDirectoryHalf(t *testing.T) {
	f, err := os.Open(tree(t, "a", "x", "b", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entries, err := readDirectory(&halfRead{File: f})
	if len(entries) != 1 || err == nil || pathError(err, nil) != "File path check failure: Input/output error. ERROR" {
		t.Errorf("got %d entries and %v, want one and an I/O error", len(entries), err)
	}
	if name := filepath.Base(entries[0].name); name != "a" && name != "b" {
		t.Errorf("got the entry %q", name)
	}
}
