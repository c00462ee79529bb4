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
)

// asDaemon in the environment makes the test binary the daemon.
const asDaemon = "POLYCLAMD_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) == "" {
		os.Exit(m.Run())
	}
	if os.Getpid() != firstProcess { // which runs this program again
		os.Unsetenv(asDaemon)
	}
	if os.Getenv("LISTEN_PID") == "self" { // systemd knows it, a test cannot
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	main()
}

// hang is how long a test waits for what must come: it catches a hang only.
const hang = time.Minute

// output is what a process printed. It is safe for concurrent use.
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

// tester is a polyclamd under test.
type tester struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout output
	stderr output
	exited chan struct{}
}

// launch runs polyclamd and ends it with the test. It does not wait for it to
// be ready.
func launch(t *testing.T, change func(*exec.Cmd), args ...string) *tester {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &tester{t: t, cmd: exec.Command(self, args...), exited: make(chan struct{})}
	// Without the last the race detector adds a second to each exit.
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

// startDaemon runs polyclamd with a configuration and waits until it listens.
func startDaemon(t *testing.T, conf string, change func(*exec.Cmd)) *tester {
	t.Helper()
	d := launch(t, change, "--config", conf)
	d.waitFor("engine")
	return d
}

// entries returns the lines of the log with this message.
func (d *tester) entries(message string) []map[string]any {
	var found []map[string]any
	for line := range strings.Lines(d.stderr.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["message"] == message {
			found = append(found, entry)
		}
	}
	return found
}

// waitFor waits for a line of the log with this message and returns the last.
func (d *tester) waitFor(message string) map[string]any {
	d.t.Helper()
	return d.waitForMore(message, 0)
}

// waitForMore waits for more than n of them.
func (d *tester) waitForMore(message string, n int) map[string]any {
	d.t.Helper()
	var last map[string]any
	eventually(d.t, "a log line "+strconv.Quote(message), func() bool {
		select {
		case <-d.exited:
			d.t.Fatalf("polyclamd has ended while %q was waited for", message)
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

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hang); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (d *tester) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// wait waits for the end and returns the exit status.
func (d *tester) wait() int {
	d.t.Helper()
	select {
	case <-d.exited:
	case <-time.After(hang):
		d.t.Fatal("polyclamd does not end")
	}
	return d.cmd.ProcessState.ExitCode()
}

// stop ends the daemon by SIGTERM.
func (d *tester) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if status := d.wait(); status != 0 {
		d.t.Errorf("exit status %d after SIGTERM, want 0", status)
	}
}

// reload sends SIGHUP and waits for the outcome.
func (d *tester) reload(outcome string) {
	d.t.Helper()
	before := len(d.entries(outcome))
	d.signal(syscall.SIGHUP)
	d.waitForMore(outcome, before)
}

const (
	reloaded = "reloaded"
	refused  = "reload refused, the old configuration stays"
)

// say sends bytes and returns everything that is answered.
func say(network, address, request string) (string, error) {
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
		err = nil // what was left unread
	}
	return string(reply), err
}

func wantReply(t *testing.T, network, address, request, want string) {
	t.Helper()
	if got, err := say(network, address, request); err != nil || got != want {
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

// socketDir is a directory with a name short enough for sockets, which
// t.TempDir with its long test names is not always.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pcd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// writeConfig writes a configuration with the backend inspect and returns its
// path. The log is JSON.
func writeConfig(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "config.toml")
	text += "\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n[log]\nformat = \"json\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// unixListener is a [[listener]] table.
func unixListener(path string, more ...string) string {
	return "[[listener]]\naddress = \"unix:" + path + "\"\n" + strings.Join(more, "\n") + "\n"
}
