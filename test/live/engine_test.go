package live

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// besideClamd is a configuration that asks Debian's clamd, for MIMEDefang.
const besideClamd = `
[[listener]]
address = "unix:/run/polyclam/clamd.sock"
client = "mimedefang"

[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:/run/clamav/clamd.ctl"
`

// engineFaults break Debian's clamd in ways that happen.
var engineFaults = []struct{ name, breaks, repairs string }{
	{"nothing", "true", "true"},
	{"stopped", "systemctl stop clamav-daemon.socket clamav-daemon.service", "systemctl start clamav-daemon.socket clamav-daemon.service"},
	// polyclam keeps connections, so the mode counts when clamd has been restarted.
	{"socket of root, 0660", `mkdir -p /etc/systemd/system/clamav-daemon.socket.d
printf '[Socket]\nSocketUser=root\nSocketGroup=root\nSocketMode=0660\n' >/etc/systemd/system/clamav-daemon.socket.d/mode.conf
systemctl daemon-reload
systemctl restart clamav-daemon.socket clamav-daemon.service`,
		`rm /etc/systemd/system/clamav-daemon.socket.d/mode.conf
systemctl daemon-reload
systemctl restart clamav-daemon.socket clamav-daemon.service`},
	{"hung", "kill -STOP $(systemctl show -P MainPID clamav-daemon)", "kill -CONT $(systemctl show -P MainPID clamav-daemon)"},
}

// TestEngineFaults breaks the clamd behind polyclam, and shows what an administrator and
// the senders of mails see. No mail may pass.
func TestEngineFaults(t *testing.T) {
	m := Start(t, Options{Files: ClamdFiles(t, time.Now(), 0)})
	milter := m.StartMIMEDefang(PolyclamSocket)
	m.StartClamd()
	m.InstallByHand(besideClamd, "clamav", "defang")
	m.StartPolyclam()
	m.WaitFound(PolyclamSocket)
	server := m.StartPostfix(milter...)
	server.Send(MailClean) // MIMEDefang's worker loads its modules
	var rows []string
	for _, fault := range engineFaults {
		if fault.name == "hung" && !all() {
			continue // mails wait for a minute
		}
		began := time.Now()
		m.Sh(fault.breaks)
		if fault.name != "stopped" && fault.name != "hung" {
			m.WaitFound(ClamdSocket)
		}
		clean, eicar := server.Send(MailClean), server.Send(MailEICAR)
		status := m.Run("polyclam", "status")
		levels := m.levels(began)
		repaired := time.Now()
		m.Sh(fault.repairs)
		m.WaitFound(PolyclamSocket)
		recovery := time.Since(repaired)
		server.WaitEmpty()
		rows = append(rows, fmt.Sprintf("%-20s | %-11s %6d ms | %-11s %6d ms | exit %d | %-24s | %d ms",
			fault.name, server.Fate(clean), clean.Took.Milliseconds(), server.Fate(eicar), eicar.Took.Milliseconds(), status.Status, levels, recovery.Milliseconds()))
		t.Logf("%s: %v, %v\nstatus: %v", fault.name, clean.Reply, eicar.Reply, status)
		broken := fault.name != "nothing"
		if want := map[bool]string{false: "delivered", true: "tempfailed"}[broken]; server.Fate(clean) != want {
			t.Errorf("%s: the clean mail was %s, want %s", fault.name, server.Fate(clean), want)
		}
		if want := map[bool]string{false: "discarded", true: "tempfailed"}[broken]; server.Fate(eicar) != want {
			t.Errorf("%s: the mail with EICAR was %s, want %s", fault.name, server.Fate(eicar), want)
		}
		if (status.Status != 0) != broken {
			t.Errorf("%s: %v", fault.name, status)
		}
	}
	Table(t, "clamd is            ", "clean mail | EICAR mail | status | journal (warnings, other) | recovers in", rows...)
}

// levels counts what polyclamd has logged since a moment, by the level in its lines.
func (m *Machine) levels(since time.Time) string {
	warnings, other := 0, 0
	for _, e := range m.Journal("-u", "polyclamd", fmt.Sprintf("--since=@%d", since.Unix())) {
		if e.Priority <= 4 || strings.Contains(e.Message, `"level":"warn"`) {
			warnings++
		} else {
			other++
		}
	}
	return fmt.Sprintf("%d, %d", warnings, other)
}
