package hook

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/test/testkit"
)

// logBuffer is a log that tests read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// shell returns a hook that runs a script of sh with dir as $1.
func shell(dir, script string) *Config {
	c := Defaults()
	c.Program, c.Arguments = "/bin/sh", []string{"-c", script, "hook", dir}
	return &c
}

func start(t *testing.T) (*Runner, *logBuffer) {
	t.Helper()
	log := new(logBuffer)
	r := NewRunner(zerolog.New(log))
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.Close(ctx)
	})
	return r, log
}

var sample = Event{
	ID: "17", Object: "/srv/a file\nwith $(id) in its name", Name: "Eicar-Test", Category: backends.Virus, Action: "quarantine",
	Engine: "clamav", Engines: []string{"clamav=virus", "inspect=ok"}, Client: "unix:uid=0", Listener: "unix:/run/x", Command: "SCAN", Size: 68,
}

func TestEnvironment(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/secret")
	dir := t.TempDir()
	r, log := start(t)
	r.Found(shell(dir, `env -0 > "$1/env.new"; mv "$1/env.new" "$1/env"`), sample)
	file := filepath.Join(dir, "env")
	testkit.Eventually(t, "the program runs", func() bool { _, err := os.Stat(file); return err == nil })
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
	for _, want := range []string{
		"CLAM_VIRUSEVENT_FILENAME=" + sample.Object, "CLAM_VIRUSEVENT_VIRUSNAME=Eicar-Test", "POLYCLAM_ID=17", "POLYCLAM_CATEGORY=virus",
		"POLYCLAM_ACTION=quarantine", "POLYCLAM_ENGINE=clamav", "POLYCLAM_ENGINES=clamav=virus inspect=ok", "POLYCLAM_CLIENT=unix:uid=0",
		"POLYCLAM_LISTENER=unix:/run/x", "POLYCLAM_COMMAND=SCAN", "POLYCLAM_SIZE=68",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("missing %q", want)
		}
	}
	for _, v := range got {
		if strings.HasPrefix(v, "NOTIFY_SOCKET") {
			t.Errorf("the daemon's own environment is passed on: %s", v)
		}
	}
	testkit.Eventually(t, "the run is counted", func() bool { return r.Stats() == Stats{Runs: 1} })
	if log.String() != "" {
		t.Errorf("logged: %s", log)
	}
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		config *Config
		want   string
	}{
		"status":      {shell(dir, `echo "no\001 mail" >&2; exit 3`), `exit status 3: \"no\\x01 mail\"`},
		"signal":      {shell(dir, `kill -SEGV $$`), `killed by signal 11`},
		"long output": {shell(dir, `yes x | head -c 100000; exit 1`), `exit status 1: \"x`},
		"slow": {func() *Config {
			c := shell(dir, `trap '' TERM; sleep 1000`)
			c.Timeout = 50 * time.Millisecond
			return c
		}(), `not finished after 50ms (key timeout), killed`},
		"missing": {&Config{Program: dir + "/none", Timeout: time.Second, MaxRunning: 1}, `cannot be started: no such file or directory`},
	} {
		t.Run(name, func(t *testing.T) {
			r, log := start(t)
			r.Found(test.config, sample)
			testkit.Eventually(t, "the failure is counted", func() bool { return r.Stats() == Stats{Runs: 1, Failures: 1} })
			if text := log.String(); !strings.Contains(text, test.want) || !strings.Contains(text, `"message":"on_find failed"`) || len(text) > 2000 {
				t.Errorf("want %s in\n%s", test.want, text)
			}
			r.Found(test.config, sample)
			testkit.Eventually(t, "the second failure is counted", func() bool { return r.Stats().Failures == 2 })
			if n := strings.Count(log.String(), "\n"); n != 1 {
				t.Errorf("%d lines within a minute, want 1:\n%s", n, log)
			}
		})
	}
}

