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

func TestNoShell(t *testing.T) {
	b := open(t, func(c *Config) {
		c.Argv = []string{"/bin/echo", "$(touch /nonexistent)", "`id`", "a;b|c>d", "*", "x{path}y"}
		c.Exit = map[string]string{"0": "?swerr"}
		c.VirusRegex = `^(\$\(touch /nonexistent\) .id. a;b\|c>d \* x/.*y)$`
	})
	o := backendtest.CleanObject(t)
	r, err := b.Scan(t.Context(), o)
	path, _ := o.Path()
	if err != nil || len(r.Findings) != 1 || !strings.HasSuffix(r.Findings[0].Name, " x"+path+"y") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestEnvironment checks that a program gets the documented environment, and nothing of the
// daemon's.
func TestEnvironment(t *testing.T) {
	t.Setenv("POLYCLAM_SECRET", "x")
	const script = `
[ "$(pwd)" = / ] || echo "FOUND directory $(pwd)"
[ "$(env | cut -d= -f1 | grep -vx -e PWD -e SHLVL -e _ -e OLDPWD | sort | tr '\n' ' ')" = "EXTRA LANG LC_ALL PATH " ] || echo "FOUND env $(env | tr '\n' ' ')"
[ "$LANG$LC_ALL$EXTRA" = "CC a b" ] || echo "FOUND values"
[ "$(readlink /proc/self/fd/0)" = /dev/null ] || echo "FOUND stdin"
[ "$(readlink /proc/$$/fd/1)" = "$(readlink /proc/$$/fd/2)" ] || echo "FOUND two outputs"
[ "$(cut -d' ' -f5 /proc/$$/stat)" = $$ ] || echo "FOUND group"
[ "$(cut -d' ' -f3 /proc/self/stat)" = R ] || echo "FOUND state"
`
	b := open(t, shell(script, func(c *Config) { c.Env = map[string]string{"EXTRA": " a b"} }))
	if r, err := b.Scan(t.Context(), backendtest.CleanObject(t)); err != nil || r.Category != backends.OK {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestDescriptors checks that a program gets three descriptors, however many the daemon has
// open. Besides these, ls lists the directory it reads, and what the parent of the test
// left open.
func TestDescriptors(t *testing.T) {
	list := func() string {
		e, err := run(t.Context(), job{argv: []string{"/bin/ls", "/proc/self/fd"}, limit: 1000, after: func() alteration { return alteration{} }})
		if err != nil || !strings.HasPrefix(string(e.output), "0\n1\n") {
			t.Fatalf("%q, %v", e.output, err)
		}
		return string(e.output)
	}
	before := list()
	for range 20 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
	}
	if after := list(); after != before {
		t.Errorf("%q, was %q", after, before)
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

// TestStartErrors tries each way in which a program cannot be started.
func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("plain", "text", 0o644)
	garbage := write("garbage", "\x7fELF garbage", 0o755)
	orphan := write("orphan", "#!/nonexistent/interpreter\n", 0o755)
	inPath := func(c *Config) { c.Env = map[string]string{"PATH": "relative:" + dir} }
	for _, tt := range []struct {
		name, program string
		set           func(*Config)
		want          backends.Category
		message       string
	}{
		{"missing", filepath.Join(dir, "missing"), nil, backends.NotInstalled,
			"command clamscan: cannot start " + filepath.Join(dir, "missing") + ": no such file or directory (key program)"},
		{"missing in PATH", "polyclam-no-such-scanner", nil, backends.NotInstalled,
			"command clamscan: cannot start polyclam-no-such-scanner: not found in PATH (" + defaultPath + "); install it or set its full path (key program)"},
		{"no interpreter", orphan, nil, backends.NotInstalled, "no such file or directory"},
		{"not executable", plain, nil, backends.CannotExecute, "permission denied"},
		{"not executable in PATH", "plain", inPath, backends.CannotExecute, "command clamscan: cannot start plain: permission denied (key program)"},
		{"not a program", garbage, nil, backends.CannotExecute, "exec format error"},
		{"a directory", dir, nil, backends.CannotExecute, "permission denied"},
		{"below a file", plain + "/x", nil, backends.CannotExecute, "not a directory"},
		{"arguments too long", "/bin/true", func(c *Config) { c.ExtraArgs = []string{strings.Repeat("x", 1<<20)} }, backends.CannotExecute, "argument list too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			b := open(t, func(c *Config) {
				preset("clamscan", tt.program)(c)
				if tt.set != nil {
					tt.set(c)
				}
			})
			r, err := b.Scan(t.Context(), backendtest.CleanObject(t))
			if err == nil || backends.CategoryOf(err) != tt.want || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("%+v, %v (%v), want %v and %s", r, err, backends.CategoryOf(err), tt.want, tt.message)
			}
			v, err := b.(backends.Versioner).Version(t.Context())
			if tt.name != "arguments too long" && (err == nil || backends.CategoryOf(err) != tt.want) {
				t.Errorf("version %+v, %v", v, err)
			}
		})
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

// TestStopped checks that findings before the end of the context count in addition to it.
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
