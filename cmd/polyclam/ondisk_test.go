package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/test/testkit"
)

const goodNode = "status: engine=x backend=b state=up canary_eicar=virus NODE\x00END\x00"

// reporting starts a polyclamd that reports s and one good node.
func reporting(t *testing.T, s extended.Server) string {
	t.Helper()
	return statusServer(t, s.Record().String()+"\x00"+goodNode)
}

// TestStatusBrokenConfiguration checks that a configuration with problems neither hides a
// running polyclamd nor is hidden by it.
func TestStatusBrokenConfiguration(t *testing.T) {
	address := reporting(t, extended.Server{Version: "1"})
	run := func(text string, change func(dir string) []string) ran {
		dir := files(t, "c.toml", text)
		c := toolCommand(t, dir, "--config", "c.toml", "status")
		if change != nil {
			c.Env = append(c.Env, change(dir)...)
		}
		return finish(t, c)
	}
	const sentence = "polyclamd is up; the configuration on disk is refused: c.toml:"
	t.Run("syntax error behind the listener", func(t *testing.T) {
		r := run("[[listener]]\naddress = \""+address+"\"\n[limits\n", nil)
		r.wantStatus(t, exitFound)
		wantParts(t, r.stdout, sentence+"3: ", "polyclamd 1 at "+address)
		wantParts(t, r.stderr)
	})
	t.Run("at the usual place", func(t *testing.T) {
		r := run("[limits\n", func(dir string) []string {
			if err := os.Symlink(strings.TrimPrefix(address, "unix:"), filepath.Join(dir, "clamd.sock")); err != nil {
				t.Fatal(err)
			}
			return []string{"RUNTIME_DIRECTORY=" + dir}
		})
		r.wantStatus(t, exitFound)
		wantParts(t, r.stdout, sentence+"1: ", "/clamd.sock, up")
	})
	t.Run("several problems", func(t *testing.T) {
		r := run("[[engine]]\nname = \"x\"\nbackend = \"inspect\"\n[limits]\nstraem = 1\nstream = \"lots\"\n[[listener]]\naddress = \""+address+"\"\n", nil)
		r.wantStatus(t, exitFound)
		wantParts(t, r.stdout, sentence+"5: limits.straem: ", " (and 1 more)\n")
	})
	t.Run("nobody answers", func(t *testing.T) {
		r := run("[[listener]]\naddress = \"unix:/nowhere/s\"\n[limits\n", nil)
		r.wantStatus(t, exitFailed)
		first, _, _ := strings.Cut(r.stdout, "\n")
		wantParts(t, first, "no polyclamd answers: unix:/nowhere/s: no such file or directory (is polyclamd running?); the configuration on disk is refused: c.toml:3: ")
	})
}

// TestStatusOnDisk checks what is said of the file that a daemon has loaded.
func TestStatusOnDisk(t *testing.T) {
	hour := time.Now().Add(-time.Hour).Truncate(time.Second)
	const good, bad = "[[engine]]\nname = \"x\"\nbackend = \"inspect\"\n", "[[engine]]\nname = \"x\"\n"
	for _, c := range []struct {
		name, text string
		changed    time.Time // of the file
		reported   extended.About
		exit       int
		want       string // without the directory
	}{
		{"the same", good, hour, extended.About{ConfigTime: hour}, exitOK, "everything is usable\n"},
		{"changed", good, hour.Add(time.Minute), extended.About{ConfigTime: hour}, exitOK, "\nDIR/c.toml was changed after polyclamd loaded it: reload to use it\n"},
		{"an old daemon", good, hour, extended.About{}, exitOK, "everything is usable\n"},
		{"refused by this tool", bad, hour, extended.About{ConfigTime: hour}, exitFound, "polyclamd is up; the configuration on disk is refused: DIR/c.toml:1: engine: the engine has no backend"},
		{"refused by both", bad, hour, extended.About{ConfigTime: hour, ConfigRefused: hour, ConfigProblem: "p"}, exitFound,
			"polyclamd is up; the configuration on disk is refused since CLOCK: DIR/c.toml:1: engine: "},
		{"refused by the daemon", good, hour, extended.About{ConfigTime: hour, ConfigRefused: hour, ConfigProblem: "no room"}, exitFound,
			"polyclamd is up; the configuration on disk is refused since CLOCK: no room\n"},
		{"refused in the same second", good, hour.Add(time.Millisecond), extended.About{ConfigTime: hour, ConfigRefused: hour, ConfigProblem: "no room"}, exitFound,
			"polyclamd is up; the configuration on disk is refused since CLOCK: no room\n"},
		{"corrected", good, hour.Add(time.Minute), extended.About{ConfigTime: hour, ConfigRefused: hour, ConfigProblem: "no room"}, exitFound,
			"polyclamd is up; a reload was refused at CLOCK: no room; DIR/c.toml was changed since then: reload again\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files(t, "c.toml", c.text)
			path := filepath.Join(dir, "c.toml")
			if err := os.Chtimes(path, c.changed, c.changed); err != nil {
				t.Fatal(err)
			}
			if c.reported.ConfigTime.IsZero() {
				path = ""
			}
			c.reported.Config = path
			r := polyclam(t, "", "--address", reporting(t, extended.Server{About: c.reported}), "status")
			r.wantStatus(t, c.exit)
			wantParts(t, r.stdout, strings.NewReplacer("DIR", dir, "CLOCK", clock(hour, time.Now())).Replace(c.want))
		})
	}
}

