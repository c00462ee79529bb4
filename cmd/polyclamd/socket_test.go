package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/cmd/internal/config"
)

// stale leaves a socket at path on which nobody answers.
func stale(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func TestStaleSocket(t *testing.T) {
	dir := socketDir(t)
	socket := filepath.Join(dir, "s")
	stale(t, socket)
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket)), nil)
	wantPong(t, "unix", socket)
	d.stop()
}

func TestStartAfterKill(t *testing.T) {
	dir := socketDir(t)
	socket := filepath.Join(dir, "s")
	conf := writeConfig(t, dir, unixListener(socket))
	d := startDaemon(t, conf, nil)
	wantPong(t, "unix", socket)
	d.signal(syscall.SIGKILL)
	d.wait()
	if _, err := os.Lstat(socket); err != nil {
		t.Fatal("the socket of a killed daemon should be there: ", err)
	}
	d = startDaemon(t, conf, nil)
	wantPong(t, "unix", socket)
	d.stop()
}

// TestSocketInUse has a second daemon: it must end, take nothing from the first
// and leave nothing of its own.
func TestSocketInUse(t *testing.T) {
	dir := socketDir(t)
	socket, fresh := filepath.Join(dir, "s"), filepath.Join(dir, "a")
	first := startDaemon(t, writeConfig(t, dir, unixListener(socket)), nil)
	second := launch(t, nil, "--config", writeConfig(t, dir, unixListener(fresh)+unixListener(socket)))
	if status := second.wait(); status != 1 || !strings.Contains(second.stderr.String(), socket+" is in use") {
		t.Errorf("exit status %d, %s", status, second.stderr.String())
	}
	wantGone(t, fresh)
	wantPong(t, "unix", socket)
	first.stop()
	wantGone(t, socket)
}

// TestPlacesThatCannotBe wants all of them reported.
func TestPlacesThatCannotBe(t *testing.T) {
	dir := socketDir(t)
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
		file + " exists and is not a socket", missing + ": bind: no such file", tcp + ": bind: address already in use"})
}

func TestRemoveStale(t *testing.T) {
	dir := socketDir(t)
	path := filepath.Join(dir, "s")
	if err := removeStale(path); err != nil {
		t.Errorf("nothing there: %v", err)
	}
	stale(t, path)
	if err := removeStale(path); err != nil {
		t.Errorf("a stale socket: %v", err)
	}
	wantGone(t, path)

	link := filepath.Join(dir, "l") // is not followed: the file is another's
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{link, path, dir} {
		if err := removeStale(p); err == nil {
			t.Errorf("%s was removed", p)
		}
		if _, err := os.Lstat(p); err != nil {
			t.Error(err)
		}
	}
}

// TestSocketBeginsClosed looks at the moment between bind and chmod.
func TestSocketBeginsClosed(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	ln, err := listenClosed(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0 {
		t.Errorf("%v, %v, want mode 0", info.Mode(), err)
	}
}

func TestGroupOfSocket(t *testing.T) {
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	group := os.Getgid()
	for _, g := range groups {
		group = g // the last is another than the first where there are several
	}
	if os.Getuid() == 0 {
		group = 12345
	}
	path := filepath.Join(socketDir(t), "s")
	ln, err := openUnix(path, 0o660, group)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; int(gid) != group || info.Mode().Perm() != 0o660 {
		t.Errorf("group %d, mode %v, want %d and 0660", gid, info.Mode(), group)
	}
}

// TestSymbolicLinkAtTheSocket puts a link where the socket was: a reload and the end
// leave it alone, and what it leads to.
func TestSymbolicLinkAtTheSocket(t *testing.T) {
	dir := socketDir(t)
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
		t.Errorf("what the link leads to: %v, %v, want it to be there with mode 0600", info, err)
	}
}

// TestCloseRemovesItsOwnFileOnly has another daemon's socket at the path.
func TestCloseRemovesItsOwnFileOnly(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	s, err := openUnix(path, 0o666, config.NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := openUnix(path, 0o666, config.NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("the socket of the other daemon is gone")
	}
	other.Close()
	wantGone(t, path)
	other.Close() // may be closed again
}

// TestOpenOwn takes nothing but a closed socket of our user.
func TestOpenOwn(t *testing.T) {
	dir := socketDir(t)
	file, link, socket := filepath.Join(dir, "f"), filepath.Join(dir, "l"), filepath.Join(dir, "s")
	if err := os.WriteFile(file, nil, 0); err != nil {
		t.Fatal(err)
	}
	ln, err := listenClosed(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{file: false, link: false, socket: true, filepath.Join(dir, "none"): false} {
		f, err := openOwn(path)
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
		if f != nil {
			f.Close()
		}
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := openOwn(socket); err == nil {
		t.Error("a socket with rights for everybody was taken")
	}
}

// TestDefaultDirectory wants a directory below the one for temporary files to
// be our own.
func TestDefaultDirectory(t *testing.T) {
	t.Setenv("TMPDIR", socketDir(t))
	dir := filepath.Join(os.TempDir(), "polyclam")
	address := "unix:" + filepath.Join(dir, "clamd.sock")
	for range 2 { // made, then found
		if err := makeDirectory(address); err != nil {
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
	if err := makeDirectory(address); err == nil {
		t.Error("a directory where everybody may write was taken")
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
	if err := makeDirectory(address); err == nil {
		t.Error("a symbolic link was taken")
	}
	if err := makeDirectory("tcp:127.0.0.1:3310"); err != nil {
		t.Errorf("TCP: %v", err)
	}
}

func TestOpenAllClosesOnError(t *testing.T) {
	dir := socketDir(t)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "none", "b")
	file := &config.File{Listeners: []config.Listener{config.NewListener("unix:" + a), config.NewListener("unix:" + b)}}
	if opened, err := openAll(file, nil); err == nil || opened != nil {
		t.Errorf("openAll = %v, %v", opened, err)
	}
	wantGone(t, a)
}

// TestCloseOfHungSocket checks that Close returns and ends the listening, though the
// file system of the socket does not answer.
func TestCloseOfHungSocket(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	s, err := openUnix(path, 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock() // as permit has it in a call that hangs
	s.Close()
	if nc, err := net.Dial("unix", path); err == nil {
		nc.Close()
		t.Error("the socket still listens")
	}
	s.mu.Unlock()
	eventually(t, "the removal", func() bool { _, err := os.Lstat(path); return err != nil })
	if err := s.permit(0o600, -1); err == nil {
		t.Error("permit of a closed socket")
	}
}
