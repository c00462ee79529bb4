package live

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

// operated is besideClamd with everything for operators.
const operated = besideClamd + `
[[listener]]
address = "tcp:127.0.0.1:3312"
agent_check = true

[admin]
address = "unix:/run/polyclam/admin.sock"

[http]
address = "tcp:127.0.0.1:9310"
`

// TestOperators gives commands to the installed daemon, and asks its page and its port for
// agent checks, after a start, a reload, a restart and an activation by a client.
func TestOperators(t *testing.T) {
	m := Start(t, Options{Files: ClamdFiles(t, time.Now(), 0)})
	m.StartClamd()
	m.InstallPolyclam(operated, "clamav")
	m.StartPolyclam()
	m.WaitFound(PolyclamSocket)
	m.WaitStatus(0)
	for _, how := range []struct{ name, script string }{
		{"start", "true"},
		{"reload", "systemctl reload polyclamd.service"},
		{"restart", "systemctl restart polyclamd.service"},
		{"activation", "systemctl stop polyclamd.service"}, // the next scan starts it
	} {
		m.Sh(how.script)
		m.WaitFound(PolyclamSocket)
		m.WaitStatus(0)
		m.operate(t, how.name)
	}
	m.refuseOthers(t)
	m.remembers(t)
}

// operate checks the three services for operators.
func (m *Machine) operate(t *testing.T, after string) {
	t.Helper()
	for command, want := range map[string]string{
		"stat -c '%a %U %G' /run/polyclam /run/polyclam/admin.sock": "755 polyclam polyclam\n600 polyclam polyclam\n",
		"polyclam reload":        "nothing changed",
		"polyclam log info":      "the level of the log is info (it was info)",
		"polyclam health clamav": "up",
		"polyclam top --count 1": "ENGINE",
		"curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:9310/readyz": "200",
		// A size check takes a slot for a moment.
		`for i in $(seq 100); do exec 3<>/dev/tcp/127.0.0.1/3312 && read -r line <&3; echo "$line"; [ "$line" = "up ready 100%" ] && break; sleep 0.1; done`: "up ready 100%",
	} {
		r := m.Run("bash", "-c", command)
		if r.Status != 0 || !strings.Contains(r.Stdout, want) {
			t.Errorf("after %s: %s: %v, want %q", after, command, r, want)
		}
	}
}

// refuseOthers has another user, and other daemons on the same machine.
func (m *Machine) refuseOthers(t *testing.T) {
	t.Helper()
	for _, c := range []struct{ command, want string }{
		{"runuser -u nobody -- polyclam log debug", "permission denied; run polyclam as root or as the user polyclam"},
		{"polyclamd --config /etc/polyclam/config.toml", "in use"},
		{"runuser -u nobody -- polyclamd --config /etc/polyclam/config.toml", "/run/polyclam"},
	} {
		r := m.Run("timeout", "20", "bash", "-c", c.command)
		t.Logf("%s: %v", c.command, r)
		if r.Status == 0 || !strings.Contains(r.Stderr, c.want) {
			t.Errorf("%s: %v, want %q", c.command, r, c.want)
		}
	}
	m.operate(t, "the attempts of others")
}

// remembers asks why an object was refused, before and after a restart. Then the command that
// is shown finds the scan in the journal.
func (m *Machine) remembers(t *testing.T) {
	t.Helper()
	const tag = "4dLk2x0Cj9z1x"
	object := string(testfile.EICAR())
	if _, err := m.Ask(PolyclamSocket, "zXTAG "+tag+"\x00zINSTREAM\x00\x00\x00\x00"+string(rune(len(object)))+object+"\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	why := m.Run("polyclam", "why", tag)
	t.Logf("polyclam why %s: %v", tag, why)
	id := regexp.MustCompile(`, id ([0-9a-v]{20})`).FindStringSubmatch(why.Stdout)
	sum := regexp.MustCompile(`sha256 +([0-9a-f]{64})`).FindStringSubmatch(why.Stdout)
	if why.Status != 0 || id == nil || sum == nil {
		t.Fatal("nothing is known of the scan")
	}
	m.Sh("systemctl restart polyclamd.service")
	m.WaitFound(PolyclamSocket)
	for _, key := range []string{tag, id[1], sum[1]} {
		r := m.Run("polyclam", "why", key)
		_, command, _ := strings.Cut(r.Stdout, "from before a restart: ")
		command, _, _ = strings.Cut(command, "\n")
		if key == sum[1] && r.Status == 0 {
			continue // WaitFound sent the same object
		}
		if r.Status != 1 || !strings.HasPrefix(command, "journalctl ") {
			t.Errorf("polyclam why %s: %v", key, r)
			continue
		}
		testkit.Eventually(t, command+" finds the scan", func() bool {
			found := m.Run("sh", "-c", command+" --no-pager")
			return strings.Contains(found.Stdout, tag)
		})
		t.Logf("polyclam why %s: %v\n%s", key, r, m.Run("sh", "-c", command+" --no-pager").Stdout)
	}
}
