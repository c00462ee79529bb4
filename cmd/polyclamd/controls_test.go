package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"polyclam/test/testkit"
)

// steering is the admin socket of a daemon.
type steering struct {
	t      *testing.T
	client *http.Client
}

func steer(t *testing.T, path string) *steering {
	return &steering{t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}}
}

// post sends a command, and returns the status and the answer.
func (s *steering) post(ctx context.Context, path, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", "http://admin"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// want sends a command, and checks its answer.
func (s *steering) want(path, body string, status int, parts ...string) {
	s.t.Helper()
	got, text, err := s.post(s.t.Context(), path, body)
	if err != nil || got != status {
		s.t.Errorf("%s: %d %s %v, want %d", path, got, text, err, status)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			s.t.Errorf("%s: the answer is %s\nwant %s", path, text, p)
		}
	}
}

func adminTable(path string) string { return "[admin]\naddress = \"unix:" + path + "\"\n" }

// TestReloadAnswers checks what a reload answers: nothing changed, what changed, why it is
// refused.
func TestReloadAnswers(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, other, admin := filepath.Join(dir, "s"), filepath.Join(dir, "o"), filepath.Join(dir, "a")
	base := unixListener(socket) + adminTable(admin)
	d := startDaemon(t, writeConfig(t, dir, base), nil)
	s := steer(t, admin)
	s.want("/reload", "", 200, `{"changes":["nothing changed"]`)

	writeConfig(t, dir, base+unixListener(other)+"[limits]\nstream = \"5MiB\"\n[policy.actions]\nswerr = \"ok\"\n")
	s.want("/reload", "", 200, `"listener unix:`+other+` added"`, `limits.stream: `, ` 5MiB"`, `policy.actions.swerr added: \"ok\"`, `"warnings":["`)
	wantPong(t, "unix", other)

	writeConfig(t, dir, base+"[limits]\nstream = \"lots\"\nconnections = 0\n")
	s.want("/reload", "", 409, `limits.stream`, `limits.connections`)
	wantPong(t, "unix", other) // as before

	writeConfig(t, dir, base)
	s.want("/reload", "", 200, `"listener unix:`+other+` removed"`)
	d.stop()
	line := d.entries(reloaded)[1]
	if changes, _ := json.Marshal(line["changes"]); !strings.Contains(string(changes), "listener unix:"+other+" added") {
		t.Errorf("the log line of the reload has the changes %s", changes)
	}
	for _, e := range d.entries("admin command") {
		if user, _ := e["user"].(string); !strings.HasPrefix(user, "uid="+strconv.Itoa(os.Getuid())) || !strings.HasSuffix(user, "pid="+strconv.Itoa(os.Getpid())) {
			t.Errorf("the log has the user %q", user)
		}
	}
}

// TestReloadTogether sends several commands during a reload that hangs: one more reload
// follows for all of them. A command that ends early changes nothing, and the daemon serves
// clients and other commands all the time.
func TestReloadTogether(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, second, admin := filepath.Join(dir, "s"), filepath.Join(dir, "2"), filepath.Join(dir, "a")
	conf := writeConfig(t, dir, unixListener(socket)+adminTable(admin))
	good, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, conf, nil)
	s := steer(t, admin)
	fifo(t, conf)

	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { // begins the reload that hangs, and does not wait for it
		_, _, err := s.post(ctx, "/reload", "")
		gone <- err
	}()
	w := openFIFO(t, conf)
	cancel()
	if err := <-gone; err == nil {
		t.Error("a canceled command is answered")
	}
	d.waitFor("admin command")
	wantPong(t, "unix", socket)
	s.want("/log", `{"level":"debug"}`, 200, `{"before":"info","after":"debug"}`)

	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, unixListener(socket)+adminTable(admin)+unixListener(second))
	var commands sync.WaitGroup
	for range 3 {
		commands.Go(func() { s.want("/reload", "", 200, `"listener unix:`+second+` added"`) })
	}
	testkit.Eventually(t, "three commands", func() bool { return len(d.entries(queued)) == 3 })
	if _, err := w.Write(good); err != nil {
		t.Fatal(err)
	}
	w.Close()
	commands.Wait()
	d.stop()
	if n := len(d.entries(reloaded)); n != 2 {
		t.Errorf("%d reloads, want 2", n)
	}
}

// TestStopDuringReload stops the daemon while a command waits for a reload that hangs.
func TestStopDuringReload(t *testing.T) {
	dir := testkit.SocketDir(t)
	admin := filepath.Join(dir, "a")
	conf := writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))+adminTable(admin))
	d := startDaemon(t, conf, nil)
	s := steer(t, admin)
	fifo(t, conf)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		s.want("/reload", "", 409, errStopping.Error())
	}()
	w := openFIFO(t, conf)
	defer w.Close()
	d.stop()
	<-answered
}

// TestRuntimeLevel changes the level of the log: reloads keep it, until one has another level.
func TestRuntimeLevel(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, admin := filepath.Join(dir, "s"), filepath.Join(dir, "a")
	base := unixListener(socket) + adminTable(admin)
	conf := writeConfig(t, dir, base)
	d := startDaemon(t, conf, nil)
	s := steer(t, admin)
	wantLevel := func(want string) {
		t.Helper()
		reply, err := ask("unix", socket, "zXSTATUS\x00")
		if has := strings.Contains(reply, "log_level="); err != nil || has != (want != "") || has && !strings.Contains(reply, "log_level="+want+" ") {
			t.Errorf("the status is %q, %v, want the level %q", reply, err, want)
		}
	}
	wantLevel("")
	s.want("/log", `{"level":"loud"}`, 400, "unknown level")
	s.want("/log", `{"level":"error"}`, 200, `{"before":"info","after":"error"}`)
	wantLevel("error")
	s.want("/reload", "", 200, "nothing changed")
	wantLevel("error")
	s.want("/log", `{"level":"debug"}`, 200, `{"before":"error","after":"debug"}`)
	setLogLevel(t, conf, "warn")
	s.want("/reload", "", 200, `log.level: \"info\" -\u003e \"warn\"`)
	wantLevel("")
	s.want("/log", `{"level":"warn"}`, 200, `{"before":"warn","after":"warn"}`)
	wantLevel("")
	d.stop()
	if n := len(d.entries("admin command")); n != 6 {
		t.Errorf("the log has %d commands, want all 6, whatever its level", n)
	}
}

// setLogLevel writes the key into a file of writeConfig.
func setLogLevel(t *testing.T, conf, level string) {
	t.Helper()
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, append(text, "level = \""+level+"\"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
}
