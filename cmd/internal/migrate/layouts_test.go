package migrate

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// TestLayouts compares all output for the layouts of the distributions with golden files.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		name    string
		more    []string
		sockets []string
		answers map[string]string
		with    []string
	}{
		{
			name: "debian",
			more: []string{"var/run", "->/run", "run/", "", "usr/bin/clamdscan", "#!", "usr/bin/clamscan", "#!", "opt/sophos-av/bin/savscan", "#!"},
			// The machine's own clamd, and c-icap.
			sockets: []string{"run/clamav/clamd.ctl"},
			answers: map[string]string{"unix:/run/clamav/clamd.ctl": pong, "tcp:127.0.0.1:1344": "ICAP/1.0 200 OK\r\n\r\n"},
			with:    []string{"sophos-savscan"},
		},
		{
			name:    "rhel",
			more:    []string{"var/run", "->../run", "etc/clamd.conf", "->/etc/clamd.d/scan.conf"},
			sockets: []string{"run/clamd.scan/clamd.sock", "run/clamd.amavisd/clamd.sock", "run/savdi/sssp.sock"},
			answers: map[string]string{"unix:/run/clamd.scan/clamd.sock": pong, "tcp:127.0.0.1:3310": pong, "unix:/run/savdi/sssp.sock": "OK SSSP/1.0\r\n"},
		},
		{name: "alpine"}, // clamd is not running
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.name, c.more...)
			for _, s := range c.sockets {
				socketAt(t, dir, s)
			}
			m := look(t, Options{Root: dir, With: c.with, Dial: answering(c.answers)})
			testkit.Golden(t, filepath.Join("testdata", c.name+".golden"), []byte(everything(t, m)))
		})
	}
}

// everything returns all output about a machine.
func everything(t *testing.T, m *Machine) string {
	t.Helper()
	var b strings.Builder
	for _, r := range m.Rows() {
		fmt.Fprintf(&b, "%s | %s | %s | %s\n", r.What, r.Where, r.Means, r.Used)
	}
	text := configOf(t, m)
	fmt.Fprintf(&b, "\n=== configuration\n%s\n=== steps\n%s", text, m.Steps(StepsOptions{Output: "/etc/polyclam/config.toml", Moved: true, Steps: "/root/steps", Undo: "/root/undo"}))
	fmt.Fprintf(&b, "\n=== %s, what differs\n", m.EngineConf())
	old := map[string]bool{}
	for line := range strings.Lines(string(m.clamd.conf.data)) {
		old[line] = true
	}
	for line := range strings.Lines(string(m.engineConf())) {
		if !old[line] {
			b.WriteString(line)
		}
	}
	return b.String()
}
