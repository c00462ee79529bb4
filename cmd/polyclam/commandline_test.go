package main

import (
	"os"
	"path/filepath"
	"testing"

	"polyclam/backends/backendtest"
	"polyclam/cmd/internal/cli"
	"polyclam/test/testkit"
)

func TestCommandLine(t *testing.T) {
	dir := files(t, "f", "text")
	for _, c := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string
	}{
		{"help", []string{"--help"}, 0, []string{"Usage: polyclam ", "\n  scan ", "\n  ping ", "\n  status ", "\n  check ", "\n  version ", "--address address", "--config file"}, nil},
		{"help of scan", []string{"scan", "--help"}, 0, []string{"Usage: polyclam scan [flags] FILE|DIRECTORY|- ...\n", "--jobs", "--json", "--quiet", "Exit status", "--address"}, nil},
		{"help of ping", []string{"ping", "--help"}, 0, []string{"Usage: polyclam ping [flags]\n", "Exit status"}, nil},
		{"help of status", []string{"status", "-h"}, 0, []string{"Usage: polyclam status [flags]\n", "Exit status", "--json"}, nil},
		{"help of check", []string{"check", "--help"}, 0, []string{"Usage: polyclam check [flags] [FILE]\n", "Exit status"}, nil},
		{"help of version", []string{"version", "--help"}, 0, []string{"Usage: polyclam version [flags]\n"}, nil},
		{"help by command", []string{"help", "ping"}, 0, []string{"Usage: polyclam ping [flags]\n"}, nil},
		{"help of an unknown command", []string{"help", "pong"}, 2, nil, []string{`unknown command "pong"; did you mean "ping"?`}},
		{"no shell", []string{"completion"}, 2, nil, []string{"no shell; want one of bash, zsh, fish"}},
		{"unknown shell", []string{"completion", "bsh"}, 2, nil, []string{`unknown shell "bsh"; did you mean "bash"?`}},
		{"two shells", []string{"completion", "bash", "zsh"}, 2, nil, []string{`unexpected argument "zsh"`}},
		{"version", []string{"version"}, 0, []string{"polyclam ", "go1."}, nil},
		{"nothing", nil, 2, nil, []string{"no command; want one of scan, ping, status, check"}},
		{"unknown command", []string{"scam", "f"}, 2, nil, []string{`unknown command "scam"; did you mean "scan"?` + "\n", `Try "polyclam --help"`}},
		{"command after dashes", []string{"--", "ping"}, 2, nil, []string{`the command "ping" comes after "--"; leave that out` + "\n"}},
		{"unlike any command", []string{"frobnicate", "--f"}, 2, nil, []string{`unknown command "frobnicate"; known: scan, ping`}},
		{"unknown flag", []string{"--adress", "x", "ping"}, 2, nil, []string{"unknown flag: --adress; did you mean --address?\n"}},
		{"unknown flag of a command", []string{"scan", "--recursive", "f"}, 2, nil, []string{"unknown flag: --recursive\n"}},
		{"misspelled flag of a command", []string{"scan", "f", "--job=3"}, 2, nil, []string{"unknown flag: --job; did you mean --jobs?\n"}},
		{"unknown letter", []string{"scan", "-qx", "f"}, 2, nil, []string{"unknown flag: -x\n"}},
		{"flag before its command", []string{"--json", "scan", "f"}, 2, nil, []string{"unknown flag: --json"}},
		{"flag without its value", []string{"scan", "f", "--jobs"}, 2, nil, []string{"--jobs needs a value\n"}},
		{"jobs not a number", []string{"scan", "-j", "many", "f"}, 2, nil, []string{`--jobs "many": want a whole number` + "\n"}},
		{"timeout not a duration", []string{"scan", "--timeout", "9", "f"}, 2, nil, []string{`--timeout "9": want a duration such as "30s"` + "\n"}},
		{"hostile flag", []string{"--\x1b[2J"}, 2, nil, []string{`\x1b[2J`}},
		{"nothing to scan", []string{"scan"}, 2, nil, []string{"nothing to scan"}},
		{"stdin twice", []string{"scan", "-", "-"}, 2, nil, []string{"- is given 2 times"}},
		{"no jobs", []string{"scan", "--jobs", "0", "f"}, 2, nil, []string{"--jobs 0"}},
		{"too many jobs", []string{"scan", "-j257", "f"}, 2, nil, []string{"--jobs 257"}},
		{"negative timeout", []string{"scan", "--timeout=-1s", "f"}, 2, nil, []string{"--timeout -1s"}},
		{"argument of ping", []string{"ping", "x"}, 2, nil, []string{`unexpected argument "x"`}},
		{"argument of status", []string{"status", "x"}, 2, nil, []string{`unexpected argument "x"`}},
		{"argument of version", []string{"version", "x"}, 2, nil, []string{`unexpected argument "x"`}},
		{"two files to check", []string{"check", "f", "g"}, 2, nil, []string{`unexpected argument "g"`}},
		{"two ways to check", []string{"--config", "f", "check", "g"}, 2, nil, []string{"given twice"}},
		{"no time to check", []string{"check", "--timeout", "0s", "f"}, 2, nil, []string{"--timeout 0s"}},
		{"address", []string{"--address", "localhost:3310", "ping"}, 2, nil, []string{"--address: ", `write "unix:/path/of/socket" or "tcp:host:port"`}},
		{"no configuration", []string{"--config", "none", "ping"}, 2, nil, []string{"open none: no such file or directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := polyclam(t, dir, c.args...)
			r.wantStatus(t, c.status)
			wantParts(t, r.stdout, c.stdout...)
			wantParts(t, r.stderr, c.stderr...)
			if r.stderr != printableLines(r.stderr) {
				t.Errorf("stderr is not printable: %q", r.stderr)
			}
		})
	}
}

