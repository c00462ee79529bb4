package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	engine := "[[engine]]\nname = \"x\"\nbackend = \"clamd\"\naddress = \"unix:/run/x\"\n"
	good := writeConfig(t, dir, unixListener("/run/polyclam/clamd.sock")+engine)
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
	for _, test := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string
	}{
		{"good", []string{"--check", "--config", good}, 0, []string{good + ": ok\nspool_total is ", "\nneeds at most 47086 descriptors, ", "2 x max_scans x nodes of x\n"}, nil},
		{"doubtful", []string{"--check", "--config=" + doubtful}, 0, []string{doubtful + ": ok\n"}, []string{"warning: " + doubtful + ":1: listener: "}},
		{"passes failures", []string{"--check", "--config=" + failOpen}, 0, []string{failOpen + ": ok\n"}, []string{"warning: " + failOpen + ":6: policy.actions.swerr: clients hear OK "}},
		{"bad", []string{"--check", "--config", bad}, 1, nil, []string{
			bad + ":1: listener: ", "\n" + bad + ":2: listener.adress: unknown key \"adress\"; did you mean \"address\"?\n",
			"\n" + bad + ":4: limits.stream: ", bad + ":1: engine: there is no [[engine]]"}},
		{"bad without check", []string{"--config", bad}, 1, nil, []string{bad + ":4: limits.stream: "}},
		{"missing", []string{"--check", "--config", filepath.Join(dir, "none")}, 1, nil, []string{"polyclamd: open ", "no such file"}},
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
