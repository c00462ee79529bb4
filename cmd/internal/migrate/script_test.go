package migrate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// shells are those that must understand the scripts.
var shells = []string{"sh", "dash", "bash", "busybox"}

// checkShell checks the syntax of a script with all shells of this machine, and with
// shellcheck, which is slow, if lint.
func checkShell(t *testing.T, script []byte, lint bool) {
	t.Helper()
	run := func(argv ...string) {
		if _, err := exec.LookPath(argv[0]); err != nil {
			return
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(string(script))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%q: %v\n%s", argv, err, out)
		}
	}
	for _, sh := range shells {
		if sh == "busybox" {
			run(sh, "sh", "-n")
		} else {
			run(sh, "-n")
		}
	}
	if lint {
		run("shellcheck", "--shell=sh", "-")
	}
}

// TestScripts compares the heads of the scripts with golden files; the rest is the same
// everywhere.
func TestScripts(t *testing.T) {
	run := []string{"run/", "", "var/run", "->/run"}
	for _, c := range []struct {
		name, layout string
		more         []string
		without      string
	}{
		{name: "debian", layout: "debian"},
		{name: "debian-no-socket", layout: "debian", without: "usr/lib/systemd/system/clamav-daemon.socket"},
		{name: "rhel", layout: "rhel"},
		{name: "port", layout: "debian", without: "usr/lib/systemd/system/clamav-daemon.socket", more: []string{"etc/clamav/clamd.conf", "TCPSocket 3310\nUser clamav\n"}},
		{name: "both", layout: "debian", without: "usr/lib/systemd/system/clamav-daemon.socket", more: []string{"etc/clamav/clamd.conf", "TCPSocket 3310\nTCPAddr 192.0.2.1\nLocalSocket /run/clamav/clamd.ctl\nLocalSocketMode 660\nLocalSocketGroup clamav\n"}},
		{name: "both-debian", layout: "debian", more: []string{"etc/systemd/system/clamav-daemon.socket.d/a.conf", "[Socket]\nListenStream=192.0.2.1:3310\n"}},
		{name: "hostile", layout: "debian", without: "usr/lib/systemd/system/clamav-daemon.socket", more: []string{"etc/clamav/clamd.conf", "LocalSocket /run/it's \"$(touch /x)\" `id` %n/\\;*.ctl\nUser $(id)\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.layout, append(run, c.more...)...)
			if c.without != "" {
				if err := os.Remove(filepath.Join(dir, c.without)); err != nil {
					t.Fatal(err)
				}
			}
			m := look(t, Options{Root: dir})
			steps, undo, err := m.Scripts(ScriptOptions{Output: "/etc/polyclam/config.toml", Config: configOf(t, m), Undo: "/root/the way back"})
			if err != nil {
				t.Fatal(err)
			}
			head, _, ok := strings.Cut(string(steps), "\n"+commonScript)
			if !ok {
				t.Fatal("common.sh is not in the script")
			}
			testkit.Golden(t, filepath.Join("testdata", "script-"+c.name+".golden"), []byte(head))
			checkShell(t, steps, c.name == "hostile" && !testing.Short())
			checkShell(t, undo, c.name == "debian" && !testing.Short())
		})
	}
}

