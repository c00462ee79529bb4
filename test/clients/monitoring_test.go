package clients

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// plugins is where Debian's monitoring-plugins-basic installs its programs.
const plugins = "/usr/lib/nagios/plugins"

// watched is the monitored polyclamd. It is not a row of the table, since nothing is
// scanned.
var watched = client{name: "monitoring", recipe: "monitoring.md", listener: "listener", network: "unix"}

// The exit status of a plugin.
const (
	pluginOK       = 0
	pluginWarning  = 1
	pluginCritical = 2
)

// TestMonitoring runs every check of the recipe against a polyclamd with working
// engines, one whose engines are all down, and no polyclamd at all.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	checkClamd := clamdtest.RequireProgram(t, filepath.Join(plugins, "check_clamd"))
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	at := newTarget(t, watched)
	tool := buildPolyclam(t)
	path := tool + ":" + filepath.Dir(checkClamd) + ":" + os.Getenv("PATH")
	ways := []struct {
		name, block           string
		up, enginesDown, gone int
	}{
		{"check_clamd over TCP", snippet(t, "monitoring.md", "check-tcp"), pluginOK, pluginOK, pluginCritical},
		{"check_clamd on the socket", snippet(t, "monitoring.md", "check-unix"), pluginOK, pluginOK, pluginCritical},
		{"polyclam status", snippet(t, "monitoring.md", "status"), pluginOK, pluginCritical, pluginCritical},
		{"polyclam status by negate", strings.ReplaceAll(snippet(t, "monitoring.md", "status-critical"), "/usr/bin", tool), pluginOK, pluginCritical, pluginCritical},
	}
	ask := func(state string, want func(i int) int) {
		for i, w := range ways {
			if out, status := runShell(t, path, at.fill(w.block)); status != want(i) {
				t.Errorf("%s, %s: exit status %d: %s", state, w.name, status, out)
			}
		}
	}
	// settled waits for the engines' first health check.
	settled := func(want int) {
		t.Helper()
		status, out := -1, ""
		for deadline := time.Now().Add(hang); time.Now().Before(deadline) && status != want; time.Sleep(20 * time.Millisecond) {
			out, status = runShell(t, path, at.fill(snippet(t, "monitoring.md", "status")))
		}
		if status != want {
			t.Fatalf("polyclam status: exit status %d, want %d: %s", status, want, out)
		}
	}

	daemon := at.startPolyclam(t, watched, &engines{clamd: engine.Socket}, worldUp)
	settled(pluginOK)
	ask("all up", func(i int) int { return ways[i].up })
	daemon.stop()
	daemon = at.startPolyclam(t, watched, nil, worldDown)
	settled(pluginCritical)
	ask("all engines down", func(i int) int { return ways[i].enginesDown })
	daemon.stop()
	ask("no polyclamd", func(i int) int { return ways[i].gone })
}

// TestMonitoringCheck runs the recipe's polyclam check on good and bad files.
func TestMonitoringCheck(t *testing.T) {
	t.Parallel()
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	path := buildPolyclam(t) + ":" + os.Getenv("PATH")
	listener := snippet(t, "monitoring.md", "listener")
	e := &engines{clamd: engine.Socket}
	for _, tt := range []struct {
		name, toml string
		want       int
	}{
		{"usable", listener + e.engines(worldUp), 0},
		{"engines down", listener + e.engines(worldDown), 1},
		{"wrong", listener + "[[engine]]\nname = \"clamav\"\n", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			conf := filepath.Join(dir, "config.toml")
			if err := os.WriteFile(conf, []byte(strings.ReplaceAll(tt.toml, "${DIR}", dir)), 0o644); err != nil {
				t.Fatal(err)
			}
			command := strings.ReplaceAll(snippet(t, "monitoring.md", "check"), "/etc/polyclam/config.toml", conf)
			if out, status := runShell(t, path, command); status != tt.want {
				t.Errorf("exit status %d, want %d: %s", status, tt.want, out)
			}
		})
	}
}

