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

// firstLine is the first line of a text.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// TestEngineFaults breaks the clamd behind polyclam in the ways that happen, and reports
// what an administrator and the senders of mails see.
func TestEngineFaults(t *testing.T) {
	m := Start(t, Options{Files: ClamdFiles(t, time.Now(), 0)})
	milter := m.StartMIMEDefang(PolyclamSocket)
	m.StartClamd()
	m.InstallByHand(besideClamd, "clamav", "defang")
	m.StartPolyclam()
	server := m.StartPostfix(milter...)
	for _, fault := range []struct{ name, breaks, repairs string }{
		{"nothing", "true", "true"},
		{"stopped", "systemctl stop clamav-daemon.socket clamav-daemon.service", "systemctl start clamav-daemon.socket clamav-daemon.service"},
		{"hung", "kill -STOP $(systemctl show -P MainPID clamav-daemon)", "kill -CONT $(systemctl show -P MainPID clamav-daemon)"},
		{"0600 of root", "chown root:root /run/clamav/clamd.ctl; chmod 0600 /run/clamav/clamd.ctl", "chown clamav:clamav /run/clamav/clamd.ctl; chmod 0666 /run/clamav/clamd.ctl"},
	} {
		began := time.Now()
		m.Sh(fault.breaks)
		clean, eicar := server.Send(MailClean), server.Send(MailEICAR)
		status := m.Run("polyclam", "status")
		check := m.Run("polyclam", "check")
		t.Logf("%s: clean %v %v, EICAR %v %v\nstatus: %v\ncheck: %v", fault.name, clean.Reply, clean.Took, eicar.Reply, eicar.Took, status, check)
		for _, e := range m.Journal("-u", "polyclamd", "--since=@"+fmt.Sprint(began.Unix())) {
			t.Log(e.Priority, e.Message)
		}
		m.Sh(fault.repairs)
		m.WaitPong(ClamdSocket)
	}
}