func TestScriptable(t *testing.T) {
	for name, files := range map[string][]string{
		"there is no clamd.conf":       nil,
		"clamd was moved by hand":      {"etc/clamav/clamd.conf", "LocalSocket /run/c-engine.ctl\n", "usr/lib/systemd/system/", ""},
		"systemd is not installed":     {"etc/clamav/clamd.conf", "LocalSocket /run/c.ctl\n"},
		"no unit starts clamd":         {"etc/clamav/clamd.conf", "LocalSocket /run/c.ctl\n", "usr/lib/systemd/system/", ""},
		"clamd was moved by hand: but": {"etc/clamav/clamd.conf", "LocalSocket /run/c.ctl\n", "usr/lib/systemd/system/clamd.service", "[Service]\nExecStart=clamd\n"},
	} {
		m := look(t, Options{Root: tree(t, "", files...)})
		_, _, err := m.Scripts(ScriptOptions{})
		if want, not := strings.CutSuffix(name, ": but"); not != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}

// function runs commands after common.sh and another part of a script, whose last part,
// from "set -", is left out.
func function(t *testing.T, part, before, commands string) string {
	t.Helper()
	part, _, ok := strings.Cut(part, "\nset -")
	if !ok {
		t.Fatal(`the script has no line "set -"`)
	}
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(before + "\n" + commonScript + part + "\nset -eu\n" + commands)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestShellQuote has a shell print what was quoted.
func TestShellQuote(t *testing.T) {
	for _, s := range []string{"", "a", "it's", "''", "'", `\`, "$(id)`id`$x", "a\nb\n", "-n", "*", "\"", "\x80", "é"} {
		var h head
		h.set("X", s)
		h.call("each", [][]string{{s, "x"}, {s}})
		h.WriteString("printf '<%s>' \"$X\"; each printf '<%s>'\n")
		out, err := exec.Command("sh", "-c", h.String()).CombinedOutput()
		if want := "<" + s + "><" + s + "><x><" + s + ">"; err != nil || string(out) != want {
			t.Errorf("%q: %q, %v", s, out, err)
		}
		out, err = exec.Command("sh", "-c", "printf %s "+shellWord(s)).Output()
		if s != "" && (err != nil || string(out) != s) {
			t.Errorf("shellWord(%q): %q, %v", s, out, err)
		}
	}
}

// TestScriptFiles writes and removes files twice.
func TestScriptFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "it's $x.d", "polyclam.conf")
	got := function(t, stepsScript, "F="+shellQuote(file)+"\nT='[Service]\nExecStart=\nExecStart=\"a b\" %%n \\n'",
		`write_file "$F" "$T"; write_file "$F" "$T"; cat "$F"; remove_file "$F"; remove_file "$F"`)
	want := "  wrote " + file + "\n[Service]\nExecStart=\nExecStart=\"a b\" %%n \\n\n  removed " + file + "\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// TestRelink gives a socket's name to another socket.
func TestRelink(t *testing.T) {
	dir := t.TempDir()
	socketAt(t, dir, "a b")
	socketAt(t, dir, "-c")
	got := function(t, stepsScript, "A="+shellQuote(dir+"/a b")+"\nC="+shellQuote(dir+"/-c"),
		`relink "$A" "$C"; relink "$A" "$C"; [ "$A" -ef "$C" ] && echo same`)
	entries, _ := os.ReadDir(dir)
	if got != "same\n" || len(entries) != 2 {
		t.Errorf("%q, %v", got, entries)
	}
}

// TestReplace changes a whole line only.
func TestReplace(t *testing.T) {
	got := function(t, stepsScript, "", `printf '%s\n' 'address = "a\n&"' '#address = "a\n&"' ' x' | replace 'address = "a\n&"' 'address = "b\n&"'`)
	if want := "address = \"b\\n&\"\n#address = \"a\\n&\"\n x\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestUndoAppArmor adds lines to the local part of a profile, twice, and removes them.
func TestUndoAppArmor(t *testing.T) {
	for name, old := range map[string]string{"none": "-", "empty": "", "with a line": "/x r,\n"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			local := filepath.Join(dir, "local", "usr.sbin.clamd")
			if err := os.Mkdir(filepath.Dir(local), 0o755); err != nil {
				t.Fatal(err)
			}
			if old != "-" {
				if err := os.WriteFile(local, []byte(old), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var h head
			h.set("APPARMOR_LINES", "/a b r,\n/c w,")
			h.set("APPARMOR_PROFILE", "")
			h.set("APPARMOR_LOCAL", local)
			h.set("APPARMOR_BEGIN", apparmorBegin)
			h.set("APPARMOR_CREATED", apparmorCreated)
			h.set("APPARMOR_END", apparmorEnd)
			h.WriteString("SERVICE_DROPIN= SOCKET_DROPIN= DROPIN=polyclam.conf\n")
			const fakes = "\nSYSTEM=$PWD/units\nload_apparmor() { :; }\nsystemctl() { :; }\nsay() { :; }\n"
			cd := "cd " + shellQuote(dir) + fakes
			function(t, stepsScript, h.String(), cd+"prepare; prepare")
			added := read(t, dir, "local/usr.sbin.clamd")
			if strings.Count(added, "/c w,\n") != 1 || !strings.HasPrefix(added, strings.TrimPrefix(old, "-")) {
				t.Errorf("added: %q", added)
			}
			function(t, undoScript, h.String(), cd+"remove_apparmor; remove_apparmor")
			left, err := os.ReadFile(local)
			if old == "-" && err == nil || old != "-" && string(left) != old {
				t.Errorf("left behind: %q, want %q", left, old)
			}
		})
	}
}
