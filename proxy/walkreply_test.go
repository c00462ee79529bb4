package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
	"polyclam/test/fusetest"
	"polyclam/test/testkit"
)

// askInBubble sends one packet to a new server in the bubble of a synctest, over a pipe, and
// returns everything until the connection ends.
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
	s.reservePlace(false)
	s.start(server, cfg.Listeners[0].Address, false)
	if _, err := io.WriteString(client, send); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(client)
	if err != nil {
		t.Errorf("after %q: %v", reply, err)
	}
	return string(reply)
}

// TestDeadlineInDirectory checks that files that a walk does not reach before its deadline
// are an error, whatever the policy says about interrupted scans. Of four files the first is
// scanned in time, the second is cut off, and two are not reached.
func TestDeadlineInDirectory(t *testing.T) {
	eicar := string(testfile.EICAR())
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
				cfg := testConfig("unix:/s", []testEngine{{name: "fake", backend: &backendtest.Fake{Result: backends.Clean(0), Delay: 6 * time.Second}}})
				l := &cfg.Listeners[0]
				l.Profile, _ = status.Lookup(test.client)
				l.Profile.AnswerWithin = 10 * time.Second
				l.Policy = l.Policy.WithActions(map[backends.Category]action{backends.Interrupted: test.interrupted})
				got := askInBubble(t, cfg, "n"+test.verb+" "+dir+"\n")
				if i := strings.Index(got, dir+": Exceeded"); test.verb == "XSCAN" && i > 0 {
					got = got[i:] // after the two that were scanned
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

// TestDeadlineAfterDirectory checks that nothing is added if everything was scanned when the
// time was over.
func TestDeadlineAfterDirectory(t *testing.T) {
	dir := tree(t, "a", "x", "b/", "")
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig("unix:/s", []testEngine{{name: "fake", backend: backends.Func(func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Clean(0), nil
		})}})
		cfg.Listeners[0].Profile.AnswerWithin = time.Second
		if got, want := askInBubble(t, cfg, "nSCAN "+dir+"/a\n"), dir+"/a: OK\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestShutdownInDirectory checks that a walk that Shutdown cuts off says so before the
// connection ends.
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
			}, testEngine{name: "fake", backend: &backendtest.Fake{Hang: true}})
			nc := ts.dial()
			fmt.Fprintf(nc, test.send, dir)
			testkit.Eventually(t, "a scan begins", func() bool { return len(ts.running.list()) > 0 })
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

// TestWalkLog checks that each file of a walk has a log line.
func TestWalkLog(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	dir := tree(t, "a", "x", "b", "x", "c/d", "x")
	ts.ask("nCONTSCAN " + dir + "\n")
	testkit.Eventually(t, "a log line for each file", func() bool { return strings.Count(ts.log.String(), `"scanned"`) == 3 })
}

// TestDirectoryUnreadable checks that a directory that can be opened but not read is not OK.
func TestDirectoryUnreadable(t *testing.T) {
	fs := fusetest.Mount(t, fusetest.File{Name: "a", Data: []byte("x")})
	fs.Fail(fusetest.Readdir, unix.EIO)
	ts := newServer(t, nil, eicarOnly())
	for _, verb := range []string{"SCAN", "CONTSCAN", "MULTISCAN"} {
		got, want := ts.ask("n"+verb+" "+fs.Dir+"\n"), fs.Dir+": File path check failure: Input/output error. ERROR\n"
		if got != want {
			t.Errorf("%s: got %q, want %q", verb, got, want)
		}
	}
}
