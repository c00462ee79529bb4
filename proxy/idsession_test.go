package proxy

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

func TestSessionDialogues(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	eicar := string(testfile.EICAR())
	tests := []struct {
		name, send string
		want       []string // records in any order, with their terminators
	}{
		{"ping", "zPING\x00", []string{"1: PONG\x00"}},
		{"mixed framings", "zPING\x00nPING\nzVERSION\x00", []string{"1: PONG\x00", "2: PONG\n", "3: " + fallbackVersion + "\x00"}},
		{"streams", "nINSTREAM\n" + stream("a", 1) + "zINSTREAM\x00" + stream(eicar, 9) + "zEND\x00",
			[]string{"1: stream: OK\n", "2: stream: Eicar-Test-Signature FOUND\x00"}},
		{"unknown", "zNONSENSE\x00", []string{"1: Command invalid inside IDSESSION. ERROR\x00"}},
		{"not in a session", "zPING\x00zCONTSCAN /\x00", []string{"1: PONG\x00", "2: Command invalid inside IDSESSION. ERROR\x00"}},
		{"bare", "zPING\x00PING\n", []string{"1: PONG\x00", "2: Only nCMDS\\n and zCMDS\\0 are accepted inside IDSESSION. ERROR\x00",
			"2: Error processing command. ERROR\x00"}},
		{"over the limit", "nINSTREAM\n" + stream("a", 1) + "nINSTREAM\n\xff\xff\xff\xff",
			[]string{"1: stream: OK\n", "2: INSTREAM size limit exceeded. ERROR\n"}},
		{"reload", "zSELFCHECK\x00", []string{"1: Command invalid inside IDSESSION. ERROR\x00"}},
		{"nothing", "", nil},
		{"end", "zEND\x00", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nc := ts.dial()
			io.WriteString(nc, "zIDSESSION\x00"+tt.send)
			nc.CloseWrite()
			got := readAll(t, nc)
			for _, w := range tt.want {
				if !strings.Contains(got, w) {
					t.Errorf("%q is missing in %q", w, got)
				}
				got = strings.Replace(got, w, "", 1)
			}
			if got != "" {
				t.Errorf("unexpected: %q", got)
			}
		})
	}
}

// TestSessionIsAsynchronous checks that a slow scan does not delay the commands after it, and
// that its reply has its own number.
func TestSessionIsAsynchronous(t *testing.T) {
	release := make(chan struct{})
	slow := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		b := make([]byte, 1)
		o.ReadAt(b, 0)
		if b[0] == 's' {
			<-release
			return backends.Found(1, "Slow"), nil
		}
		return backends.Clean(0), nil
	})
	ts := newServer(t, nil, testEngine{name: "slow", backend: slow})
	nc := ts.dial()
	io.WriteString(nc, "nIDSESSION\nnINSTREAM\n"+stream("slow", 4)+"nINSTREAM\n"+stream("quick", 5)+"nPING\n")
	got := []string{readRecord(t, nc, '\n'), readRecord(t, nc, '\n')}
	slices.Sort(got)
	if want := []string{"2: stream: OK", "3: PONG"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	close(release)
	if got := readRecord(t, nc, '\n'); got != "1: stream: Slow FOUND" {
		t.Errorf("got %q", got)
	}
}

// TestSessionPipelining pipelines more commands than an IDSESSION scans concurrently. Each is
// answered.
func TestSessionPipelining(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Limits.SessionScans = 2 }, eicarOnly())
	nc := ts.dial()
	const n = 200
	go func() {
		io.WriteString(nc, "zIDSESSION\x00")
		for range n {
			io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1))
		}
		nc.CloseWrite()
	}()
	seen := map[string]bool{}
	for _, rec := range strings.Split(strings.TrimSuffix(readAll(t, nc), "\x00"), "\x00") {
		seen[rec] = true
	}
	for id := 1; id <= n; id++ {
		if !seen[fmt.Sprintf("%d: stream: OK", id)] {
			t.Errorf("no answer to %d", id)
		}
	}
	if len(seen) != n {
		t.Errorf("%d different answers, want %d", len(seen), n)
	}
}