// TestBackground runs a program whose child in the background holds the output open: the
// run has ended, and the child goes on.
func TestBackground(t *testing.T) {
	dir := t.TempDir()
	r, log := start(t)
	r.Found(shell(dir, `(until [ -e "$1/end" ]; do sleep 0.01; done; : > "$1/done") & exit 0`), sample)
	testkit.Eventually(t, "the run ends", func() bool { return r.Stats() == Stats{Runs: 1} })
	if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the child goes on", func() bool { _, err := os.Stat(filepath.Join(dir, "done")); return err == nil })
	if log.String() != "" {
		t.Errorf("logged: %s", log)
	}
}

// TestBounds has more events than a slow program takes: some run, some wait, the rest is
// dropped, with one line in the log.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	r, log := start(t)
	c := shell(dir, `echo >> "$1/started"; until [ -e "$1/end" ]; do sleep 0.01; done`)
	c.MaxRunning, c.Queue = 3, 5
	const events = 100
	for range events {
		r.Found(c, sample)
	}
	started := func() int {
		data, _ := os.ReadFile(filepath.Join(dir, "started"))
		return len(data)
	}
	testkit.Eventually(t, "three run", func() bool { return started() == 3 })
	s := r.Stats()
	if s.Runs != 0 || s.Waiting+s.Dropped+3 != events || s.Waiting > 5 || s.Waiting < 2 {
		t.Errorf("%+v", s)
	}
	if n := strings.Count(log.String(), "on_find events dropped"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, log)
	}
	if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "all that were not dropped have run", func() bool {
		s := r.Stats()
		return s.Waiting == 0 && s.Runs+s.Dropped == events
	})
	r.Found(c, sample)
	testkit.Eventually(t, "a new event runs", func() bool { s := r.Stats(); return s.Runs+s.Dropped == events+1 })
}

// TestClose stops with runs that end in time, and with runs that never end.
func TestClose(t *testing.T) {
	t.Run("in time", func(t *testing.T) {
		dir := t.TempDir()
		r, _ := start(t)
		for range 20 {
			r.Found(shell(dir, `exit 0`), sample)
		}
		r.Close(t.Context())
		if s := r.Stats(); s != (Stats{Runs: 20}) {
			t.Errorf("%+v", s)
		}
		r.Found(shell(dir, `exit 0`), sample)
		if s := r.Stats(); s.Dropped != 1 {
			t.Errorf("after the end: %+v", s)
		}
	})
	t.Run("never", func(t *testing.T) {
		dir := t.TempDir()
		r, _ := start(t)
		c := shell(dir, `trap '' TERM; sleep 1000 & echo $$ $! > "$1/new"; mv "$1/new" "$1/pids"; wait`)
		c.MaxRunning = 1
		for range 5 {
			r.Found(c, sample)
		}
		var data []byte
		testkit.Eventually(t, "the program runs", func() bool {
			var err error
			data, err = os.ReadFile(filepath.Join(dir, "pids"))
			return err == nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r.Close(ctx)
		if s := r.Stats(); s.Runs != 1 || s.Failures != 1 || s.Dropped != 4 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		for _, pid := range strings.Fields(string(data)) {
			testkit.Eventually(t, "process "+pid+" is gone", func() bool { return !alive(pid) })
		}
	})
}

// alive reports whether a process runs; a zombie does not.
func alive(pid string) bool {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(after, "Z")
}

func TestWants(t *testing.T) {
	none, c := Defaults(), *shell("/", "")
	for category, want := range map[backends.Category]bool{
		backends.Virus: true, backends.Suspicious: true, backends.Encrypted: false, backends.OK: false, backends.SWErr: false,
	} {
		if c.Wants(category) != want {
			t.Errorf("%s: %v, want %v", category, !want, want)
		}
		if none.Wants(category) || (*Config)(nil).Wants(category) {
			t.Errorf("%s: without a program", category)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{
		"": "", "/bin/sh": "",
		dir + "/none": "program: " + dir + "/none does not exist",
		dir:           "program: " + dir + " is not a file",
		plain:         "program: " + plain + ": permission denied: the file is 0644 ",
	} {
		c := Config{Program: program}
		got := ""
		if err := c.Check(); err != nil {
			got = err.Error()
		}
		if got != want && (program != plain || !strings.HasPrefix(got, want) || !strings.Contains(got, "chmod u+x")) {
			t.Errorf("%q: %q, want %q", program, got, want)
		}
	}
}
