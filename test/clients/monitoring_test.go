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
	"sync"
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
		{"NRPE", command(t, snippet(t, "monitoring.md", "nrpe"), "command[check_polyclam]=", tool), pluginOK, pluginCritical, pluginCritical},
		{"the service of the timer", command(t, snippet(t, "monitoring.md", "status-service"), "ExecStart=", tool), pluginOK, pluginCritical, pluginCritical},
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

// command returns the command line after key in a configuration, with our tool.
func command(t *testing.T, text, key, tool string) string {
	t.Helper()
	_, line, ok := strings.Cut(text, key)
	line, _, _ = strings.Cut(line, "\n")
	if !ok || !strings.HasPrefix(line, "/usr/bin/polyclam ") {
		t.Fatalf("no command line of polyclam after %s in %q", key, text)
	}
	return strings.Replace(line, "/usr/bin", tool, 1)
}

// TestMonitoringUnits has systemd read the units of the recipe, and journalctl its
// options.
func TestMonitoringUnits(t *testing.T) {
	t.Parallel()
	analyze := clamdtest.RequireProgram(t, "systemd-analyze")
	dir, tool := t.TempDir(), buildPolyclam(t)
	args := []string{"verify", "--man=no"}
	for name, text := range map[string]string{
		"polyclam-status.service": snippet(t, "monitoring.md", "status-service"),
		"polyclam-status.timer":   snippet(t, "monitoring.md", "status-timer"),
		"polyclam-alarm.service":  snippet(t, "monitoring.md", "alarm"),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "/usr/bin", tool)), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	cmd := exec.Command(analyze, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "polyclam-") { // the others are of this machine's units
			t.Errorf("systemd-analyze: %s", line)
		}
	}
	if err != nil {
		t.Logf("systemd-analyze: %v: %s", err, out)
	}
	journal := strings.TrimSpace(snippet(t, "monitoring.md", "journal")) + " --directory=" + dir
	if out, _ := runShell(t, os.Getenv("PATH"), journal); !strings.Contains(out, "No journal files were found") {
		t.Errorf("%s: %s", journal, out)
	}
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
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	at := newTarget(t, watched)
	daemon := at.startPolyclam(t, watched, &engines{clamd: engine.Socket}, worldUp)
	front, stats := startHAProxy(t, at.fill(snippet(t, "monitoring.md", "haproxy")))

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

// TestMonitoringHAProxyReady has HAProxy take a polyclamd without engines out of service.
func TestMonitoringHAProxyReady(t *testing.T) {
	t.Parallel()
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	e := &engines{clamd: engine.Socket}
	at := newTarget(t, watched)
	program := filepath.Join(t.TempDir(), "polyclam-ready")
	script := strings.ReplaceAll(snippet(t, "monitoring.md", "haproxy-program"), "/usr/bin", buildPolyclam(t))
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	daemon := at.startPolyclam(t, watched, e, worldDown)
	_, stats := startHAProxy(t, strings.ReplaceAll(at.fill(snippet(t, "monitoring.md", "haproxy-ready")), "/usr/local/bin/polyclam-ready", program))
	server(t, stats, "DOWN")
	daemon.stop()
	at.startPolyclam(t, watched, e, worldUp)
	server(t, stats, "UP")
}

// startHAProxy runs HAProxy with a recipe's configuration. It returns the port where it
// listens instead of 3311, and its socket for statistics.
func startHAProxy(t *testing.T, text string) (front, stats string) {
	t.Helper()
	program := clamdtest.RequireProgram(t, "haproxy")
	dir := clamdtest.Dir(t, "")
	front, stats = clamdtest.Port(t), filepath.Join(dir, "stats.sock")
	base, conf := filepath.Join(dir, "base.cfg"), filepath.Join(dir, "haproxy.cfg")
	for file, text := range map[string]string{base: fmt.Sprintf(haproxyBase, stats), conf: strings.ReplaceAll(text, "3311", front)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, status := run(t, nil, program, "-c", "-f", base, "-f", conf); status != 0 || strings.Contains(out, "WARNING") {
		t.Fatalf("haproxy -c: exit status %d: %s", status, out)
	}
	launch(t, exec.Command(program, "-db", "-f", base, "-f", conf))
	return front, stats
}

// instream scans data at a port of 127.0.0.1 and returns the whole reply.
func instream(port, content string) (string, error) {
	return instreamAt("tcp", "127.0.0.1:"+port, content)
}

func instreamAt(network, address, content string) (string, error) {
	nc, err := net.DialTimeout(network, address, hang)
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

// buildPolyclam builds the tool once and returns its directory.
func buildPolyclam(t *testing.T) string {
	t.Helper()
	dir, err := builtPolyclam()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var builtPolyclam = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "pcb"); err != nil {
		return "", err
	}
	toolDir = dir
	// Without run's time limit: compiling may take long.
	if out, err := exec.Command("go", "build", "-o", dir, "polyclam/cmd/polyclam").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build polyclam: %w: %s", err, out)
	}
	return dir, nil
})

// toolDir is where builtPolyclam puts the tool. TestMain removes it.
var toolDir string

// runShell runs a command line with this PATH.
func runShell(t *testing.T, path, command string) (string, int) {
	t.Helper()
	return run(t, nil, "env", "PATH="+path, "sh", "-c", command)
}
