package live

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends/command/commandfake"
	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

// TestSecondEngine adds engines to a migrated mail host as the manual says: a table in
// the configuration and a reload.
func TestSecondEngine(t *testing.T) {
	if !all() {
		return
	}
	h := startHost(t)
	h.sweep(t)
	h.cicap(t)
	h.quarantine(t)
	h.refused(t)
}

// A host is a mail host with MIMEDefang that polyclam init has migrated.
type host struct {
	m      *Machine
	server *MailServer
	config string // as polyclam init wrote it
}

const configFile = "/etc/polyclam/config.toml"

func startHost(t *testing.T) *host {
	m := Start(t, Options{Files: ClamdFiles(t, time.Now(), 0)})
	milter := m.StartMIMEDefang(ClamdSocket)
	m.StartClamd()
	h := &host{m: m, server: m.StartPostfix(milter...)}
	m.Sh("dpkg -i " + m.PutPackage() + `
polyclam init -o ` + configFile + ` --move-clamd --steps /root/steps.sh --undo /root/undo.sh
sh /root/steps.sh`)
	h.config = m.Get(configFile)
	h.expect(t, "polyclamd --check", 0)
	h.expect(t, "polyclam check", 0)
	h.expect(t, "polyclam status", 0)
	return h
}

// expect runs a command, shows what it says, and fails the test if its exit status is not
// as wanted or if it does not say all texts.
func (h *host) expect(t *testing.T, command string, status int, texts ...string) Result {
	t.Helper()
	r := h.m.Run("sh", "-c", command)
	t.Logf("# %s\n%v", command, r)
	if r.Status != status {
		t.Errorf("%s: exit %d, want %d", command, r.Status, status)
	}
	for _, text := range texts {
		if !strings.Contains(r.Stdout+r.Stderr, text) {
			t.Errorf("%s: it does not say %q", command, text)
		}
	}
	return r
}

// add adds a table to the configuration that polyclam init wrote, and reloads. systemctl
// must exit with a status, and the journal say all texts.
func (h *host) add(t *testing.T, table string, status int, texts ...string) {
	t.Helper()
	t.Logf("added to %s:\n%s", configFile, table)
	h.m.Put(configFile, h.config+table, 0o644)
	began := time.Now()
	h.expect(t, "systemctl reload polyclamd", status)
	// The daemon reloads after systemctl has ended.
	texts = append(texts, map[bool]string{true: `"reloaded"`, false: "reload refused"}[status == 0])
	said := ""
	testkit.Eventually(t, fmt.Sprintf("the journal says %q", texts), func() bool {
		said = ""
		for _, e := range h.m.Journal("-u", "polyclamd", fmt.Sprintf("--since=@%d", began.Unix())) {
			if !e.Time.Before(began) {
				said += fmt.Sprintf("<%d> %s\n", e.Priority, e.Message)
			}
		}
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(said, text) })
	})
	t.Logf("journal:\n%s", said)
}

// fates sends a mail of each kind, and returns what became of them.
func (h *host) fates(t *testing.T, what string) (list []string) {
	t.Helper()
	var mails []Mail
	for _, kind := range mailKinds {
		mails = append(mails, h.server.Send(kind))
	}
	h.server.WaitEmpty()
	for _, mail := range mails {
		list = append(list, h.server.Fate(mail))
		t.Logf("%s: %s: %s, %v after %v", what, mail.Kind, h.server.Fate(mail), mail.Reply, mail.Took.Round(time.Millisecond))
	}
	return list
}

// scanned fails the test if mails were not delivered, but for the virus.
func (h *host) scanned(t *testing.T, what string) {
	t.Helper()
	if got := fmt.Sprint(h.fates(t, what)); got != "[delivered discarded delivered]" {
		t.Errorf("%s: the mails were %s", what, got)
	}
}

const sweepTable = `
[[engine]]
name = "sweep"
backend = "command"
preset = "sophos-sweep"
`

