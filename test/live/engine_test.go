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

// soon is a time limit for the scans of besideClamd that a test can wait for.
const soon = "timeout = \"5s\"\n"

// An engineFault breaks Debian's clamd in a way that happens.
type engineFault struct {
	name, breaks, repairs string
	settings              string // more for the [[engine]]
	passes                bool   // mails pass, because clamd still scans
	status                int    // of polyclam status
	long                  bool
}

// restartClamd restarts Debian's clamd and its socket.
const restartClamd = "\nsystemctl restart clamav-daemon.socket clamav-daemon.service"

var engineFaults = []engineFault{
	{name: "nothing", breaks: "true", repairs: "true", passes: true},
	{name: "stopped", breaks: "systemctl stop clamav-daemon.socket clamav-daemon.service", repairs: "systemctl start clamav-daemon.socket clamav-daemon.service", status: 2},
	// polyclam keeps connections, so the mode counts when clamd has been restarted.
	{name: "socket of root, 0660", breaks: `mkdir -p /etc/systemd/system/clamav-daemon.socket.d
printf '[Socket]\nSocketUser=root\nSocketGroup=root\nSocketMode=0660\n' >/etc/systemd/system/clamav-daemon.socket.d/mode.conf
systemctl daemon-reload` + restartClamd,
		repairs: `rm /etc/systemd/system/clamav-daemon.socket.d/mode.conf
systemctl daemon-reload` + restartClamd, status: 2},
	{name: "hung, timeout 5s", breaks: hang, repairs: unhang, settings: soon, status: 2},
	// Mails wait for a minute.
	{name: "hung", breaks: hang, repairs: unhang, status: 2, long: true},
	// The last: polyclam asks for the age of signatures once a minute.
	{name: "old signatures", breaks: "cp /root/old.cud /var/lib/clamav/daily.cud" + restartClamd,
		repairs: "cp /root/new.cud /var/lib/clamav/daily.cud" + restartClamd, passes: true, status: 1},
}

const (
	hang   = "kill -STOP $(systemctl show -P MainPID clamav-daemon)"
	unhang = "kill -CONT $(systemctl show -P MainPID clamav-daemon)"
)

// TestEngineFaults breaks the clamd that polyclam asks, and shows what administrators and
// senders see. No mail passes unless clamd has scanned it.
func TestEngineFaults(t *testing.T) {
	const daily = "/var/lib/clamav/daily.cud"
	files := ClamdFiles(t, time.Now(), 0)
	files["/root/new.cud"], files["/root/old.cud"] = files[daily], ClamdFiles(t, time.Now().AddDate(-1, 0, 0), 0)[daily]
	m := Start(t, Options{Files: files})
	milter := m.StartMIMEDefang(PolyclamSocket)
	m.StartClamd()
	m.InstallPolyclam(besideClamd, "clamav", "defang")
	m.StartPolyclam()
	m.WaitFound(PolyclamSocket)
	server := m.StartPostfix(milter...)
	server.Send(MailClean) // MIMEDefang's worker loads its modules
	var rows []string
	for _, fault := range engineFaults {
		if !fault.long || all() {
			rows = append(rows, fault.happen(t, m, server))
		}
	}
	Table(t, "clamd is            ", "clean mail | EICAR mail | status | journal: errors, warnings, others | recovers in", rows...)
}

// happen lets a fault happen, checks what is seen of it, repairs it, and returns a row for
// the table.
func (fault engineFault) happen(t *testing.T, m *Machine, server *MailServer) string {
	t.Helper()
	m.Put("/etc/polyclam/config.toml", besideClamd+fault.settings, 0o644)
	m.Sh("systemctl reload polyclamd.service")
	began := time.Now()
	m.Sh(fault.breaks)
	if strings.Contains(fault.breaks, restartClamd) {
		m.WaitFound(ClamdSocket)
	}
	if fault.passes {
		m.WaitFound(PolyclamSocket) // polyclam has noticed the restart
	}
	clean, eicar := server.Send(MailClean), server.Send(MailEICAR)
	// What only a health check notices takes as long as that.
	status := m.WaitStatus(fault.status)
	noticed := time.Since(began)
	levels := m.levels(t, began)
	repaired := time.Now()
	m.Sh(fault.repairs)
	m.WaitFound(PolyclamSocket)
	recovery := time.Since(repaired)
	if !fault.passes {
		m.WaitStatus(0)
	}
	server.WaitEmpty()

	sentence, _, _ := strings.Cut(status.Stdout, "\n")
	t.Logf("%s: %v, %v\nstatus after %v: exit %d: %s", fault.name, clean.Reply, eicar.Reply, noticed.Round(time.Millisecond), status.Status, sentence)
	want := [2]string{"tempfailed", "tempfailed"}
	if fault.passes {
		want = [2]string{"delivered", "discarded"}
	}
	if got := [2]string{server.Fate(clean), server.Fate(eicar)}; got != want {
		t.Errorf("%s: the clean mail was %s and the mail with EICAR %s, want %v", fault.name, got[0], got[1], want)
	}
	if broken := fault.status != 0; broken != (levels[0]+levels[1] > 0) {
		t.Errorf("%s: the journal has %d errors and %d warnings", fault.name, levels[0], levels[1])
	}
	return fmt.Sprintf("%-20s | %-10s %6d ms | %-10s %6d ms | exit %d | %d, %d, %d | %d ms",
		fault.name, server.Fate(clean), clean.Took.Milliseconds(), server.Fate(eicar), eicar.Took.Milliseconds(), status.Status, levels[0], levels[1], levels[2], recovery.Milliseconds())
}

// levels counts what polyclamd has logged since a moment: errors, warnings, and the rest.
// It shows errors and warnings.
func (m *Machine) levels(t *testing.T, since time.Time) (count [3]int) {
	t.Helper()
	for _, e := range m.Journal("-u", "polyclamd", fmt.Sprintf("--since=@%d", since.Unix())) {
		switch {
		case e.Time.Before(since):
			continue
		case strings.Contains(e.Message, `"connections lowered"`):
			continue // because of this host's limit of open descriptors
		case e.Priority <= 3:
			count[0]++
		case e.Priority == 4:
			count[1]++
		default:
			count[2]++
			continue
		}
		t.Logf("journal: <%d> %s", e.Priority, e.Message)
	}
	return count
}
