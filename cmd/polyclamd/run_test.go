package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends/testfile"
	"polyclam/cmd/internal/cli"
	"polyclam/test/testkit"
)

func eicar() string { return string(testfile.EICAR()) }

func instream(content string) string {
	n := len(content)
	return "zINSTREAM\x00" + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + content + "\x00\x00\x00\x00"
}

// TestDefault has no configuration. The default's port is fixed. If it is in use, the daemon
// must report that and leave no files.
func TestDefault(t *testing.T) {
	if _, err := os.Lstat(cli.DefaultConfig); err == nil {
		t.Skip("this host has a configuration for polyclamd")
	}
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "run", "clamd.sock")
	d := launch(t, func(c *exec.Cmd) { c.Env = append(c.Env, "RUNTIME_DIRECTORY="+filepath.Dir(socket)) })
	testkit.Eventually(t, "the start or the end", func() bool {
		select {
		case <-d.exited:
			return true
		default:
			return len(d.entries("engine")) > 0
		}
	})
	entries := d.entries("configuration")
	if len(entries) == 0 || entries[0]["file"] != "the embedded default" || entries[0]["missing"] != cli.DefaultConfig {
		t.Errorf("the log lacks the source of the configuration: %v", entries)
	}
	if len(d.entries("engine")) == 0 {
		if status := d.wait(); status != 1 || !strings.Contains(d.stderr.String(), "address already in use") {
			t.Errorf("exit status %d", status)
		}
		wantGone(t, socket)
		return
	}
	wantPong(t, "unix", socket)
	wantPong(t, "tcp", "127.0.0.1:3310")
	d.stop()
	wantGone(t, socket)
}

func TestScan(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	conf := writeConfig(t, dir, unixListener(socket))
	d := startDaemon(t, conf, nil)
	wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
	reply, err := ask("unix", socket, instream(eicar()))
	if err != nil || !strings.HasSuffix(reply, " FOUND\x00") {
		t.Errorf("EICAR: %q, %v", reply, err)
	}
	writeConfig(t, dir, unixListener(socket)+"[policy.actions]\nvirus = \"tempfail\"\n")
	d.reload(reloaded)
	if reply, err = ask("unix", socket, instream(eicar())); err != nil || !strings.HasSuffix(reply, " ERROR\x00") {
		t.Errorf("EICAR after the reload: %q, %v", reply, err)
	}
	wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
	d.stop()
}

func TestStopUnlinksSockets(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir := testkit.SocketDir(t)
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		d := startDaemon(t, writeConfig(t, dir, unixListener(a)+unixListener(b)), nil)
		wantPong(t, "unix", a)
		idle, err := net.Dial("unix", b) // must not delay the end
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		d.signal(s)
		if status := d.wait(); status != 0 {
			t.Errorf("exit status %d after %v, want 0", status, s)
		}
		wantGone(t, a)
		wantGone(t, b)
	}
}

// TestSecondSignal has an unfinished stream, which delays the end by the whole grace.
func TestSecondSignal(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	d := startDaemon(t, writeConfig(t, dir, "shutdown_grace = \"24h\"\n"+unixListener(socket)), nil)
	nc := startUpload(t, socket)
	defer nc.Close()
	d.signal(syscall.SIGTERM)
	d.waitFor("stopping")
	d.signal(syscall.SIGHUP) // is ignored now
	d.signal(syscall.SIGTERM)
	if status := d.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if len(d.entries("scans cut off")) == 0 {
		t.Error("the log lacks the scan that was cut off")
	}
	wantGone(t, socket)
}

func TestShutdownCommand(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, other := filepath.Join(dir, "s"), filepath.Join(dir, "o")
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket, "shutdown_command = true")+unixListener(other)), nil)
	if reply, err := ask("unix", other, "zSHUTDOWN\x00"); err != nil || reply == "" {
		t.Errorf("a forbidden SHUTDOWN: %q, %v", reply, err)
	}
	wantPong(t, "unix", socket)
	ask("unix", socket, "zSHUTDOWN\x00")
	if status := d.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	wantGone(t, socket)
}

func TestSocketMode(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket, `mode = "0620"`)), nil)
	info, err := os.Lstat(socket)
	if err != nil || info.Mode().Perm() != 0o620 {
		t.Errorf("%v, %v, want mode 0620", info, err)
	}
	d.stop()
}

func TestUnknownGroup(t *testing.T) {
	dir := testkit.SocketDir(t)
	conf := writeConfig(t, dir, unixListener(filepath.Join(dir, "s"), `group = "no-such-group-here"`))
	d := launch(t, nil, "--config", conf)
	if status := d.wait(); status != 1 || !strings.Contains(d.stderr.String(), conf+":3: listener.group: ") {
		t.Errorf("exit status %d, %s", status, d.stderr.String())
	}
}

func TestBrokenStderr(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d := launch(t, func(c *exec.Cmd) { c.Stderr = w }, "--config", writeConfig(t, dir, unixListener(socket)))
	w.Close()
	testkit.Eventually(t, "the socket", func() bool { _, err := ask("unix", socket, "zPING\x00"); return err == nil })
	r.Close()
	for range 3 { // each logs a line
		wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
	}
	d.stop()
}