func TestPing(t *testing.T) {
	s := serve(t, nil, marked())
	for _, address := range []string{s.unix, s.tcp} {
		for _, args := range [][]string{{"--address", address, "ping"}, {"ping", "--address", address}} {
			r := polyclam(t, "", args...)
			r.wantStatus(t, exitOK)
			wantParts(t, r.stdout, address+": PONG in ", " ms\n")
			wantParts(t, r.stderr)
		}
	}
}

// TestAddresses checks which address of a configuration is used.
func TestAddresses(t *testing.T) {
	s := serve(t, nil, marked())
	dead, missing := backendtest.Refusing(t, "tcp"), backendtest.Missing(t)
	conf := func(tables string) string {
		return files(t, "c.toml", tables+"[[engine]]\nname = \"x\"\nbackend = \"inspect\"\n")
	}
	listener := func(address, more string) string { return "[[listener]]\naddress = \"" + address + "\"\n" + more }
	for _, c := range []struct {
		name, tables   string
		status         int
		stdout, stderr []string
	}{
		{"first", listener(s.unix, ""), 0, []string{s.unix + ": PONG"}, nil},
		{"a socket before a port", listener(s.tcp, "") + listener(s.unix, ""), 0, []string{s.unix + ": PONG"}, nil},
		{"the next if one is dead", listener(missing, "") + listener(dead, "") + listener(s.tcp, ""), 0, []string{s.tcp + ": PONG"}, nil},
		{"one that reports errors", listener(missing, "") + listener(s.unix, "client = \"rspamd\"\n") + listener(s.tcp, ""), 0, []string{s.unix + ": PONG"}, nil},
		{"none", listener(missing, "") + listener(dead, ""), 2, nil, []string{"no server answers (addresses from c.toml):",
			missing + ": no such file or directory (is polyclamd running?)", dead + ": connection refused (is polyclamd running?)"}},
		{"no listener", "", 2, nil, []string{"c.toml has no listener with an address and without TLS; want --address"}},
		{"bad file, no server", "[[listener]]\nadress = \"x\"\n" + listener(missing, ""), 2, nil, []string{"c.toml:2: listener.adress: unknown key",
			"no server answers (addresses from the usual places, because c.toml is refused):", missing + ": no such file or directory"}},
		{"bad file", "[limits]\nstream = 1\nstraem = 2\n" + listener(s.unix, ""), 0, []string{s.unix + ": PONG"},
			[]string{"c.toml:3: limits.straem: unknown key", "polyclam: the configuration is refused; the server at " + s.unix + " is used"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := polyclam(t, conf(c.tables), "--config", "c.toml", "ping")
			r.wantStatus(t, c.status)
			wantParts(t, r.stdout, c.stdout...)
			wantParts(t, r.stderr, c.stderr...)
		})
	}
}

func TestTargetsByDefault(t *testing.T) {
	if _, err := os.Stat(cli.DefaultConfig); err == nil {
		t.Skip("this host has a configuration")
	}
	t.Setenv("RUNTIME_DIRECTORY", "/run/elsewhere")
	p, err := new(tool).places()
	list, origin := p.list, p.origin
	if err != nil || origin != "the embedded default" {
		t.Fatalf("targets = %v, %q, %v", list, origin, err)
	}
	want := []string{"unix:/run/elsewhere/clamd.sock", packagedSocket, "tcp:127.0.0.1:3310"}
	for i, at := range list {
		if i >= len(want) || at.String() != want[i] {
			t.Errorf("targets = %v, want %v", list, want)
			break
		}
	}
	if len(list) != len(want) {
		t.Errorf("targets = %v, want %v", list, want)
	}
}

func TestUnreachable(t *testing.T) {
	c := unprivileged(t, toolCommand(t, "", "ping"))
	dir := testkit.SocketDir(t)
	c.Args = append(c.Args, "--address", "unix:"+filepath.Join(dir, "s"))
	s := serve(t, nil, marked())
	if err := os.Symlink(s.unix[len("unix:"):], filepath.Join(dir, "s")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.unix[len("unix:"):], 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		os.Chmod(s.unix[len("unix:"):], 0)
	}
	r := finish(t, c)
	r.wantStatus(t, exitFailed)
	wantParts(t, r.stderr, "permission denied (check the mode and group of the socket")
}
