package proxy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/proxy/budget"
	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// TestWalkDescriptors runs ten MULTISCANs of a deep directory. They use no more descriptors
// than there are for walks, and each is answered.
func TestWalkDescriptors(t *testing.T) {
	var entries []string
	for i := range 8 {
		entries = append(entries, fmt.Sprintf("1/2/3/f%d", i), "x")
	}
	dir := tree(t, entries...)
	release := make(chan struct{})
	ts := newServer(t, func(c *Config) { c.Limits.DirectoryDepth = 3 },
		testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	const walks = 10
	answers := make(chan string, walks)
	for range walks {
		nc := ts.dial()
		fmt.Fprintf(nc, "nMULTISCAN %s\n", dir)
		go func() { answers <- readRecord(t, nc, '\n') }()
	}
	limits := ts.cfg.Limits
	running := limits.WalkDescriptors() / limits.walkNeeds(true)
	// A walk under way has each directory from the one that its client named down to the
	// files, and as many files as it scans. A walk that waits has only the first directory.
	want := running*(limits.DirectoryDepth+1+limits.SessionScans) + walks - running
	testkit.Eventually(t, fmt.Sprintf("%d walks are under way, and the rest wait", running), func() bool {
		return len(ts.running.list()) == running*limits.SessionScans && openBelow(t, dir) == want
	})
	close(release)
	for range walks {
		if got, want := <-answers, dir+": OK"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// openBelow is the number of open files and directories below dir, dir included.
func openBelow(t *testing.T, dir string) (n int) {
	t.Helper()
	paths, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if to, _ := os.Readlink(path); strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

// wantUnused checks that no walk holds or waits for descriptors.
func wantUnused(t *testing.T, s *Server) {
	t.Helper()
	all := s.walking.Ask(client.Key{}, s.generations.config().Limits.WalkDescriptors())
	defer all.Release()
	testkit.Eventually(t, "all descriptors are unused", func() bool {
		select {
		case <-all.Ready():
			return true
		default:
			return false
		}
	})
}

// TestWalkWaits checks that a walk waits for its descriptors, and that it is an error if it
// does not get them in time. A single file needs none.
func TestWalkWaits(t *testing.T) {
	dir := tree(t, "a", "x", "b/c", "x")
	crowded := func(t *testing.T, within time.Duration) (*testServer, *budget.Grant) {
		ts := newServer(t, func(c *Config) { c.Listeners[0].Profile.AnswerWithin = within }, eicarOnly())
		return ts, ts.walking.Ask(client.Key{}, ts.cfg.Limits.WalkDescriptors())
	}
	t.Run("too long", func(t *testing.T) {
		ts, other := crowded(t, 20*time.Millisecond)
		for _, verb := range []string{"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN"} {
			if got, want := ts.ask("n"+verb+" "+dir+"\n"), dir+": Exceeded time limit ERROR\n"; got != want {
				t.Errorf("%s: got %q, want %q", verb, got, want)
			}
		}
		for _, verb := range []string{"XSCAN", "XCONTSCAN"} {
			got := ts.ask("n" + verb + " " + dir + "\n")
			if !strings.HasPrefix(got, dir+": Exceeded time limit ERROR\n") || !strings.Contains(got, "action=tempfail") || !strings.HasSuffix(got, "END\n") {
				t.Errorf("%s: got %q", verb, got)
			}
		}
		if n := strings.Count(ts.log.String(), "raise limits.connections, or limits.client_share"); n != 6 {
			t.Errorf("%d log lines with the keys, want 6:\n%s", n, ts.log)
		}
		other.Release()
		wantUnused(t, ts.Server)
	})
	t.Run("until others end", func(t *testing.T) {
		ts, other := crowded(t, patience)
		if got, want := ts.ask("nSCAN "+dir+"/a\n"), dir+"/a: OK\n"; got != want {
			t.Errorf("a file: got %q, want %q", got, want)
		}
		gone, stays := ts.dial(), ts.dial()
		fmt.Fprintf(gone, "nCONTSCAN %s\n", dir)
		fmt.Fprintf(stays, "zIDSESSION\x00zSCAN %s\x00", dir)
		testkit.Eventually(t, "two walks wait", func() bool { return openBelow(t, dir) == 2 })
		gone.Close()
		testkit.Eventually(t, "one walk waits", func() bool { return openBelow(t, dir) == 1 })
		other.Release()
		if got, want := readRecord(t, stays, 0), "1: "+dir+": OK"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		wantUnused(t, ts.Server)
	})
	t.Run("until shutdown", func(t *testing.T) {
		ts, _ := crowded(t, patience)
		nc := ts.dial()
		fmt.Fprintf(nc, "nMULTISCAN %s\n", dir)
		testkit.Eventually(t, "one walk waits", func() bool { return openBelow(t, dir) == 1 })
		over, cancel := context.WithCancel(t.Context())
		cancel()
		ts.Shutdown(over)
		if got, want := readAll(t, nc), dir+": Scan interrupted ERROR\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
