package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/proxy/client"
)

// walkPlaces are those of walks under l.
func walkPlaces(l Limits) *objects {
	return &objects{limits: func() Limits { return l }, total: Limits.WalkDescriptors}
}

func (w *objectWaiter) isServed() bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// Fifty walks of several clients at the same time, a third of which give up, never have
// more than there is, and all of them end.
func TestWalksTogether(t *testing.T) {
	for _, share := range []int{0, 10, 75, 100} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			l := Limits{Connections: 10, SessionScans: 16, DirectoryDepth: 15, ClientShare: share}
			total := int64(l.WalkDescriptors())
			o := walkPlaces(l)
			var mu sync.Mutex
			var held, served, most int64
			var all sync.WaitGroup
			for i := range 50 {
				key, n := client.User(uint32(i%5)), l.walkNeeds(i%2 == 0)
				all.Go(func() {
					for range 100 {
						w := o.ask(key, n)
						ctx, cancel := context.WithCancel(t.Context())
						if i%3 == 0 {
							cancel()
						}
						select {
						case <-w.ready:
							mu.Lock()
							served++
							held += int64(n)
							most = max(most, held)
							mu.Unlock()
							for range rand.IntN(5) {
								runtime.Gosched()
							}
							mu.Lock()
							held -= int64(n)
							mu.Unlock()
						case <-ctx.Done():
						}
						o.drop(w)
						cancel()
					}
				})
			}
			all.Wait()
			if o.held.Sum() != 0 || lineOf(o) != 0 || len(o.queues) != 0 {
				t.Errorf("%d descriptors and %d waiters are left", o.held.Sum(), lineOf(o))
			}
			if served < 33*100 || most < int64(l.walkNeeds(true)) || most > total {
				t.Errorf("%d were served, with %d descriptors of %d at most", served, most, total)
			}
		})
	}
}

func TestWalksInTurn(t *testing.T) {
	a, b, c := client.User(1), client.User(2), client.User(3)
	const large, small = 33, 17
	for _, test := range []struct {
		name   string
		before []*objectWaiter // hold something when those in line come
		line   []*objectWaiter
		served []int // of line, once all of before are dropped
		early  []int // of line, before that
	}{
		{"one client leaves enough for another", []*objectWaiter{{key: a, n: large}, {key: a, n: large}, {key: a, n: large}},
			[]*objectWaiter{{key: a, n: small}, {key: b, n: large}}, []int{0}, []int{1}},
		{"what is smaller does not overtake one that has nothing", []*objectWaiter{{key: a, n: 99}, {key: b, n: small}},
			[]*objectWaiter{{key: c, n: large}, {key: client.User(4), n: 1}}, []int{0, 1}, nil},
		{"one of each client", []*objectWaiter{{key: a, n: 132}},
			[]*objectWaiter{{key: a, n: 90}, {key: a, n: 90}, {key: b, n: large}}, []int{0, 2}, nil},
		{"more than there is, after a reload", []*objectWaiter{{key: a, n: 132}},
			[]*objectWaiter{{key: b, n: 500}}, []int{0}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := walkPlaces(Limits{Connections: 10, SessionScans: 16, DirectoryDepth: 15, ClientShare: 75})
			var before, line []*objectWaiter
			for _, w := range test.before {
				w = o.ask(w.key, int(w.n))
				if !w.isServed() {
					t.Fatalf("no room for %d of %v", w.n, w.key)
				}
				before = append(before, w)
			}
			for _, w := range test.line {
				line = append(line, o.ask(w.key, int(w.n)))
			}
			served := func() (which []int) {
				for i, w := range line {
					if w.isServed() {
						which = append(which, i)
					}
				}
				return which
			}
			if got := served(); fmt.Sprint(got) != fmt.Sprint(test.early) {
				t.Errorf("%v are served at first, want %v", got, test.early)
			}
			for _, w := range before {
				o.drop(w)
			}
			want := append(test.early, test.served...)
			slices.Sort(want)
			if got := served(); !slices.Equal(got, want) {
				t.Errorf("%v are served in the end, want %v", got, want)
			}
		})
	}
}