// haproxyBase is what a throw-away HAProxy needs besides the recipe: a socket that
// reports the state of its servers.
const haproxyBase = "global\n    stats socket %s level operator\n"

// TestMonitoringHAProxy puts HAProxy in front of a polyclamd that comes and goes.
func TestMonitoringHAProxy(t *testing.T) {
	t.Parallel()
	program := clamdtest.RequireProgram(t, "haproxy")
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	at := newTarget(t, watched)
	daemon := at.startPolyclam(t, watched, &engines{clamd: engine.Socket}, worldUp)

	front, dir := clamdtest.Port(t), clamdtest.Dir(t, "")
	stats, base, conf := filepath.Join(dir, "stats.sock"), filepath.Join(dir, "base.cfg"), filepath.Join(dir, "haproxy.cfg")
	text := strings.ReplaceAll(at.fill(snippet(t, "monitoring.md", "haproxy")), "3311", front)
	for file, text := range map[string]string{base: fmt.Sprintf(haproxyBase, stats), conf: text} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, status := run(t, nil, program, "-c", "-f", base, "-f", conf); status != 0 || strings.Contains(out, "WARNING") {
		t.Fatalf("haproxy -c: exit status %d: %s", status, out)
	}
	launch(t, exec.Command(program, "-db", "-f", base, "-f", conf))

	server(t, stats, "UP")
	clean, err := instream(front, "nothing to be found here\n")
	if want := "stream: OK\n"; err != nil || clean != want {
		t.Errorf("clean content: %q, %v", clean, err)
	}
	eicar, err := instream(front, clamdtest.EICAR())
	if want := "stream: " + clamdtest.EICARName + " FOUND\n"; err != nil || eicar != want {
		t.Errorf("EICAR: %q, %v", eicar, err)
	}
	daemon.stop()
	server(t, stats, "DOWN")
	if reply, err := instream(front, "nothing to be found here\n"); reply != "" {
		t.Errorf("without polyclamd: %q, %v", reply, err)
	}
	// All engines are down: PING is still answered with PONG, and a scan with an error.
	at.startPolyclam(t, watched, nil, worldDown)
	server(t, stats, "UP")
	if reply, err := instream(front, "nothing to be found here\n"); err != nil || !strings.HasSuffix(reply, " ERROR\n") {
		t.Errorf("without engines: %q, %v", reply, err)
	}
}

// instream scans data at a port of 127.0.0.1 and returns the whole reply.
func instream(port, content string) (string, error) {
	nc, err := net.DialTimeout("tcp", "127.0.0.1:"+port, hang)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := fmt.Fprintf(nc, "nINSTREAM\n\x00\x00\x00%c%s\x00\x00\x00\x00", len(content), content); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(nc)
	return string(reply), err
}

// server waits until HAProxy calls its server UP or DOWN.
func server(t *testing.T, stats, want string) {
	t.Helper()
	state, err := "", error(nil)
	for deadline := time.Now().Add(hang); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if state, err = serverState(stats); state == want {
			return
		}
	}
	t.Fatalf("the server is %q (%v), want %s", state, err, want)
}

// serverState is the status column of the server's line in "show stat".
func serverState(stats string) (string, error) {
	nc, err := net.Dial("unix", stats)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(nc, "show stat\n"); err != nil {
		return "", err
	}
	for lines := bufio.NewScanner(nc); lines.Scan(); {
		if columns := strings.Split(lines.Text(), ","); len(columns) > 17 && columns[1] == "one" {
			return columns[17], nil
		}
	}
	return "", fmt.Errorf("no server %q", "one")
}

// buildPolyclam builds the tool and returns its directory.
func buildPolyclam(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	// Without run's time limit: compiling may take long.
	if out, err := exec.Command("go", "build", "-o", dir, "polyclam/cmd/polyclam").CombinedOutput(); err != nil {
		t.Fatalf("go build polyclam: %v: %s", err, out)
	}
	return dir
}

// runShell runs a command line with this PATH.
func runShell(t *testing.T, path, command string) (string, int) {
	t.Helper()
	return run(t, nil, "env", "PATH="+path, "sh", "-c", command)
}
