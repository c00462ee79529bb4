package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/command/commandfake"
)

// shell configures a script with the path as $1; status 0 is ?ok.
func shell(script string, set ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Argv = []string{"/bin/sh", "-c", script, "fake", placeholder}
		c.Exit = map[string]string{"0": "?ok", "1": "virus", "2": "?swerr"}
		c.VirusRegex, c.EncryptedRegex = "^FOUND (.*)$", "^ENCRYPTED"
		for _, s := range set {
			s(c)
		}
	}
}

func TestBothOutputs(t *testing.T) {
	for _, script := range []string{"echo FOUND a", "echo FOUND a >&2", "printf 'FOUND a'", "printf '\\r\\nFOUND a\\r\\n' >&2"} {
		r, err := open(t, shell(script)).Scan(t.Context(), backendtest.CleanObject(t))
		if err != nil || r.Category != backends.Virus || r.Findings[0].Name != "a" {
			t.Errorf("%s: %+v, %v", script, r, err)
		}
	}
}

// TestKilledTree checks that the program and its children are gone when the context ends,
// however they handle signals.
func TestKilledTree(t *testing.T) {
	for name, script := range map[string]string{
		"alone":         `echo up > "$UP"; exec sleep 1000`,
		"deaf":          `trap '' TERM INT HUP; echo up > "$UP"; while :; do sleep 1000; done`,
		"grandchildren": `(sleep 1000 & sleep 1001 & echo up > "$UP"; wait) & wait`,
		"stopped":       `sleep 1000 & echo up > "$UP"; kill -STOP $$`,
		"prints":        `echo up > "$UP"; while :; do echo FOUND x; done`,
		"closed output": `exec >/dev/null 2>&1; echo up > "$UP"; sleep 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			up := filepath.Join(t.TempDir(), "up")
			var mark string
			b := open(t, shell(script, func(c *Config) {
				mark = marked(c)
				c.Env["UP"] = up
			}))
			cause := errors.New("the client has gone")
			ctx, cancel := context.WithCancelCause(t.Context())
			var began time.Time
			go func() {
				waitFor(up)
				began = time.Now()
				cancel(cause)
			}()
			r, err := b.Scan(ctx, backendtest.CleanObject(t))
			took := time.Since(began)
			if err == nil || backends.CategoryOf(err) != backends.Interrupted || !errors.Is(err, cause) {
				t.Errorf("%+v, %v", r, err)
			}
			if took > patience {
				t.Errorf("it took %v", took)
			}
			t.Logf("back after %v", took.Round(time.Millisecond))
			wantGone(t, mark)
			wantNoZombies(t)
		})
	}
}

func waitFor(file string) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			return
		}
	}
}

// TestStopped checks that findings count even if the context then ends.
func TestStopped(t *testing.T) {
	for what, want := range map[string]string{"FOUND x": "virus+interrupted", "ENCRYPTED": "encrypted+interrupted", "nothing": "interrupted"} {
		up := filepath.Join(t.TempDir(), "up")
		b := open(t, shell(`echo "$WHAT"; echo up > "$UP"; sleep 1000`, func(c *Config) {
			c.Env = map[string]string{"WHAT": what, "UP": up}
		}))
		cause := &backends.TimeoutError{After: time.Second, Key: "timeout"}
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			waitFor(up)
			cancel(cause)
		}()
		r, err := b.Scan(ctx, backendtest.CleanObject(t))
		if got := said(r, err); got != want || !errors.Is(err, cause) {
			t.Errorf("%s: %s, want %s: %+v, %v", what, got, want, r, err)
		}
	}
}

// TestHeldPipe runs a program that ends while its children hold the output open.
func TestHeldPipe(t *testing.T) {
	backendtest.NoLeaks(t)
	var mark string
	b := open(t, shell(`sleep 1000 & (sleep 1000; echo FOUND late) & echo FOUND early; exit 1`, func(c *Config) { mark = marked(c) }))
	r, err := b.Scan(t.Context(), backendtest.CleanObject(t))
	if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 || r.Findings[0].Name != "early" {
		t.Errorf("%+v, %v", r, err)
	}
	wantGone(t, mark)
}

// TestEscaped runs a program with a child that has left the process group, holds the output
// open and even keeps printing. It must not be waited for.
func TestEscaped(t *testing.T) {
	setsid, err := exec.LookPath("setsid")
	if err != nil {
		t.Skip("no setsid")
	}
	for name, what := range map[string]string{"silent": "exec sleep 1000", "printing": "while :; do echo x; done"} {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			pid := filepath.Join(t.TempDir(), "pid")
			t.Cleanup(func() {
				if data, err := os.ReadFile(pid); err == nil {
					exec.Command("kill", "-KILL", strings.TrimSpace(string(data))).Run()
				}
			})
			script := setsid + ` sh -c 'echo $$ > "$PID"; ` + what + `' & until [ -s "$PID" ]; do :; done; echo FOUND a; exit 1`
			b := open(t, shell(script, func(c *Config) {
				c.Env, c.IgnoreRegex = map[string]string{"PID": pid}, "x"
			}))
			r, err := b.Scan(t.Context(), backendtest.CleanObject(t))
			if err != nil || r.Category != backends.Virus || r.Findings[0].Name != "a" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestLastWords checks that all output is read, even if the program fills the pipe right
// before it ends.
func TestLastWords(t *testing.T) {
	b := open(t, shell(`head -c 60000 /dev/zero | tr '\0' '\n'; echo FOUND last`))
	for range 20 {
		r, err := b.Scan(t.Context(), backendtest.CleanObject(t))
		if err != nil || r.Category != backends.Virus {
			t.Fatalf("%+v, %v", r, err)
		}
	}
}

func TestSignals(t *testing.T) {
	for _, signal := range []string{"SEGV", "KILL", "TERM", "ABRT", "PIPE"} {
		r, err := open(t, shell(`echo ENCRYPTED; kill -`+signal+` $$`)).Scan(t.Context(), backendtest.CleanObject(t))
		var f *backends.Failure
		if !errors.As(err, &f) || f.Category != backends.Interrupted || f.Code != backends.NoCode {
			t.Errorf("%s: %+v, %v", signal, r, err)
		}
	}
}

const daemonName = "POLYCLAM_TEST_DAEMON"

// TestDaemon is the process that TestOwnDeath kills: an endless scan.
func TestDaemon(t *testing.T) {
	mark, up, ok := strings.Cut(os.Getenv(daemonName), ":")
	if !ok {
		return // only useful as the child of TestOwnDeath
	}
	b := open(t, shell(`echo up > "$UP"; exec sleep 1000`, func(c *Config) { c.Env = map[string]string{runName: mark, "UP": up} }))
	b.Scan(t.Context(), backendtest.CleanObject(t))
}

// TestOwnDeath checks that a program does not outlive the daemon, however the daemon dies.
func TestOwnDeath(t *testing.T) {
	up := filepath.Join(t.TempDir(), "up")
	mark := marked(new(Config))
	cmd := exec.Command(os.Args[0], "-test.run=^TestDaemon$")
	cmd.Env = append(os.Environ(), daemonName+"="+mark+":"+up, "TMPDIR="+t.TempDir()) // it does not clean up
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(up)
	// During exec(2) a process has no environment by which to recognise it.
	for end := time.Now().Add(patience); len(survivors(mark)) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not start")
		}
	}
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	wantGone(t, mark)
}

// TestSweep2003 is the reason for this project: on an archive with a password Sweep exits
// with 2, although nothing is wrong.
func TestSweep2003(t *testing.T) {
	const script = "#!/bin/sh\necho 'Password protected file foo.zip/foo.txt'\nexit 2\n"
	b := open(t, preset("sophos-sweep", commandfake.Script(t, script)))
	r, err := b.Scan(t.Context(), backendtest.CleanObject(t))
	if err != nil || r.Code != 2 || r.Category != backends.Encrypted || r.Detail != "Password protected file foo.zip/foo.txt" {
		t.Errorf("(%d, %s): %+v, %v", r.Code, r.Category, r, err)
	}
}