func TestSessionDescriptors(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	path := t.TempDir() + "/f"
	os.WriteFile(path, testfile.EICAR(), 0o600)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	nc := ts.dial()
	rights := syscall.UnixRights(int(f.Fd()))
	for i := range 20 {
		command := "zFILDES\x00\x00"
		if i == 0 {
			command = "zIDSESSION\x00" + command
		}
		if _, _, err := nc.WriteMsgUnix([]byte(command), rights, nil); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(nc, "zEND\x00")
	if got := strings.Count(readAll(t, nc), ": Eicar-Test-Signature FOUND\x00"); got != 20 {
		t.Errorf("%d found, want 20", got)
	}
}

// TestSessionLateDescriptor sends a descriptor a while after its command. The command follows
// another one, so that the session has not waited for it.
func TestSessionLateDescriptor(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	path := t.TempDir() + "/f"
	os.WriteFile(path, testfile.EICAR(), 0o600)
	nc := ts.dial()
	io.WriteString(nc, "zIDSESSION\x00zPING\x00zFILDES\x00")
	if got := readRecord(t, nc, 0); got != "1: PONG" {
		t.Fatalf("got %q", got)
	}
	time.Sleep(20 * restAfter) // a slow client
	if _, _, err := nc.WriteMsgUnix([]byte{0}, syscall.UnixRights(openFile(t, path, unix.O_RDONLY)), nil); err != nil {
		t.Fatal(err)
	}
	io.WriteString(nc, "zEND\x00")
	if got := readAll(t, nc); !strings.HasSuffix(got, ": Eicar-Test-Signature FOUND\x00") || !strings.HasPrefix(got, "2: fd[") {
		t.Errorf("got %q", got)
	}
}

// TestSessionTimeoutWhileScanning checks that a client does not time out while it waits for a
// slow engine.
func TestSessionTimeoutWhileScanning(t *testing.T) {
	release := make(chan struct{})
	ts := newServer(t, func(c *Config) { c.Limits.ReadTimeout = 300 * time.Millisecond },
		testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
	nc := ts.dial()
	io.WriteString(nc, "nIDSESSION\nnINSTREAM\n"+stream("x", 1))
	testkit.Eventually(t, "scan", func() bool { return len(ts.running.list()) == 1 })
	time.AfterFunc(time.Second, func() { close(release) })
	if got := readAll(t, nc); got != "1: stream: OK\nCOMMAND READ TIMED OUT\n" {
		t.Errorf("got %q", got)
	}
}

// TestSessionStrayDescriptor sends descriptors that no command uses, in various places. The
// replies are clamd's; the first case is in clamd's own tests.
func TestSessionStrayDescriptor(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const refused = "PROTOCOL ERROR: ancillary data sent without FILDES. ERROR"
	const bare = `Only nCMDS\n and zCMDS\0 are accepted inside IDSESSION. ERROR`
	tests := []struct{ name, before, with, want string }{
		{"with IDSESSION and NUL", "", "zIDSESSION\x00\x00", "1: " + refused + "\x00"},
		{"with IDSESSION", "", "zIDSESSION\x00", "1: " + refused + "\x00"},
		{"with nIDSESSION and NUL", "", "nIDSESSION\n\x00", "1: " + refused + "\n"},
		{"with a NUL after a command", "zIDSESSION\x00nPING\n", "\x00", "1: PONG\n2: " + bare + "\n2: " + refused + "\n"},
		{"with bytes without a prefix", "zIDSESSION\x00nPING\n", "PING\n", "1: PONG\n2: " + bare + "\n2: " + refused + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nc := ts.dial()
			io.WriteString(nc, tt.before)
			if _, _, err := nc.WriteMsgUnix([]byte(tt.with), syscall.UnixRights(int(f.Fd())), nil); err != nil {
				t.Fatal(err)
			}
			nc.CloseWrite()
			if got := readAll(t, nc); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
