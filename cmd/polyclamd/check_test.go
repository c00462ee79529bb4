package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

func TestCommandLine(t *testing.T) {
	dir := testkit.SocketDir(t)
	engine := "[[engine]]\nname = \"x\"\nbackend = \"clamd\"\naddress = \"unix:/run/x\"\n"
	good := writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))+engine)
	bad := filepath.Join(dir, "bad.toml")
	text := "[[listener]]\nadress = \"unix:/run/x\"\n[limits]\nstream = \"lots\"\n"
	if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	doubtful := filepath.Join(dir, "doubtful.toml")
	if err := os.WriteFile(doubtful, []byte(engine), 0o600); err != nil {
		t.Fatal(err)
	}
	failOpen := filepath.Join(dir, "failopen.toml")
	if err := os.WriteFile(failOpen, []byte(engine+"[policy.actions]\nswerr = \"ok\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(dir, "elsewhere.toml")
	text = unixListener(dir+"/none/s") + "[[listener]]\naddress = \"tcp:198.51.100.1:3310\"\n[spool]\ndirectory = " + strconv.Quote(elsewhere+"/spool") + "\n" + engine
	text = strings.ReplaceAll(text, "\n\n", "\n")
	if err := os.WriteFile(elsewhere, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string
	}{
		{"good", []string{"--check", "--config", good}, 0, []string{good + ": ok\nspool_total is ", "\nneeds at most 47214 descriptors, ", "2 x max_scans x nodes of x\n"}, nil},
		{"doubtful", []string{"--check-file", "--config=" + doubtful}, 0, []string{doubtful + ": ok\n"}, []string{"warning: " + doubtful + ":1: listener: "}},
		{"nothing to listen on", []string{"--check", "--config=" + doubtful}, 1, nil, []string{"warning: " + doubtful + ":1: listener: ", "polyclamd: nothing to listen on: "}},
		{"passes failures", []string{"--check-file", "--config=" + failOpen}, 0, []string{failOpen + ": ok\n"}, []string{"warning: " + failOpen + ":6: policy.actions.swerr: clients hear OK "}},
		{"bad", []string{"--check", "--config", bad}, 1, nil, []string{
			bad + ":1: listener: ", "\n" + bad + ":2: listener.adress: unknown key \"adress\"; did you mean \"address\"?\n",
			"\n" + bad + ":4: limits.stream: ", bad + ":1: engine: there is no [[engine]]"}},
		{"bad without check", []string{"--config", bad}, 1, nil, []string{bad + ":4: limits.stream: "}},
		{"missing", []string{"--check", "--config", filepath.Join(dir, "none")}, 1, nil, []string{"polyclamd: open ", "no such file"}},
		{"file only", []string{"--check-file", "--config", elsewhere}, 0, []string{elsewhere + ": ok\nspool_total is ", "\nneeds at most "}, nil},
		{"elsewhere", []string{"--check", "--config", elsewhere}, 1, nil, []string{
			elsewhere + ":2: listener.address: \"unix:" + dir + "/none/s\": the directory of the socket, " + dir + "/none, does not exist; make it with",
			"\n" + elsewhere + ":4: listener.address: \"tcp:198.51.100.1:3310\": cannot assign requested address: this machine does not have the address",
			"\n" + elsewhere + ":6: spool.directory: spool: directory \"" + elsewhere + "/spool\""}},
		{"version", []string{"--version"}, 0, []string{"polyclamd ", "go1."}, nil},
		{"help", []string{"--help"}, 0, []string{"Usage: polyclamd", "--config file", "--check", "--version", "--log-level level"}, nil},
		{"unknown flag", []string{"--chek"}, 2, nil, []string{"polyclamd: unknown flag: --chek; did you mean --check?\nTry \"polyclamd --help\".\n"}},
		{"flag without its value", []string{"--config"}, 2, nil, []string{"polyclamd: --config needs a value\n"}},
		{"completion", []string{"completion", "bash"}, 0, []string{"__start_polyclamd"}, nil},
		{"completion of an unknown shell", []string{"completion", "nope"}, 2, nil, []string{`unknown shell "nope"; known: bash, zsh, fish`}},
		{"completion after flags", []string{"--check", "--config", bad, "completion"}, 2, nil, []string{`unexpected argument "completion"`}},
		{"completion of a level", []string{"__complete", "--log-level", ""}, 0, []string{"\nwarn\n", "\n:4\n"}, nil},
		{"argument", []string{"start"}, 2, nil, []string{`unexpected argument "start"`}},
		{"log level", []string{"--log-level", "loud"}, 2, nil, []string{`"loud"`, "trace, debug, info, warn or error"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := launch(t, nil, test.args...)
			if status := d.wait(); status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			wantText(t, "stdout", d.stdout.String(), test.stdout)
			wantText(t, "stderr", d.stderr.String(), test.stderr)
		})
	}
}

// TestCheckOnMachine checks a configuration beside the daemon that uses it, and then next to
// a clamd.
func TestCheckOnMachine(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, store := filepath.Join(dir, "s"), filepath.Join(dir, "a", "spool")
	port := freePort(t)
	conf := writeConfig(t, dir, "scan_paths = [\"/\", \"/none\"]\n"+unixListener(socket)+tcpListener("127.0.0.1", port)+"[spool]\ndirectory = "+strconv.Quote(store)+"\n"+
		"[[engine]]\nname = \"p\"\nbackend = \"command\"\nargv = [\"/none/scan\", \"{path}\"]\nexit.0 = \"ok\"\nrequired = false\n")
	check := func(status int, stderr ...string) {
		t.Helper()
		c := launch(t, nil, "--check", "--config", conf)
		if got := c.wait(); got != status {
			t.Errorf("exit status %d, want %d", got, status)
		}
		wantText(t, "stderr", c.stderr.String(), append(stderr, "warning: "+conf+":1: scan_paths: /none does not exist",
			"engine: command scan: cannot start /none/scan: no such file or directory (key program)"))
	}
	check(0)
	wantGone(t, socket)
	wantGone(t, filepath.Dir(store))

	d := startDaemon(t, conf, nil)
	check(0)
	wantPong(t, "unix", socket)
	wantPong(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	d.reload(reloaded)
	d.stop()

	clamd, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	testkit.ServeOn(t, clamd, func(nc net.Conn) {
		io.ReadFull(nc, make([]byte, 16))
		io.WriteString(nc, "ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026| COMMANDS: SCAN PING VERSION INSTREAM\x00")
	})
	check(1, conf+":6: listener.address: \"tcp:127.0.0.1:"+strconv.Itoa(port)+"\": address already in use: a clamd answers there (\"ClamAV 1.4.6")
	if d := launch(t, nil, "--config", conf); d.wait() != 1 || !strings.Contains(d.stderr.String(), "a clamd answers there") {
		t.Error("the start does not say so")
	}
	wantGone(t, socket)
}

// TestCheckBeforeReload runs --check as ExecReload= of the unit does. Of a configuration
// that it refuses, the daemon learns too, for polyclam status.
func TestCheckBeforeReload(t *testing.T) {
	dir := testkit.SocketDir(t)
	good := unixListener(filepath.Join(dir, "s"))
	conf := writeConfig(t, dir, good)
	d := startDaemon(t, conf, nil)
	check := func(status int) string {
		t.Helper()
		c := launch(t, func(c *exec.Cmd) { c.Env = append(c.Env, fmt.Sprintf("MAINPID=%d", d.cmd.Process.Pid)) }, "--check", "--config", conf)
		if got := c.wait(); got != status {
			t.Errorf("exit status %d, want %d", got, status)
		}
		return c.stderr.String()
	}
	if got := check(0); got != "" {
		t.Errorf("the check of a good file prints %q", got)
	}
	writeConfig(t, dir, good+unixListener("/none/s"))
	if got := check(1); !strings.Contains(got, "/none, does not exist") {
		t.Errorf("the check of a bad file prints %q", got)
	}
	d.waitFor(refused)
	wantPong(t, "unix", filepath.Join(dir, "s"))
}

// TestCheckAndStartAgree wants --check to fail exactly where a start does.
func TestCheckAndStartAgree(t *testing.T) {
	dir := testkit.SocketDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(dir, "s")
	for _, test := range []struct {
		name, text string
		fails      bool
	}{
		{"good", unixListener(good), false},
		{"every address", tcpListener("0.0.0.0", freePort(t)) + unixListener(good), false},
		{"any", tcpListener("*", freePort(t)) + unixListener(good), true},
		{"no such name", tcpListener("no-such-name.", 1<<16-1) + unixListener(good), true},
		{"foreign address", tcpListener("198.51.100.1", 3310) + unixListener(good), true},
		{"no directory", unixListener(filepath.Join(dir, "none", "s")) + unixListener(good), true},
		{"below a file", unixListener(file+"/s") + unixListener(good), true},
		{"a file", unixListener(file) + unixListener(good), true},
		{"a directory", unixListener(dir) + unixListener(good), true},
		{"spool is a file", unixListener(good) + "[spool]\ndirectory = " + strconv.Quote(file) + "\n", true},
		{"spool below a file", unixListener(good) + "[spool]\ndirectory = " + strconv.Quote(file+"/spool") + "\n", true},
		{"spool of the kernel", unixListener(good) + "[spool]\nstore = \"tmpfile\"\ndirectory = \"/proc\"\n", true},
		{"spool to be created in the kernel", unixListener(good) + "[spool]\ndirectory = \"/proc/spool\"\n", true},
		{"spool to be created", unixListener(good) + "[spool]\ndirectory = " + strconv.Quote(filepath.Join(dir, "spool")) + "\n", false},
		{"no certificates", unixListener(good) + icapWith(file), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			conf := writeConfig(t, dir, test.text)
			c := launch(t, nil, "--check", "--config", conf)
			if status := c.wait(); (status != 0) != test.fails {
				t.Errorf("--check: exit status %d", status)
			}
			d := launch(t, nil, "--config", conf)
			if !test.fails {
				d.waitFor("engine")
				d.stop()
				return
			}
			if status := d.wait(); status != 1 {
				t.Errorf("start: exit status %d", status)
			}
			if a, b := problemLine(c, conf), problemLine(d, conf); a != b || a == "" {
				t.Errorf("--check says %q, the start %q", a, b)
			}
			wantGone(t, good)
		})
	}
}

// problemLine returns the first line about a problem in conf.
func problemLine(d *testDaemon, conf string) string {
	for line := range strings.Lines(d.stderr.String()) {
		if strings.HasPrefix(line, conf+":") {
			return line
		}
	}
	return ""
}

// wantText checks that text contains all parts. Without parts, text must be empty.
func wantText(t *testing.T, name, text string, parts []string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s is\n%s\nwant %q in it", name, text, p)
		}
	}
	if len(parts) == 0 && text != "" {
		t.Errorf("%s is\n%s\nwant nothing", name, text)
	}
}

func TestLogLevel(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	conf := writeConfig(t, dir, unixListener(socket))
	d := launch(t, nil, "--log-level", "error", "--config", conf)
	testkit.Eventually(t, "the socket", func() bool { _, err := ask("unix", socket, "zPING\x00"); return err == nil })
	d.stop()
	if text := d.stderr.String(); text != "" {
		t.Errorf("stderr is\n%s\nwant nothing", text)
	}
}
