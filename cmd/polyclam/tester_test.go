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

	"polyclam/test/testkit"
)

// asTool is the environment variable that makes the test binary run as the tool.
const asTool = "POLYCLAM_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) == "" {
		os.Exit(m.Run())
	}
	os.Unsetenv(asTool)
	main()
}

// hang is how long a test waits for an event that must come.
const hang = time.Minute

// ran is the result of running the tool.
type ran struct {
	status         int
	stdout, stderr string
}

// toolCommand returns the tool, not yet started, in an environment where no server listens at the
// default address.
func toolCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Dir = dir
	// The race detector would otherwise add a second to each exit.
	c.Env = append(os.Environ(), asTool+"=1", "RUNTIME_DIRECTORY="+testkit.SocketDir(t), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
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

// wantStatus checks the exit status.
func (r ran) wantStatus(t *testing.T, want int) {
	t.Helper()
	if r.status != want {
		t.Errorf("exit status %d, want %d\n%s%s", r.status, want, r.stdout, r.stderr)
	}
}

// wantText checks the whole text, except for elapsed times.
func wantText(t *testing.T, got, want string) {
	t.Helper()
	if got = elapsed.ReplaceAllString(got, "${1}#.###$2"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

var elapsed = regexp.MustCompile(`([ :])\d+\.\d{3}( |,|}|$)`)

// wantParts checks that text contains all parts. Without parts, text must be empty.
func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("got\n%s\nwant %q in it", text, p)
		}
	}
	if len(parts) == 0 && text != "" {
		t.Errorf("got\n%s\nwant nothing", text)
	}
}

// files creates a directory with files, given as name and text in turn.
func files(t *testing.T, namesAndTexts ...string) string {
	t.Helper()
	dir := testkit.SocketDir(t)
	for i := 0; i < len(namesAndTexts); i += 2 {
		path := filepath.Join(dir, namesAndTexts[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(namesAndTexts[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unprivileged makes a command run as a user who is subject to file permissions.
func unprivileged(t *testing.T, c *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		return c
	}
	const nobody = 65534
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	// Other users cannot reach the directory of the test binary.
	program, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	c.Path = filepath.Join(testkit.SocketDir(t), "polyclam")
	testkit.WriteProgram(t, c.Path, program)
	return c
}

// input sets the standard input of a command.
func input(c *exec.Cmd, r io.Reader) *exec.Cmd {
	c.Stdin = r
	return c
}
