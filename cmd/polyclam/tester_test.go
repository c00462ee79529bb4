package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asTool in the environment makes the test binary the tool.
const asTool = "POLYCLAM_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) == "" {
		os.Exit(m.Run())
	}
	os.Unsetenv(asTool)
	main()
}

// hang is how long a test waits for what must come: it catches a hang only.
const hang = time.Minute

// ran is what a run of the tool came to.
type ran struct {
	status         int
	stdout, stderr string
}

// toolCommand is the tool, not yet started, in an environment in which no server
// listens by default.
func toolCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Dir = dir
	// Without the last the race detector adds a second to each exit.
	c.Env = append(os.Environ(), asTool+"=1", "RUNTIME_DIRECTORY="+shortDir(t), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return c
}

// polyclam runs the tool in a directory.
func polyclam(t *testing.T, dir string, args ...string) ran {
	t.Helper()
	return finish(t, toolCommand(t, dir, args...))
}

// finish runs a command to its end.
func finish(t *testing.T, c *exec.Cmd) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if c.Stdout == nil {
		c.Stdout = &stdout
	}
	if c.Stderr == nil {
		c.Stderr = &stderr
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(hang, func() { c.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	c.Wait()
	return ran{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// wantStatus wants an exit status.
func (r ran) wantStatus(t *testing.T, want int) {
	t.Helper()
	if r.status != want {
		t.Errorf("exit status %d, want %d\n%s%s", r.status, want, r.stdout, r.stderr)
	}
}

// wantText wants text to be exactly that, elapsed times aside.
func wantText(t *testing.T, got, want string) {
	t.Helper()
	if got = elapsed.ReplaceAllString(got, "${1}#.###$2"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

var elapsed = regexp.MustCompile(`([ :])\d+\.\d{3}( |,|}|$)`)

// wantParts wants all parts in text, and nothing in it if there are none.
func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("got\n%s\nwant in it %q", text, p)
		}
	}
	if len(parts) == 0 && text != "" {
		t.Errorf("got\n%s\nwant nothing", text)
	}
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

// shortDir is a directory that others may enter, with a name short enough for
// sockets, which t.TempDir with its long test names is not always.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pct")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// files makes a directory with these files in it, name and content in turn.
func files(t *testing.T, namesAndContents ...string) string {
	t.Helper()
	dir := shortDir(t)
	for i := 0; i < len(namesAndContents); i += 2 {
		path := filepath.Join(dir, namesAndContents[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(namesAndContents[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unprivileged makes a command one that the rights of files apply to.
func unprivileged(t *testing.T, c *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		return c
	}
	const nobody = 65534
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	// The test binary stands where only we may go.
	program, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	c.Path = filepath.Join(shortDir(t), "polyclam")
	if err := os.WriteFile(c.Path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// input gives a command bytes on its standard input.
func input(c *exec.Cmd, r io.Reader) *exec.Cmd {
	c.Stdin = r
	return c
}
