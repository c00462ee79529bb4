package main

import (
	"net"
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

// systemd is a socket that receives the daemon's states.
type systemd struct {
	t *testing.T
	*net.UnixConn
	path string
}

func listenNotify(t *testing.T, dir string) *systemd {
	t.Helper()
	path := filepath.Join(dir, "notify")
	nc, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetReadDeadline(time.Now().Add(hang))
	return &systemd{t, nc, path}
}

// receive returns the next state.
func (s *systemd) receive() string {
	s.t.Helper()
	buf := make([]byte, 1024)
	n, err := s.Read(buf)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(buf[:n])
}

// next returns the first line of the next state.
func (s *systemd) next() string {
	s.t.Helper()
	state, _, _ := strings.Cut(s.receive(), "\n")
	return state
}

// notifies makes a command send its states to s.
func (s *systemd) notifies(c *exec.Cmd) { c.Env = append(c.Env, "NOTIFY_SOCKET="+s.path) }

func (s *systemd) want(states ...string) {
	s.t.Helper()
	for _, want := range states {
		if got := s.next(); got != want {
			s.t.Fatalf("systemd gets %q, want %q", got, want)
		}
	}
}

// passSocket passes a listener to the daemon as systemd does, and closes it in the test.
func passSocket(t *testing.T, c *exec.Cmd, ln interface {
	net.Listener
	File() (*os.File, error)
}) {
	t.Helper()
	f, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	ln.Close()
	c.ExtraFiles = append(c.ExtraFiles, f)
}

func listenUnix(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// TestActivation passes a Unix socket that the configuration has, and a TCP socket that it
// does not have.
func TestActivation(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address := tcp.Addr().String()
	conf := writeConfig(t, dir, unixListener(dir+"//s", `client = "exim"`, "path_commands = false"))
	d := startDaemon(t, conf, func(c *exec.Cmd) {
		c.Env = append(c.Env, "LISTEN_PID=self", "LISTEN_FDS=2")
		passSocket(t, c, listenUnix(t, socket))
		passSocket(t, c, tcp)
	})
	wantListening := func(n int) {
		t.Helper()
		got := map[any]any{}
		for _, e := range d.entries("listening")[n:] {
			if e["systemd"] == true {
				got[e["address"]] = e["client"]
			}
		}
		if len(got) != 2 || got["unix:"+socket] != "exim" || got["tcp:"+address] != "generic" {
			t.Errorf("listening on %v", got)
		}
	}
	wantListening(0)
	wantPong(t, "unix", socket)
	wantPong(t, "tcp", address)
	before, err := os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	d.reload(reloaded)
	d.waitForMore("engine", 1)
	wantListening(2)
	wantPong(t, "unix", socket)
	wantPong(t, "tcp", address)

	writeConfig(t, dir, "") // both sockets stay, because they are systemd's
	d.reload(reloaded)
	wantPong(t, "unix", socket)
	wantPong(t, "tcp", address)
	d.stop()
	if after, err := os.Lstat(socket); err != nil || !os.SameFile(before, after) {
		t.Errorf("systemd's socket: %v, %v, want it unchanged", after, err)
	}
}

func TestActivationWithoutSocket(t *testing.T) {
	dir := testkit.SocketDir(t)
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	socket := filepath.Join(dir, "s")
	d := launch(t, func(c *exec.Cmd) {
		c.Env = append(c.Env, "LISTEN_PID=self", "LISTEN_FDS=1")
		c.ExtraFiles = []*os.File{f}
	}, "--config", writeConfig(t, dir, unixListener(socket)))
	if status := d.wait(); status != 1 || !strings.Contains(d.stderr.String(), "descriptor 3 from systemd") {
		t.Errorf("exit status %d, %s", status, d.stderr.String())
	}
	wantGone(t, socket)
}

func TestNothingToListenOn(t *testing.T) {
	d := launch(t, nil, "--config", writeConfig(t, t.TempDir(), ""))
	if status := d.wait(); status != 1 || !strings.Contains(d.stderr.String(), "nothing to listen on") {
		t.Errorf("exit status %d, %s", status, d.stderr.String())
	}
}

func TestNotify(t *testing.T) {
	dir := testkit.SocketDir(t)
	manager := listenNotify(t, dir)
	wantReloading := func() {
		t.Helper()
		if state := manager.receive(); !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[0-9]+$`).MatchString(state) {
			t.Fatalf("systemd gets %q, want RELOADING with a time", state)
		}
	}
	socket := filepath.Join(dir, "s")
	d := launch(t, manager.notifies,
		"--config", writeConfig(t, dir, unixListener(socket)))
	manager.want(stateReady)
	wantPong(t, "unix", socket)
	d.signal(syscall.SIGHUP)
	wantReloading()
	manager.want(stateReady)
	writeConfig(t, dir, "nonsense")
	d.signal(syscall.SIGHUP) // a refused reload ends too
	wantReloading()
	manager.want(stateReady)
	d.signal(syscall.SIGTERM)
	manager.want(stateStopping)
	if status := d.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}