// The one in front of the line leaves it: those that fit in then are served.
func TestWalkLeavesTheLine(t *testing.T) {
	o := walkPlaces(Limits{Connections: 10, SessionScans: 16, DirectoryDepth: 15, ClientShare: 75})
	o.ask(client.User(1), 120)
	large, small := o.ask(client.User(2), 33), o.ask(client.User(3), 5)
	if large.isServed() || small.isServed() {
		t.Fatal("served at first")
	}
	o.drop(large)
	if !small.isServed() {
		t.Error("what fits in is not served")
	}
}

// Ten MULTISCANs of a deep directory have no more descriptors than there are for walks,
// and each is answered.
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
	eventually(t, "walks under way, and the rest in line", func() bool {
		return len(ts.running.list()) == running*limits.SessionScans && lineOf(&ts.walking) == walks-running
	})
	open := 0
	paths, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if to, _ := os.Readlink(path); strings.HasPrefix(to, dir) {
			open++
		}
	}
	// The directory that is named is the object of its connection.
	if most := limits.WalkDescriptors() + walks; open > most || open < running*(limits.DirectoryDepth+limits.SessionScans) {
		t.Errorf("%d descriptors, want %d at most", open, most)
	}
	close(release)
	for range walks {
		if got, want := <-answers, dir+": OK"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A walk that gets no descriptors in time is an error with the reason; a single file
// needs none.
func TestWalkWaits(t *testing.T) {
	dir := tree(t, "a", "x", "b/c", "x")
	crowded := func(t *testing.T, within time.Duration) (*testServer, *objectWaiter) {
		ts := newServer(t, func(c *Config) { c.Listeners[0].Profile.AnswerWithin = within }, eicarOnly())
		return ts, ts.walking.ask(client.Key{}, ts.cfg.Limits.WalkDescriptors())
	}
	t.Run("in vain", func(t *testing.T) {
		ts, _ := crowded(t, 20*time.Millisecond)
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
			t.Errorf("%d lines in the log with the keys, want 6:\n%s", n, ts.log)
		}
		if lineOf(&ts.walking) != 0 {
			t.Error("some are left in line")
		}
	})
	t.Run("until there is room", func(t *testing.T) {
		ts, other := crowded(t, patience)
		if got, want := ts.ask("nSCAN "+dir+"/a\n"), dir+"/a: OK\n"; got != want {
			t.Errorf("a file meanwhile: got %q, want %q", got, want)
		}
		gone, stays := ts.dial(), ts.dial()
		fmt.Fprintf(gone, "nCONTSCAN %s\n", dir)
		fmt.Fprintf(stays, "zIDSESSION\x00zSCAN %s\x00", dir)
		eventually(t, "two in line", func() bool { return lineOf(&ts.walking) == 2 })
		gone.Close()
		eventually(t, "one in line", func() bool { return lineOf(&ts.walking) == 1 })
		ts.walking.drop(other)
		if got, want := readRecord(t, stays, 0), "1: "+dir+": OK"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		eventually(t, "nothing held", func() bool {
			ts.walking.mu.Lock()
			defer ts.walking.mu.Unlock()
			return ts.walking.held.Sum() == 0
		})
	})
	t.Run("until the end of the daemon", func(t *testing.T) {
		ts, _ := crowded(t, patience)
		nc := ts.dial()
		fmt.Fprintf(nc, "nMULTISCAN %s\n", dir)
		eventually(t, "one in line", func() bool { return lineOf(&ts.walking) == 1 })
		over, cancel := context.WithCancel(t.Context())
		cancel()
		ts.Shutdown(over)
		if got, want := readAll(t, nc), dir+": Scan interrupted ERROR\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
