package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/record"
	"polyclam/test/testkit"
)

// tagged returns "TAG OBJECT" for each record, sorted, when there are n.
func (ts *testServer) tagged(n int) []string {
	ts.t.Helper()
	var out []string
	testkit.Eventually(ts.t, fmt.Sprintf("%d records", n), func() bool {
		out = nil
		for _, s := range ts.recorded() {
			out = append(out, s.Tag+" "+s.Object)
		}
		slices.Sort(out)
		return len(out) >= n
	})
	return out
}

// recorded returns the records of all lines of the log about objects, in their order.
func (ts *testServer) recorded() (all []*record.Scan) {
	seen := map[string]bool{}
	for line := range strings.Lines(ts.log.String()) {
		var fields struct{ ID string }
		if json.Unmarshal([]byte(line), &fields) != nil || fields.ID == "" || seen[fields.ID] {
			continue
		}
		seen[fields.ID] = true
		found := ts.Records().Find(fields.ID, 100)
		slices.Reverse(found)
		all = append(all, found...)
	}
	return all
}

const scanX = "zINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00"

// TestTag checks which id each scan has, and what the client gets.
func TestTag(t *testing.T) {
	long := strings.Repeat("x", 128)
	ids := "zIDSESSION\x00"
	for _, tt := range []struct {
		name, send, reply string
		want              []string
	}{
		{"z", "zXTAG q1\x00" + scanX, "stream: OK\x00", []string{"q1 stream"}},
		{"n", "nXTAG q1\r\n" + scanX, "stream: OK\x00", []string{"q1 stream"}},
		{"then bare", "zXTAG q1\x00SCAN /missing\n", "/missing: File path check failure: No such file or directory. ERROR\n", []string{"q1 /missing"}},
		{"the last one counts", "zXTAG q1\x00zXTAG " + long + "\x00" + scanX, "stream: OK\x00", []string{long + " stream"}},
		{"not a scan", "zXTAG q1\x00zPING\x00", "PONG\x00", nil},
		{"only one command follows", "zXTAG q1\x00zPING\x00" + scanX, "PONG\x00", nil},
		{"nothing follows", "zXTAG q1\x00", "", nil},
		{"half a command follows", "zXTAG q1\x00zINST", "", nil},
		{"a line break", "zXTAG q\n1\x00" + scanX, "UNKNOWN COMMAND\x00", nil},
		{"a space", "nXTAG q 1\n" + scanX, "UNKNOWN COMMAND\n", nil},
		{"a NUL", "nXTAG q1\x00x\n" + scanX, "stream: OK\x00", []string{"q1 stream"}}, // clamd's rule: it ends the line
		{"an escape", "zXTAG \x1b[2J\x00" + scanX, "UNKNOWN COMMAND\x00", nil},
		{"too long", "zXTAG " + long + "x\x00" + scanX, "UNKNOWN COMMAND\x00", nil},
		{"empty", "zXTAG \x00" + scanX, "UNKNOWN COMMAND\x00", nil},
		{"without an id", "zXTAG\x00" + scanX, "UNKNOWN COMMAND\x00", nil},
		{"without a prefix", "XTAG q1\n", "UNKNOWN COMMAND\n", nil},
		{"good, then bad", "zXTAG q1\x00zXTAG \x01\x00" + scanX, "UNKNOWN COMMAND\x00", nil},
		{"before a session", "zXTAG q1\x00" + ids + scanX + "zEND\x00", "1: stream: OK\x00", []string{"q1 stream"}},
		{"not numbered", ids + "zXTAG q1\x00zPING\x00zXTAG q2\x00nPING\n", "1: PONG\x002: PONG\n", nil},
		{"refused in a session", ids + "zXTAG q1\x00zPING\x00zXTAG q 2\x00" + scanX, "1: PONG\x002: Command invalid inside IDSESSION. ERROR\x00", nil},
		{"bare in a session", ids + "nXTAG q1\nXTAG q2\n", "1: Only nCMDS\\n and zCMDS\\0 are accepted inside IDSESSION. ERROR\n1: Error processing command. ERROR\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, nil, eicarOnly())
			nc := ts.dial()
			io.WriteString(nc, tt.send)
			nc.CloseWrite()
			if got := readAll(t, nc); got != tt.reply {
				t.Errorf("got %q, want %q", got, tt.reply)
			}
			ts.ask(scanX) // another connection
			want := append(slices.Clone(tt.want), " stream")
			slices.Sort(want)
			if got := ts.tagged(len(want)); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if tt.name == "good, then bad" && strings.Contains(ts.log.String(), `"tag":`) {
				t.Errorf("the refused command has the id before it: %s", ts.log.String())
			}
			if strings.Count(ts.log.String(), `"tag":"q1"`) < len(tt.want) && strings.Contains(tt.send, "q1\x00"+scanX) {
				t.Errorf("no id in the log: %s", ts.log.String())
			}
		})
	}
}