// sweep adds a command line, in all steps that could go wrong.
func (h *host) sweep(t *testing.T) {
	t.Helper()
	// Before the program is installed the checks say so, and nothing has changed yet.
	h.m.Put(configFile, h.config+sweepTable, 0o644)
	h.expect(t, "polyclamd --check", 0, "cannot start sweep: not found in PATH")
	h.expect(t, "polyclam check", 1, "cannot start sweep: not found in PATH")
	h.scanned(t, "before the reload")
	script, err := os.ReadFile(commandfake.Sweep(t))
	if err != nil {
		t.Fatal(err)
	}
	// Its signatures are recent.
	recent := strings.Replace(string(script), "22 August 2017", time.Now().Format("2 January 2006"), 1)
	h.m.Put("/usr/local/bin/sweep", recent, 0o755)
	h.expect(t, "polyclam check", 0, "does not use it yet: reload it")
	h.add(t, sweepTable, 0)
	h.usable(t, "sweep")
	h.scanned(t, "with sweep")
	h.m.Put("/srv/eicar", string(testfile.EICAR()), 0o644)
	h.expect(t, "clamdscan --fdpass /srv/eicar", 1, "FOUND")
}

// usable waits until an engine is up, and checks what the commands say of it.
func (h *host) usable(t *testing.T, engine string) {
	t.Helper()
	h.m.WaitStatus(0)
	h.expect(t, "polyclam status", 0, "everything is usable", engine)
	h.expect(t, "polyclam check", 0, engine)
}

// cicap adds c-icap as Debian has it: its clamd_mod asks clamd's socket, where polyclam is
// now. Then it asks clamd's new socket.
func (h *host) cicap(t *testing.T) {
	t.Helper()
	const table = `
[[engine]]
name = "icap"
backend = "icap"
address = "tcp:127.0.0.1:1344"
service = "avscan"
`
	h.m.Sh(`sed -i 's/^START=.*/START=yes/' /etc/default/c-icap
printf 'Include virus_scan.conf\nInclude clamd_mod.conf\nvirus_scan.PassOnError off\n' >>/etc/c-icap/c-icap.conf
echo 'clamd_mod.ClamdSocket ` + ClamdSocket + `' >>/etc/c-icap/clamd_mod.conf
systemctl restart c-icap`)
	h.m.WaitListen("127.0.0.1:1344")
	h.add(t, table, 0)
	h.m.WaitStatus(2)
	h.expect(t, "polyclam status", 2, "icap")
	h.expect(t, "polyclam check", 1, "icap")

	h.m.Sh(`sed -i 's,^clamd_mod.ClamdSocket .*,clamd_mod.ClamdSocket /run/clamav/clamd-engine.ctl,' /etc/c-icap/clamd_mod.conf
systemctl restart c-icap`)
	h.m.WaitListen("127.0.0.1:1344")
	h.usable(t, "icap")
	h.scanned(t, "with c-icap")
}

// quarantine lets clients hear FOUND for encrypted mails. Debian's filter discards them.
func (h *host) quarantine(t *testing.T) {
	t.Helper()
	before := h.config
	const table = "\n[policy.actions]\n"
	if !strings.Contains(h.config, table) {
		h.config += table
	}
	h.config = strings.Replace(h.config, table, table+"encrypted = \"quarantine\"\n", 1)
	h.add(t, "", 0, "accepts the mail and discards it")
	h.expect(t, "polyclamd --check", 0, "accepts the mail and discards it")
	h.expect(t, "polyclam check", 0, "accepts the mail and discards it")
	if got := h.fates(t, "encrypted is quarantine"); got[2] != "discarded" {
		t.Errorf("encrypted = quarantine: %q", got)
	}
	h.config = before
}

// refused reloads configurations that would fail, and checks that nothing changes.
func (h *host) refused(t *testing.T) {
	t.Helper()
	state := "systemctl show -p ActiveState -p SubState -p Result -p NRestarts -p MainPID polyclamd.service"
	h.add(t, "", 0)
	before := h.m.Sh(state)
	for _, table := range []string{
		"max_sise = 5\n",
		"[spool\n",
		"\n[[listener]]\naddress = \"tcp:192.0.2.1:3310\"\n",
		"\n[[listener]]\naddress = \"unix:/srv/none/clamd.sock\"\n",
		"\n[spool]\ndirectory = \"/srv/spool\"\n" + sweepTable,
	} {
		h.add(t, table, 1, "config.toml")
		h.expect(t, "polyclamd --check", 1, "config.toml")
		h.expect(t, "polyclam status", 1, "the configuration on disk is refused since")
		if after := h.m.Sh(state); after != before {
			t.Errorf("the unit was\n%s\nand is\n%s", before, after)
		}
	}
	h.scanned(t, "after refused reloads")
	h.add(t, "", 0)
	h.m.WaitStatus(0)
}
