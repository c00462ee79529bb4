package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/cmd/internal/config"
	"polyclam/test/testkit"
)

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

// TestSocketInUse starts a second daemon. It must end without harming the first, and leave
// nothing behind.
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
		`"unix:` + file + `": the file exists and is not a socket`, `"unix:` + missing + `": the directory of the socket does not exist`,
		`"tcp:` + tcp + `": address already in use`})
}

// TestDefaultDirectory checks that a socket directory among temporary files must belong to this
// user.
func TestDefaultDirectory(t *testing.T) {
	t.Setenv("TMPDIR", testkit.SocketDir(t))
	dir := filepath.Join(os.TempDir(), "polyclam")
	address := "unix:" + filepath.Join(dir, "clamd.sock")
	for range 2 { // created, then found
		if err := makeSocketDir(address); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Lstat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v, want mode 0700", info, err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := makeSocketDir(address); err == nil {
		t.Error("a directory that everyone may write to was accepted")
	}
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"2", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+"2", dir); err != nil {
		t.Fatal(err)
	}
	if err := makeSocketDir(address); err == nil {
		t.Error("a symbolic link was accepted")
	}
	if err := makeSocketDir("tcp:127.0.0.1:3310"); err != nil {
		t.Errorf("TCP: %v", err)
	}
}

func TestOpenAllClosesOnError(t *testing.T) {
	dir := testkit.SocketDir(t)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "none", "b")
	file := &config.File{Listeners: []config.Listener{config.NewListener("unix:" + a), config.NewListener("unix:" + b)}}
	if opened, err := openAll(file, nil); err == nil || opened != nil {
		t.Errorf("openAll = %v, %v", opened, err)
	}
	wantGone(t, a)
}
