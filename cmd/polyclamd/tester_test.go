package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// asDaemon is the environment variable that makes the test binary run as the daemon.
const asDaemon = "POLYCLAMD_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) == "" {
		os.Exit(m.Run())
	}
	if os.Getpid() != initPID { // init runs this program again
		os.Unsetenv(asDaemon)
	}
	if os.Getenv("LISTEN_PID") == "self" { // systemd knows the id, a test does not
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	main()
}

// hang is how long a test waits for an event that must come.
const hang = time.Minute

// output collects what a process prints. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// testDaemon is a polyclamd under test.
type testDaemon struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout output
	stderr output
	exited chan struct{}
}

// launch starts polyclamd, and kills it when the test ends. It does not wait until polyclamd
// is ready.
func launch(t *testing.T, change func(*exec.Cmd), args ...string) *testDaemon {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &testDaemon{t: t, cmd: exec.Command(self, args...), exited: make(chan struct{})}
	// The race detector would otherwise add a second to each exit.
	d.cmd.Env = append(os.Environ(), asDaemon+"=1", "NOTIFY_SOCKET=", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	d.cmd.Stdout, d.cmd.Stderr = &d.stdout, &d.stderr
	if change != nil {
		change(d.cmd)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() {
		d.cmd.Process.Kill()
		<-d.exited
		if t.Failed() {
			t.Logf("polyclamd printed\n%s%s", d.stdout.String(), d.stderr.String())
		}
	})
	return d
}

// startDaemon starts polyclamd with a configuration, and waits until it listens.
func startDaemon(t *testing.T, conf string, change func(*exec.Cmd)) *testDaemon {
	t.Helper()
	d := launch(t, change, "--config", conf)
	d.waitFor("engine")
	return d
}

// entries returns the log lines with this message.
func (d *testDaemon) entries(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(d.stderr.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["message"] == message {
			found = append(found, entry)
		}
	}
	return found
}

// waitFor waits for a log line with this message, and returns the last one.
func (d *testDaemon) waitFor(message string) map[string]any {
	d.t.Helper()
	return d.waitForMore(message, 0)
}

// waitForMore waits for more than n log lines with this message, and returns the last one.
func (d *testDaemon) waitForMore(message string, n int) map[string]any {
	d.t.Helper()
	var last map[string]any
	testkit.Eventually(d.t, "a log line "+strconv.Quote(message), func() bool {
		select {
		case <-d.exited:
			d.t.Fatalf("polyclamd ended before it logged %q", message)
		default:
		}
		found := d.entries(message)
		if len(found) > n {
			last = found[len(found)-1]
		}
		return last != nil
	})
	return last
}

func (d *testDaemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// wait waits until the daemon ends, and returns its exit status.
func (d *testDaemon) wait() int {
	d.t.Helper()
	select {
	case <-d.exited:
	case <-time.After(hang):
		d.t.Fatal("polyclamd did not end")
	}
	return d.cmd.ProcessState.ExitCode()
}

// stop stops the daemon by SIGTERM.
func (d *testDaemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if status := d.wait(); status != 0 {
		d.t.Errorf("exit status %d after SIGTERM, want 0", status)
	}
}

// reload sends SIGHUP, and waits until the daemon logs the outcome.
func (d *testDaemon) reload(outcome string) {
	d.t.Helper()
	before := len(d.entries(outcome))
	d.signal(syscall.SIGHUP)
	d.waitForMore(outcome, before)
}

const (
	reloaded = "reloaded"
	refused  = "reload refused, the old configuration stays in use"
)

// ask sends a request and returns the whole reply.
func ask(network, address, request string) (string, error) {
	nc, err := net.Dial(network, address)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(nc, request); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(nc)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // the daemon closed with unread input
	}
	return string(reply), err
}

func wantReply(t *testing.T, network, address, request, want string) {
	t.Helper()
	if got, err := ask(network, address, request); err != nil || got != want {
		t.Errorf("%s answers %q, %v to %q, want %q", address, got, err, request, want)
	}
}

func wantPong(t *testing.T, network, address string) {
	t.Helper()
	wantReply(t, network, address, "zPING\x00", "PONG\x00")
}

func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

// writeConfig writes a configuration with the backend inspect and a JSON log, and returns its
// path.
func writeConfig(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "config.toml")
	text += "\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n[log]\nformat = \"json\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// unixListener returns a [[listener]] table.
func unixListener(path string, more ...string) string {
	return "[[listener]]\naddress = \"unix:" + path + "\"\n" + strings.Join(more, "\n") + "\n"
}
