package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/testkit"
)

// web is an HTTP client for one address.
func web(network, address string) *http.Client {
	return &http.Client{Timeout: hang, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
}

// wantCode wants the status of an answer; 0: none.
func wantCode(t *testing.T, network, address, path string, want int) (body string) {
	t.Helper()
	answer, err := web(network, address).Get("http://polyclamd" + path)
	if err != nil {
		if want != 0 {
			t.Errorf("%s%s: %v, want %d", address, path, err, want)
		}
		return ""
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != want {
		t.Errorf("%s%s: %s, want %d\n%s", address, path, answer.Status, want, text)
	}
	return string(text)
}

// TestServicesReload adds, changes and removes [http] and [admin].
func TestServicesReload(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, admin, token := filepath.Join(dir, "s"), filepath.Join(dir, "admin"), filepath.Join(dir, "token")
	one, two := fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	listener := unixListener(socket)
	conf := writeConfig(t, dir, listener)
	d := startDaemon(t, conf, nil)

	writeConfig(t, dir, listener+"[http]\naddress = \"tcp:"+one+"\"\n[admin]\naddress = \"unix:"+admin+"\"\n")
	d.reload(reloaded)
	wantCode(t, "tcp", one, "/livez", 200)
	wantCode(t, "tcp", one, "/status.json", 200)
	if info, err := os.Stat(admin); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the admin socket: %v, %v", info, err)
	}
	wantCode(t, "unix", admin, "/livez", 404)

	if err := os.WriteFile(token, []byte("0123456789abcdef0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, listener+"[http]\naddress = \"tcp:"+one+"\"\ntoken_file = \""+token+"\"\n[admin]\naddress = \"unix:"+admin+"\"\nmode = \"0660\"\n")
	d.reload(reloaded)
	wantCode(t, "tcp", one, "/status.json", 401)
	if info, err := os.Stat(admin); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the admin socket with another mode: %v, %v", info, err)
	}

	if err := os.WriteFile(token, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.reload(refused)
	wantCode(t, "tcp", one, "/status.json", 401)

	writeConfig(t, dir, listener+"[http]\naddress = \"tcp:"+two+"\"\n")
	d.reload(reloaded)
	wantCode(t, "tcp", one, "/livez", 0)
	wantCode(t, "tcp", two, "/status.json", 200)
	wantGone(t, admin)

	// A socket cannot begin to speak another protocol.
	writeConfig(t, dir, listener+tcpOnly(two))
	d.reload(refused)
	wantCode(t, "tcp", two, "/livez", 200)

	writeConfig(t, dir, listener)
	d.reload(reloaded)
	wantCode(t, "tcp", two, "/livez", 0)
	wantPong(t, "unix", socket)
	d.stop()
}

func tcpOnly(address string, more ...string) string {
	return "[[listener]]\naddress = \"tcp:" + address + "\"\n" + strings.Join(more, "\n") + "\n"
}

// TestServicesCheck has ports in use, and a daemon that has them already.
func TestServicesCheck(t *testing.T) {
	dir := testkit.SocketDir(t)
	foreign := testkit.Serve(t, "tcp", func(nc net.Conn) { io.WriteString(nc, "220 mail\r\n") })
	taken := strings.TrimPrefix(foreign, "tcp:")
	http, agent := fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	listener := unixListener(filepath.Join(dir, "s"))
	good := listener + tcpOnly(agent, "agent_check = true") + "[http]\naddress = \"tcp:" + http + "\"\n[admin]\naddress = \"unix:" + filepath.Join(dir, "admin") + "\"\n"
	check := func(text string, status int, want string) {
		t.Helper()
		c := launch(t, nil, "--check", "--config", writeConfig(t, dir, text))
		if got := c.wait(); got != status || !strings.Contains(c.stderr.String(), want) {
			t.Errorf("exit status %d, %s, want %d and %q for\n%s", got, c.stderr.String(), status, want, text)
		}
	}
	for text, want := range map[string]string{
		"[http]\naddress = \"" + foreign + "\"\n":                                       "http.address: \"" + foreign + "\": address already in use",
		tcpOnly(taken, "agent_check = true"):                                            "listener.address: \"" + foreign + "\": address already in use",
		"[admin]\naddress = \"unix:/none/admin\"\n":                                     "admin.address: \"unix:/none/admin\": the directory of the socket, /none, does not exist",
		"[http]\naddress = \"tcp:" + http + "\"\ntoken_file = \"" + dir + "/none\"\n":   "http.token_file: " + dir + "/none: no such file",
		"[http]\naddress = \"tcp:0.0.0.0:9\"\n" + tcpOnly("127.0.0.1:9"):                "include the same address",
		"[http]\naddress = \"tcp:198.51.100.1:9310\"\n":                                 "this machine does not have the address",
		"[http]\naddress = \"unix:" + dir + "/s\"\n":                                    "is already the address of the listener",
		"[http]\naddress = \"tcp:127.0.0.1:1\"\n" + tcpOnly("localhost:1") + "#names\n": "include",
	} {
		check(listener+text, 1, want)
		s := launch(t, nil, "--config", writeConfig(t, dir, listener+text)) // a start agrees
		if status := s.wait(); status != 1 {
			t.Errorf("a start ends with %d", status)
		}
	}
	check(good, 0, "")
	d := startDaemon(t, writeConfig(t, dir, good), nil)
	check(good, 0, "")
	d.stop()
	wantGone(t, filepath.Join(dir, "admin"))
}

// TestServicesActivation gets the sockets of [http] and of a listener from systemd.
func TestServicesActivation(t *testing.T) {
	dir := testkit.SocketDir(t)
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address, socket := tcp.Addr().String(), filepath.Join(dir, "s")
	d := startDaemon(t, writeConfig(t, dir, "[http]\naddress = \"tcp:"+address+"\"\n"), func(c *exec.Cmd) {
		c.Env = append(c.Env, "LISTEN_PID=self", "LISTEN_FDS=2")
		passSocket(t, c, tcp)
		passSocket(t, c, listenUnix(t, socket))
	})
	wantCode(t, "tcp", address, "/livez", 200)
	wantPong(t, "unix", socket)
	d.reload(reloaded)
	wantCode(t, "tcp", address, "/livez", 200)
	wantPong(t, "unix", socket)
	d.stop()
}

// TestHostileHTTP has 1,000 connections at the HTTP port while a client scans.
func TestHostileHTTP(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, address := filepath.Join(dir, "s"), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket)+"[http]\naddress = \"tcp:"+address+"\"\n[limits]\nconnections = 10\n"), nil)
	before := descriptorsOf(t, d)
	for i := range 1000 {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		switch i % 3 {
		case 0:
			io.WriteString(nc, "GET /livez HTTP/1.1\r\nX-Slow: ")
		case 1:
			io.WriteString(nc, strings.Repeat("x", 4096))
		}
		if i%100 == 0 {
			wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
		}
	}
	wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
	wantCode(t, "tcp", address, "/livez", 200)
	if n := descriptorsOf(t, d) - before; n > 64+10 {
		t.Errorf("%d more descriptors are open, want 64 and a few", n)
	}
	d.stop()
}

