package migrate

import (
	"os"
	"strings"
	"testing"
)

func TestAppArmor(t *testing.T) {
	rules, err := root{tree(t, "debian", "etc/apparmor.d/local/usr.sbin.clamd", "/srv/{a,b}/[0-9]?/** rw,\nowner /x r,\n@{mine}/y r,\ndeny\n{{{ r,\n")}.profile("/etc/apparmor.d/usr.sbin.clamd")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, letter string
		want         bool
	}{
		{"/etc/clamav/clamd.conf", "r", true},
		{"/etc/clamav/clamd.conf", "w", false},
		{"/etc/clamav/clamd-engine.conf", "r", false},
		{"/run/clamav/clamd.ctl", "w", true},
		{"/var/run/clamav/clamd.ctl", "w", true},
		{"/run/clamav/clamd-engine.ctl", "w", false},
		{"/var/log/clamav/x", "w", true},
		{"/var/log/clamav/x/y", "w", false},
		{"/var/lib/clamav/x/y", "w", true},
		{"/home/me/x/y", "r", true},
		{"/root/x", "r", true},
		{"/srv/a/1x/f", "w", true},
		{"/srv/c/1x/f", "w", false},
		{"/x", "r", true},
		{"/y", "r", false},
	} {
		if got := allows(rules, c.path, c.letter); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.path, c.letter, got, c.want)
		}
	}
}

// TestAppArmorOfThisMachine reads the profile of Debian's package, if it is installed.
func TestAppArmorOfThisMachine(t *testing.T) {
	const file = "/etc/apparmor.d/usr.sbin.clamd"
	if _, err := os.Stat(file); err != nil {
		t.Skip("NOT TESTED: there is no " + file)
	}
	rules, err := root{}.profile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !allows(rules, "/etc/clamav/clamd.conf", "r") || !allows(rules, "/run/clamav/clamd.ctl", "w") {
		t.Errorf("%d rules do not allow clamd what it does", len(rules))
	}
}

func TestAppArmorLacks(t *testing.T) {
	const local = "etc/apparmor.d/local/usr.sbin.clamd"
	for _, c := range []struct{ rules, want string }{
		{"", "/etc/clamav/clamd-engine.conf r,\n/run/polyclam-migration/bridge.conf r,\n/run/clamav/clamd-bridge.ctl w,\n/run/clamav/clamd-engine.ctl w,"},
		{"/etc/clamav/* r,\n/run/clamav/* rw,\n", "/run/polyclam-migration/bridge.conf r,"},
		{"/etc/clamav/* r,\n/run/clamav/* rw,\n/run/*/*.conf r,\n", ""},
	} {
		m := look(t, Options{Root: tree(t, "debian", "run/", "", "var/run", "->/run", local, c.rules)})
		profile, lacks := m.apparmorLacks()
		if got := strings.Join(lacks, "\n"); got != c.want || profile != "/etc/apparmor.d/usr.sbin.clamd" {
			t.Errorf("%q: %s lacks\n%s\nwant\n%s", c.rules, profile, got, c.want)
		}
	}
	for file, want := range map[string]string{"/a/b": "/a/b", "/a b/*": `"/a b/\*"`, "/t{/**": `/t\{/**`} {
		if got := apparmorPath(file); got != want {
			t.Errorf("apparmorPath(%q) = %s, want %s", file, got, want)
		}
	}
}

func TestUnits(t *testing.T) {
	r := root{tree(t, "debian",
		"etc/systemd/system/clamav-daemon.service.d/extend.conf", "[Service]\nExecStartPre=-/bin/mkdir -p /run/clamav\nExecStart=\nExecStart = /usr/sbin/clamd -c /etc/x.conf  --foreground\n",
		"etc/systemd/system/clamav-daemon.service.d/zz-polyclam.conf", "[Service]\nExecStart=\nExecStart=ignored\n")}
	m := &Machine{root: r}
	s := m.service()
	if s.unit != "clamav-daemon.service" || s.socket != "clamav-daemon.socket" || s.start != "/usr/sbin/clamd -c /etc/x.conf  --foreground" {
		t.Errorf("service = %+v", s)
	}
	for command, want := range map[string]string{
		"clamd":                              "clamd --config-file=/e",
		"clamd -c /etc/x.conf --foreground":  "clamd --config-file=/e --foreground",
		"clamd --config-file=/x -F":          "clamd --config-file=/e -F",
		"clamd --config-file \"/x y\" --foo": "clamd --config-file=/e --foo",
	} {
		if got := withConfig(command, "/e"); got != want {
			t.Errorf("withConfig(%q) = %q, want %q", command, got, want)
		}
	}
	if got, want := withConfig("clamd", "/e f%"), `clamd "--config-file=/e f%%"`; got != want {
		t.Errorf("withConfig = %s, want %s", got, want)
	}
}

// TestSteps checks the steps for machines that differ.
func TestSteps(t *testing.T) {
	m := look(t, Options{Root: tree(t, "debian")})
	wantParts(t, m.Steps(StepsOptions{}), "--output /etc/polyclam/config.toml --move-clamd --steps", "!EOF")
	wantParts(t, m.Steps(StepsOptions{Output: "/o"}), "add --force, because /o exists now")
	wantParts(t, m.Steps(StepsOptions{Output: "/o", Moved: true, Steps: "/a b", Undo: "/u"}), "sh '/a b'\n", "sh /u\n", "!--steps")
	none := look(t, Options{Root: tree(t, "")})
	configOf(t, none, "no anti-virus engine")
	wantParts(t, none.Steps(StepsOptions{Output: "/o"}), "Start polyclamd", "!clamdscan", "!go back")
	byHand := look(t, Options{Root: tree(t, "", "etc/clamd.conf", "LocalSocket /run/c-engine.ctl\n")})
	wantParts(t, byHand.Steps(StepsOptions{Output: "/o", Moved: true}), "go to clamd directly, past polyclam", "restore the old address", "!rm ")
	plain := look(t, Options{Root: tree(t, "", "etc/clamd.conf", "TCPSocket 3310\n")})
	wantParts(t, plain.Steps(StepsOptions{Output: "/o", Moved: true}), "clamd --config-file=/etc/clamd-engine.conf", "loopback interface only")
}
