package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

func TestReloadBadKeepsOld(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, other := filepath.Join(dir, "s"), filepath.Join(dir, "o")
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket)), nil)
	writeConfig(t, dir, unixListener(other, "mode = \"888\"")+"[limits]\nstream = \"lots\"\n")
	d.reload(refused)
	var problems []string
	for _, e := range d.entries("configuration") {
		if e["level"] == "error" {
			problems = append(problems, e["key"].(string))
		}
	}
	if got := strings.Join(problems, " "); got != "listener.mode limits.stream" {
		t.Errorf("the log names %q, want both problems", got)
	}
	wantPong(t, "unix", socket)
	wantGone(t, other)
	if err := os.Remove(filepath.Join(dir, "config.toml")); err != nil {
		t.Fatal(err)
	}
	d.reload(refused)
	wantPong(t, "unix", socket)
	d.stop()
}

func TestReloadChangesListeners(t *testing.T) {
	dir := testkit.SocketDir(t)
	a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	d := startDaemon(t, writeConfig(t, dir, unixListener(a)+unixListener(b)), nil)
	before, err := os.Lstat(b)
	if err != nil {
		t.Fatal(err)
	}
	session, err := net.Dial("unix", a) // survives its listener
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.Write([]byte("zIDSESSION\x00zPING\x00")); err != nil {
		t.Fatal(err)
	}
	wantRead(t, session, "1: PONG\x00")

	writeConfig(t, dir, unixListener(b, `mode = "0600"`)+unixListener(c))
	d.reload(reloaded)
	wantGone(t, a)
	testkit.Eventually(t, "the new listener", func() bool { _, err := ask("unix", c, "zPING\x00"); return err == nil })
	wantPong(t, "unix", b)
	after, err := os.Lstat(b)
	if err != nil || !os.SameFile(before, after) || after.Mode().Perm() != 0o600 {
		t.Errorf("the remaining listener: %v, %v, want the same file with mode 0600", after, err)
	}
	if _, err := session.Write([]byte("zPING\x00")); err != nil {
		t.Fatal(err)
	}
	wantRead(t, session, "2: PONG\x00")
	session.Close()

	writeConfig(t, dir, unixListener(a)+unixListener(b)) // as before
	d.reload(reloaded)
	wantPong(t, "unix", a)
	wantGone(t, c)
	d.stop()
	wantGone(t, a)
	wantGone(t, b)
}

func wantRead(t *testing.T, nc net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	for n := 0; n < len(got); {
		m, err := nc.Read(got[n:])
		if err != nil {
			t.Fatalf("read %q, %v, want %q", got[:n], err, want)
		}
		n += m
	}
	if string(got) != want {
		t.Errorf("read %q, want %q", got, want)
	}
}

// TestReloadBadListener has two new listeners, of which the second cannot be opened. Neither
// may be left open.
func TestReloadBadListener(t *testing.T) {
	dir := testkit.SocketDir(t)
	old, good, taken := filepath.Join(dir, "s"), filepath.Join(dir, "f"), filepath.Join(dir, "t")
	if err := os.WriteFile(taken, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, writeConfig(t, dir, unixListener(old)), nil)
	writeConfig(t, dir, unixListener(good)+unixListener(taken))
	d.reload(refused)
	wantPong(t, "unix", old)
	wantGone(t, good)
	if data, err := os.ReadFile(taken); err != nil || string(data) != "precious" {
		t.Errorf("the file in the way is %q, %v", data, err)
	}
	d.stop()
}

// TestReloadBadSpool has a spool directory that cannot be used. The listeners and the policy
// must stay as well.
func TestReloadBadSpool(t *testing.T) {
	dir := testkit.SocketDir(t)
	old, good := filepath.Join(dir, "s"), filepath.Join(dir, "f")
	d := startDaemon(t, writeConfig(t, dir, unixListener(old)), nil)
	writeConfig(t, dir, unixListener(good)+"[spool]\ndirectory = \""+filepath.Join(dir, "config.toml")+"\"\n")
	d.reload(refused)
	wantPong(t, "unix", old)
	wantGone(t, good)
	d.stop()
}

// TestPolicyWarnings checks that starts and reloads log warnings about a policy that passes
// failures.
func TestPolicyWarnings(t *testing.T) {
	dir := testkit.SocketDir(t)
	listener := unixListener(filepath.Join(dir, "s"))
	d := startDaemon(t, writeConfig(t, dir, listener+"[policy.actions]\nswerr = \"ok\"\n"), nil)
	writeConfig(t, dir, listener+"[policy.actions]\nnot-installed = \"ok\"\n")
	d.reload(reloaded)
	d.stop()
	var keys []string
	for _, e := range d.entries("configuration") {
		if key, ok := e["key"].(string); ok && e["level"] == "warn" && strings.HasPrefix(key, "policy.") {
			keys = append(keys, key)
		}
	}
	if got := strings.Join(keys, " "); got != "policy.actions.swerr policy.actions.not-installed" {
		t.Errorf("the log warns about %q", got)
	}
}