func descriptorsOf(t *testing.T, d *testDaemon) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestDrainDelay sends SIGTERM: the daemon reports that it is not ready, goes on serving, and
// answers systemd's watchdog. Another signal stops it.
func TestDrainDelay(t *testing.T) {
	dir := testkit.SocketDir(t)
	manager := listenNotify(t, dir)
	socket, address := filepath.Join(dir, "s"), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	agent := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d := startDaemon(t, writeConfig(t, dir, "drain_delay = \"10m\"\nshutdown_grace = \"1m\"\n"+unixListener(socket)+
		tcpOnly(agent, "agent_check = true")+"[http]\naddress = \"tcp:"+address+"\"\n"), func(c *exec.Cmd) {
		manager.notifies(c)
		c.Env = append(c.Env, "WATCHDOG_USEC=30000")
	})
	manager.want(stateReady)
	testkit.Eventually(t, "the daemon is ready", func() bool {
		answer, err := web("tcp", address).Get("http://x/readyz")
		return err == nil && answer.Body.Close() == nil && answer.StatusCode == 200
	})
	d.signal(syscall.SIGTERM)
	d.waitFor("draining before the stop")
	state := ""
	for !strings.HasPrefix(state, stateStopping) {
		state = manager.receive()
	}
	if want := stateStopping + "\nEXTEND_TIMEOUT_USEC=675000000"; state != want {
		t.Errorf("systemd gets %q, want %q", state, want)
	}
	var ready struct {
		Draining bool
		Reasons  []string
	}
	body := wantCode(t, "tcp", address, "/readyz", 503)
	if err := json.Unmarshal([]byte(body), &ready); err != nil || !ready.Draining || len(ready.Reasons) != 1 {
		t.Errorf("readyz: %s", body)
	}
	wantCode(t, "tcp", address, "/livez", 200)
	if line, err := ask("tcp", agent, ""); line != "drain\n" {
		t.Errorf("the agent: %q, %v", line, err)
	}
	wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
	d.signal(syscall.SIGHUP) // is not a second signal to stop
	d.waitFor("reload ignored, the daemon is about to stop")
	for range 3 {
		for state := ""; state != stateAlive; {
			if state = manager.receive(); strings.HasPrefix(state, stateReady) || strings.HasPrefix(state, "RELOADING") {
				t.Fatalf("systemd gets %q", state)
			}
		}
	}
	wantPong(t, "unix", socket)
	d.stop() // the second signal
	wantGone(t, socket)
}

// TestDrainDelayEnds has a short delay, which SHUTDOWN begins.
func TestDrainDelayEnds(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	d := startDaemon(t, writeConfig(t, dir, "drain_delay = \"50ms\"\n"+unixListener(socket, "shutdown_command = true")), nil)
	if _, err := ask("unix", socket, "zSHUTDOWN\x00"); err != nil {
		t.Fatal(err)
	}
	if status := d.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if e := d.entries("draining before the stop"); len(e) != 1 || e[0]["command"] != "SHUTDOWN" {
		t.Errorf("log: %v", e)
	}
	if len(d.entries("stopping")) != 1 || len(d.entries("stopped")) != 1 {
		t.Error("the stop was not logged")
	}
}
