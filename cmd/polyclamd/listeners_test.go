package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/testkit"
)

// leaveSocket leaves a socket at path that no process listens on.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func TestStaleSocket(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	leaveSocket(t, socket)
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket)), nil)
	wantPong(t, "unix", socket)
	d.stop()
}

func TestStartAfterKill(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	conf := writeConfig(t, dir, unixListener(socket))
	d := startDaemon(t, conf, nil)
	wantPong(t, "unix", socket)
	d.signal(syscall.SIGKILL)
	d.wait()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatal("the socket of the killed daemon is gone: ", err)
	}
	d = startDaemon(t, conf, nil)
	wantPong(t, "unix", socket)
	d.stop()
}

// TestSocketInUse starts a second daemon. It must end without harming the first, and
// leave no files.
func TestSocketInUse(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, fresh := filepath.Join(dir, "s"), filepath.Join(dir, "a")
	first := startDaemon(t, writeConfig(t, dir, unixListener(socket)), nil)
	second := launch(t, nil, "--config", writeConfig(t, dir, unixListener(fresh)+unixListener(socket)))
	if status := second.wait(); status != 1 || !strings.Contains(second.stderr.String(), `"unix:`+socket+`": the socket is in use`) {
		t.Errorf("exit status %d, %s", status, second.stderr.String())
	}
	wantGone(t, fresh)
	wantPong(t, "unix", socket)
	first.stop()
	wantGone(t, socket)
}

// TestBadAddresses checks that every address that cannot be opened is reported.
func TestBadAddresses(t *testing.T) {
	dir := testkit.SocketDir(t)
	file, missing := filepath.Join(dir, "f"), filepath.Join(dir, "none", "s")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tcp := ln.Addr().String()
	conf := writeConfig(t, dir, unixListener(file)+unixListener(missing)+"[[listener]]\naddress = \"tcp:"+tcp+"\"\n")
	d := launch(t, nil, "--config", conf)
	if status := d.wait(); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	wantText(t, "stderr", d.stderr.String(), []string{
		`"unix:` + file + `": the file exists and is not a socket`, `"unix:` + missing + `": the directory of the socket, ` + filepath.Dir(missing) + `, does not exist`,
		`"tcp:` + tcp + `": address already in use`})
}

// TestSymbolicLinkAtSocket replaces the socket by a link. A reload and the end of the daemon
// must change neither the link nor its target.
func TestSymbolicLinkAtSocket(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, away, secret := filepath.Join(dir, "s"), filepath.Join(dir, "away"), filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket)), nil)
	if err := os.Rename(socket, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, socket); err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, unixListener(socket, `mode = "0620"`))
	d.reload(reloaded)
	d.waitFor("another program removed or replaced the socket's file")
	if info, err := os.Lstat(away); err != nil || info.Mode().Perm() != 0o620 {
		t.Errorf("the socket: %v, %v, want mode 0620", info, err)
	}
	d.stop()
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the target of the link: %v, %v, want mode 0600", info, err)
	}
}
