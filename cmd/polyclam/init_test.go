package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const clamdConf = "LocalSocket /run/clamav/clamd.ctl\nLocalSocketMode 660\nMaxThreads 7\nStreamMaxLength 25M\nMaxQueue 5\n"

func readFile(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestInitChangesNothing checks that stdout has the configuration alone, and that no file is
// written.
func TestInitChangesNothing(t *testing.T) {
	dir := files(t, "etc/clamav/clamd.conf", clamdConf)
	r := polyclam(t, dir, "init", "--root", dir)
	r.wantStatus(t, exitOK)
	wantParts(t, r.stdout, "address = \"unix:/run/clamav/clamd.ctl\"", "# /etc/clamav/clamd.conf:3: MaxThreads 7\nmax_scans = 7\n", "stream = \"25MiB\"")
	wantParts(t, r.stderr, "FOUND ", "WHAT IT MEANS", "/etc/clamav/clamd.conf", "not taken over: /etc/clamav/clamd.conf:5: MaxQueue 5", "Remaining steps, as root", "To go back")
	if strings.Contains(r.stderr, "warning: ") {
		t.Errorf("stderr has warnings:\n%s", r.stderr)
	}
	written := 0
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			written++
		}
		return err
	})
	if written != 1 {
		t.Errorf("%d files, want clamd.conf alone", written)
	}
	file := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(file, []byte(r.stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	wantParts(t, polyclam(t, dir, "--config", "c.toml", "ping").stderr, "unix:/run/clamav/clamd.ctl: ") // it can be loaded
}

func TestInitOutput(t *testing.T) {
	dir := files(t, "etc/clamav/clamd.conf", clamdConf)
	out := filepath.Join(dir, "etc/polyclam/config.toml")
	args := func(more ...string) []string { return append([]string{"init", "--root", dir}, more...) }

	r := polyclam(t, dir, args("--output", out, "--move-clamd")...)
	r.wantStatus(t, exitOK)
	wantParts(t, r.stdout)
	wantParts(t, r.stderr, out+" is written", "wrote /etc/clamav/clamd-engine.conf")
	first := readFile(t, out)
	wantParts(t, readFile(t, dir, "etc/clamav/clamd-engine.conf"), "\nLocalSocket /run/clamav/clamd-engine.ctl\n", "\nMaxThreads 7\n")
	if got := readFile(t, dir, "etc/clamav/clamd.conf"); got != clamdConf {
		t.Errorf("clamd.conf was changed:\n%s", got)
	}
	if info, err := os.Stat(out); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v; want 0644", info.Mode(), err)
	}

	for _, again := range [][]string{args(), args("--output", out), args("--output", out, "--move-clamd")} {
		r = polyclam(t, dir, again...)
		r.wantStatus(t, exitOK)
		wantParts(t, r.stdout)
		wantParts(t, r.stderr, "polyclam has already taken clamd's place. The configuration stays as it is")
	}
	wantParts(t, r.stderr, "clamd-engine.conf is already up to date")

	if err := os.WriteFile(out, []byte(first+"# the site's own\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r = polyclam(t, dir, args("--output", out, "--force")...)
	r.wantStatus(t, exitOK)
	wantParts(t, r.stderr, out+" is written; the old one is "+out+".bak")
	if readFile(t, out) != first || readFile(t, out+".bak") != first+"# the site's own\n" {
		t.Error("--force does not write the same configuration with a backup")
	}
}

// TestInitNeverOverwrites passes a file that is not a configuration.
func TestInitNeverOverwrites(t *testing.T) {
	dir := files(t, "etc/clamav/clamd.conf", clamdConf, "out", "precious = ")
	r := polyclam(t, dir, "init", "--root", dir, "--output", "out", "--move-clamd")
	r.wantStatus(t, exitFailed)
	wantParts(t, r.stderr, "polyclam: out exists; --force replaces it", "a configuration with problems")
	if readFile(t, dir, "out") != "precious = " {
		t.Error("the file was overwritten")
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/clamav/clamd-engine.conf")); err == nil {
		t.Error("clamd was moved without a configuration for polyclam")
	}
}

// TestInitScripts writes the scripts, again, and over others.
func TestInitScripts(t *testing.T) {
	dir := files(t, "etc/clamav/clamd.conf", clamdConf, "usr/lib/systemd/system/clamav-daemon.service", "[Service]\nExecStart=/usr/sbin/clamd --foreground=true\n")
	out := filepath.Join(dir, "etc/polyclam/config.toml")
	args := func(more ...string) []string {
		return append([]string{"init", "--root", dir, "--output", out, "--move-clamd", "--steps", "steps", "--undo", "undo"}, more...)
	}
	r := polyclam(t, dir, args()...)
	r.wantStatus(t, exitOK)
	wantParts(t, r.stderr, "steps is written", "undo is written", "    sh steps\n", "    sh undo\n")
	for _, name := range []string{"steps", "undo"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != 0o700 {
			t.Errorf("%s: mode %v, %v; want 0700", name, info.Mode(), err)
		}
		wantParts(t, readFile(t, dir, name), "#!/bin/sh\n", "POLYCLAM_CONF='/etc/polyclam/config.toml'\n", "UNDO='"+filepath.Join(dir, "undo")+"'\n")
	}
	first := readFile(t, dir, "steps")

	r = polyclam(t, dir, args()...)
	r.wantStatus(t, exitFailed)
	wantParts(t, r.stderr, "steps exists; --force replaces it")
	for _, name := range []string{"steps", "undo"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	polyclam(t, dir, args()...).wantStatus(t, exitOK) // the configuration is there already
	if readFile(t, dir, "steps") != first {
		t.Error("the script is not the same")
	}
	if err := os.WriteFile(filepath.Join(dir, "steps"), []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	polyclam(t, dir, args("--force")...).wantStatus(t, exitOK)
	if readFile(t, dir, "steps.bak") != "precious" || readFile(t, dir, "steps") != first {
		t.Error("--force keeps no backup")
	}
}

// TestInitScriptsRefused checks that nothing is written if a script cannot be.
func TestInitScriptsRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--steps", "s"}, "--steps and --undo belong together"},
		{[]string{"--steps", "s", "--undo", "u"}, "--steps without --move-clamd"},
		{[]string{"--output", "o", "--move-clamd", "--steps", "s", "--undo", "./s"}, "the same file"},
		{[]string{"--output", "o", "--move-clamd", "--steps", "s", "--undo", "u"}, "the service reads /etc/polyclam/config.toml"},
		{[]string{"--output", "DIR/etc/polyclam/config.toml", "--move-clamd", "--steps", "s", "--undo", "u"}, "--steps: systemd is not installed"},
	} {
		dir := files(t, "etc/clamav/clamd.conf", clamdConf)
		args := []string{"init", "--root", dir}
		for _, a := range c.args {
			args = append(args, strings.ReplaceAll(a, "DIR", dir))
		}
		r := polyclam(t, dir, args...)
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stderr, c.want)
		if _, err := os.Stat(filepath.Join(dir, "etc/polyclam/config.toml")); err == nil {
			t.Errorf("%q: the configuration was written", args)
		}
	}
}

func TestInitProblems(t *testing.T) {
	dir := files(t, "empty/x", "", "bad/etc/clamd.conf", "\n\nLocalSocket \"x\x1b[2J\"\n", "locked/etc/clamd.conf", clamdConf)
	if err := os.Chmod(filepath.Join(dir, "locked/etc/clamd.conf"), 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string
	}{
		{"help", []string{"init", "--help"}, 0, []string{"Usage: polyclam init [flags]\n", "--move-clamd", "--with", "Exit status"}, nil},
		{"nothing found", []string{"init", "--root", "empty"}, 0, []string{"No clamd was found"}, []string{"No clamd.conf was found; this configuration is a starting point.", "warning: ", "no anti-virus engine"}},
		{"bad clamd.conf", []string{"init", "--root", "bad"}, 2, nil, []string{`polyclam: /etc/clamd.conf:3: LocalSocket: "x\x1b[2J" depends on`}},
		{"unreadable clamd.conf", []string{"init", "--root", "locked"}, 2, nil, []string{"polyclam: /etc/clamd.conf: permission denied; run this as root"}},
		{"unknown scanner", []string{"init", "--root", "empty", "--with", "sweep,yara"}, 2, nil, []string{"--with sweep: not found on this machine"}},
		{"argument", []string{"init", "x"}, 2, nil, []string{`unexpected argument "x"`}},
		{"force without output", []string{"init", "--force"}, 2, nil, []string{"--force without --output"}},
		{"move without output", []string{"init", "--move-clamd"}, 2, nil, []string{"--move-clamd without --output"}},
		{"relative clamd.conf", []string{"init", "--clamd-conf", "clamd.conf"}, 2, nil, []string{"want an absolute path"}},
		{"no clamd.conf of that name", []string{"init", "--root", "empty", "--clamd-conf", "/etc/no.conf"}, 2, nil, []string{"/etc/no.conf: no such file or directory"}},
		{"output in a file", []string{"init", "--root", "empty", "--output", "empty/x/y"}, 2, nil, []string{"not a directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := finish(t, unprivileged(t, toolCommand(t, dir, c.args...)))
			r.wantStatus(t, c.status)
			wantParts(t, r.stdout, c.stdout...)
			wantParts(t, r.stderr, c.stderr...)
			if r.stderr != printableLines(r.stderr) {
				t.Errorf("stderr is not printable: %q", r.stderr)
			}
		})
	}
}