// TestTagInSession checks that each scan of a session keeps the id that was valid when it
// came, although later ids come and later scans end first.
func TestTagInSession(t *testing.T) {
	release := make(chan struct{})
	slow := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		if o.Size() == 4 {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return backends.Found(1, fmt.Sprintf("Size-%d-%s", o.Size(), backends.Tag(ctx))), nil
	})
	ts := newServer(t, nil, testEngine{name: "slow", backend: slow})
	nc := ts.dial()
	io.WriteString(nc, "zIDSESSION\x00zINSTREAM\x00"+stream("1", 1)+"zXTAG q1\x00zINSTREAM\x00"+stream("4444", 4)+
		"nXTAG q2\nzINSTREAM\x00"+stream("22", 4)+"zINSTREAM\x00"+stream("333", 4))
	for range 3 {
		readRecord(t, nc, 0)
	}
	close(release)
	io.WriteString(nc, "zEND\x00")
	readAll(t, nc)
	var got []string
	testkit.Eventually(t, "the records", func() bool {
		got = nil
		for _, s := range ts.Records().NotOK(10) {
			got = append(got, s.Tag+" "+strings.Join(s.Names, " "))
		}
		slices.Sort(got)
		return len(got) == 4
	})
	want := []string{" Size-1-", "q1 Size-4-q1", "q2 Size-2-q2", "q2 Size-3-q2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTagWithDescriptor checks that an id, FILDES and its descriptor may come in one packet.
func TestTagWithDescriptor(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, testfile.EICAR(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, session := range []string{"", "zIDSESSION\x00"} {
		nc := ts.dial()
		if _, _, err := nc.WriteMsgUnix([]byte(session+"zXTAG q1\x00zFILDES\x00\x00"), syscall.UnixRights(int(f.Fd())), nil); err != nil {
			t.Fatal(err)
		}
		nc.CloseWrite()
		if got := readAll(t, nc); !strings.HasSuffix(got, ": Eicar-Test-Signature FOUND\x00") {
			t.Errorf("%q: got %q", session, got)
		}
	}
	testkit.Eventually(t, "both records", func() bool { return len(ts.Records().Find("q1", 10)) == 2 })
}

// TestTagIsSlow checks that a client that sends ids without end has no more time for its
// command than others.
func TestTagIsSlow(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Limits.CommandReadTimeout = 200 * time.Millisecond }, eicarOnly())
	nc := ts.dial()
	go func() {
		for {
			if _, err := io.WriteString(nc, "zXTAG q1\x00"); err != nil {
				return
			}
		}
	}()
	if got := readRecord(t, nc, '\n'); got != "COMMAND READ TIMED OUT" {
		t.Errorf("got %q", got)
	}
	nc.Close()
}

// TestTagsDoNotMix scans on many connections with ids and without.
func TestTagsDoNotMix(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "tags", backend: backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		b := make([]byte, o.Size())
		o.ReadAt(b, 0)
		if tag := backends.Tag(ctx); tag != strings.TrimPrefix(string(b), "-") {
			return backends.Found(1, "Wrong."+tag), nil
		}
		return backends.Clean(0), nil
	})})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			id, send := "-", ""
			if i%3 > 0 {
				id = fmt.Sprintf("q%d", i)
				send = "zXTAG " + id + "\x00"
			}
			nc, err := net.Dial("unix", ts.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			io.WriteString(nc, send+"zINSTREAM\x00"+stream(id, 9))
			if got, _ := io.ReadAll(nc); string(got) != "stream: OK\x00" {
				t.Errorf("%s: got %q", id, got)
			}
		})
	}
	wg.Wait()
}