func TestClock(t *testing.T) {
	at := time.Date(2026, 11, 27, 13, 48, 10, 0, time.Local)
	if got := clock(at, at.Add(time.Hour)); got != "13:48" {
		t.Errorf("today: %s", got)
	}
	if got := clock(at, at.Add(24*time.Hour)); got != "2026-11-27 13:48" {
		t.Errorf("yesterday: %s", got)
	}
}

// TestGuesses checks that only a polyclamd counts at clamd's usual places.
func TestGuesses(t *testing.T) {
	ping := func(ctx context.Context, s *server) error { return s.client.Ping(ctx) }
	clamd, _ := play(t, plainClamd)
	ours := serve(t, nil, marked())
	parse := func(address string) target {
		one, err := parseTarget(address)
		if err != nil {
			t.Fatal(err)
		}
		return one
	}
	s, err := places{guesses: []target{parse(clamd), parse(ours.unix)}}.reach("server", ping)
	if err != nil || s.String() != ours.unix {
		t.Errorf("got %v, %v, want %s", s, err, ours.unix)
	}
	var failed *unreachable
	if _, err := (places{guesses: []target{parse(clamd)}}).reach("server", ping); !errors.As(err, &failed) || !strings.Contains(err.Error(), "not polyclamd") {
		t.Errorf("a clamd at its usual place: %v", err)
	}
}

// TestStatusWatch watches a polyclamd that goes away and comes back.
func TestStatusWatch(t *testing.T) {
	var away atomic.Bool
	address, _ := play(t, func(verb protocol.Verb, _ []byte) []byte {
		if away.Load() || verb != protocol.VerbXStatus {
			return nil
		}
		return []byte(serverRecord + goodNode)
	})
	c := toolCommand(t, "", "--address", address, "status", "--watch=100ms")
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	text := func() string {
		data, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	seen := func(what string, n int) {
		t.Helper()
		testkit.Eventually(t, what, func() bool { return strings.Count(text(), what) >= n })
	}
	seen("everything is usable", 2)
	away.Store(true)
	seen("no polyclamd answers", 2)
	away.Store(false)
	seen("everything is usable", 4)
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("ended with %v, want status 0", err)
	}
	if got := text(); strings.Contains(got, "\x1b") || !strings.Contains(got, "\n\n2") {
		t.Errorf("not a list of blocks\n%q", got)
	}
}

func TestStatusWatchBlock(t *testing.T) {
	now := time.Date(2026, 11, 27, 13, 48, 10, 0, time.Local)
	st := &serverStatus{condition: condition{Sentence: "all\x1bfine"}, unreachable: &unreachable{}}
	for _, c := range []struct {
		first, terminal bool
		want            string
	}{
		{true, false, "2026-11-27 13:48:10: all\\x1bfine\n"},
		{false, false, "\n2026-11-27 13:48:10: all\\x1bfine\n"},
		{false, true, "\x1b[H2026-11-27 13:48:10: all\\x1bfine\x1b[K\n\x1b[J"},
	} {
		if got := st.block(statusOptions{}, now, c.first, c.terminal); got != c.want {
			t.Errorf("first %v, terminal %v: %q, want %q", c.first, c.terminal, got, c.want)
		}
	}
	if got := st.block(statusOptions{json: true}, now, false, true); !json.Valid([]byte(got)) || !bytes.HasSuffix([]byte(got), []byte("}\n")) {
		t.Errorf("JSON: %q", got)
	}
}

func TestStatusWatchUsage(t *testing.T) {
	for _, args := range [][]string{{"--watch=soon"}, {"--watch=1ms"}, {"--watch", "5s"}} {
		r := polyclam(t, "", append([]string{"status"}, args...)...)
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stderr, fmt.Sprintf("Try %q.", "polyclam --help"))
	}
}
