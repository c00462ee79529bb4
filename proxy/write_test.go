package proxy

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// TestSessionNotRead checks that a client of an IDSESSION that sends but does not read is cut
// off. clamd's own test of this waits for a broken pipe.
func TestSessionNotRead(t *testing.T) {
	flood := func(t *testing.T, nc *net.UnixConn, command string, files ...int) {
		t.Helper()
		for range 100_000 {
			if _, _, err := nc.WriteMsgUnix([]byte(command), syscall.UnixRights(files...), nil); err != nil {
				if !strings.Contains(err.Error(), "broken pipe") && !strings.Contains(err.Error(), "reset") {
					t.Fatalf("the session is not closed: %v", err)
				}
				return
			}
		}
		t.Fatal("the session accepts everything")
	}
	tests := []struct {
		name, command, reason string
		timeout               time.Duration
		files                 bool
	}{
		{name: "scans", command: "zFILDES\x00\x00", files: true, timeout: patience, reason: "sends more commands"},
		{name: "quick commands", command: "zVERSIONCOMMANDS\x00", timeout: patience, reason: "sends more commands"},
		{name: "write_timeout", command: "zVERSIONCOMMANDS\x00", timeout: 50 * time.Millisecond, reason: "limits.write_timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, func(c *Config) { c.Limits.WriteTimeout = tt.timeout }, eicarOnly())
			f, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var files []int
			if tt.files {
				files = []int{int(f.Fd())}
			}
			nc := ts.dial()
			io.WriteString(nc, "zIDSESSION\x00")
			flood(t, nc, tt.command, files...)
			testkit.Eventually(t, "the session ends", func() bool {
				ts.mu.Lock()
				defer ts.mu.Unlock()
				return len(ts.sessions) == 0
			})
			if log := ts.log.String(); strings.Count(log, `"session closed"`) != 1 || !strings.Contains(log, tt.reason) {
				t.Errorf("log: %.2000s", log)
			}
			if got := ts.ask("zPING\x00"); got != "PONG\x00" {
				t.Errorf("the next client got %q", got)
			}
		})
	}
}

// TestSessionCutOffEndsScans checks that a session that is cut off cancels its scans and
// begins no others.
func TestSessionCutOffEndsScans(t *testing.T) {
	var begun, ended atomic.Int32
	hang := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		begun.Add(1)
		defer ended.Add(1)
		<-ctx.Done()
		return backends.Result{}, context.Cause(ctx)
	})
	ts := newServer(t, func(c *Config) { c.Limits.WriteTimeout = 50 * time.Millisecond; c.Limits.SessionScans = 2 },
		testEngine{name: "slow", backend: hang})
	nc := ts.dial()
	io.WriteString(nc, "zIDSESSION\x00zINSTREAM\x00"+stream("a", 1)+"zINSTREAM\x00"+stream("b", 1))
	testkit.Eventually(t, "two scans begin", func() bool { return begun.Load() == 2 })
	// The third waits for a slot. It has been received already, like those after it.
	go io.WriteString(nc, strings.Repeat("zVERSIONCOMMANDS\x00", 5000))
	testkit.Eventually(t, "the scans are cancelled", func() bool { return ended.Load() == 2 })
	testkit.Eventually(t, "the session ends", func() bool { return len(ts.running.list()) == 0 })
	if n := begun.Load(); n != 2 {
		t.Errorf("%d scans, want 2", n)
	}
}

// TestSessionReadSlowly checks that a client that reads slowly has all of write_timeout. It
// is not in a deadlock, because we have read everything it sent.
func TestSessionReadSlowly(t *testing.T) {
	const n = 1000
	ts := newServer(t, func(c *Config) { c.Limits.SessionScans = n }, testEngine{name: "a", backend: backendtest.Says(backends.Clean(0))})
	nc := ts.dial()
	io.WriteString(nc, "zIDSESSION\x00")
	for range n {
		io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1))
	}
	nc.CloseWrite()
	time.Sleep(deadlockTime + 3*deadlockCheck)
	if got := strings.Count(readAll(t, nc), ": stream: OK\x00"); got != n {
		t.Errorf("%d replies, want %d", got, n)
	}
}
