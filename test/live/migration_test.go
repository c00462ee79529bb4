package live

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// all reports whether the long scenarios run too. They are too long for every run of all
// tests.
func all() bool { return os.Getenv("POLYCLAM_LIVE") == "all" }

// A filter is a program between Postfix and clamd.
type filter struct {
	name  string
	start func(*Machine) []string
	eicar string // what happens to a mail with EICAR
	long  bool
}

var filters = []filter{
	{name: "MIMEDefang", start: func(m *Machine) []string { return m.StartMIMEDefang(ClamdSocket) }, eicar: "discarded"},
	{name: "amavis", start: (*Machine).StartAmavis, eicar: "discarded", long: true},
	{name: "rspamd", start: (*Machine).StartRspamd, eicar: "rejected", long: true},
}

// TestMigration puts polyclam in clamd's place on a mail host under load, and back, and
// removes it.
func TestMigration(t *testing.T) {
	for _, f := range filters {
		if f.long && !all() {
			continue
		}
		t.Run(f.name, func(t *testing.T) { migrate(t, f) })
	}
}

// gapLimit is how long clients may be without a right verdict. The scripts are meant to
// take two seconds; a busy machine is slower.
const gapLimit = 5 * time.Second

// A migration is a host under load, and the phases it has gone through.
type migration struct {
	m      *Machine
	filter filter
	server *MailServer
	flow   *MailFlow
	steady *Steady
	phases []phase
}

type phase struct {
	name       string
	begin, end time.Time
	gap        bool // clients may be without a daemon for a moment
}

// phase does something under load.
func (g *migration) phase(name string, gap bool, action func()) {
	p := phase{name: name, begin: time.Now(), gap: gap}
	action()
	p.end = time.Now()
	g.phases = append(g.phases, p)
}

// quiet waits for some scans and mails of a phase without changes.
func (g *migration) quiet(t *testing.T, name string) {
	g.phase(name, false, func() { g.steady.Next(t, 20) })
}

// again runs a script that has nothing left to do.
func (g *migration) again(t *testing.T, name, script string) {
	if all() {
		g.phase(name, false, func() { g.sh(t, script) })
	}
}

// sh runs a script of an administrator, and shows what it said.
func (g *migration) sh(t *testing.T, script string) {
	t.Helper()
	r := g.m.Run("sh", "-euc", script)
	t.Logf("%s: %v", script, r)
	if r.Status != 0 {
		t.Fatalf("%s failed", script)
	}
}

func migrate(t *testing.T, f filter) {
	m := Start(t, Options{Files: ClamdFiles(t, time.Now(), 100_000)})
	g := &migration{m: m, filter: f}
	settings := f.start(m)
	m.StartClamd()
	m.WaitFound(ClamdSocket)
	g.server = m.StartPostfix(settings...)
	for _, kind := range mailKinds {
		g.server.Send(kind) // loads what is loaded at the first mail
	}
	deb := m.PutPackage()
	before := m.Changed()
	g.steady, g.flow = StartSteady(m, ClamdSocket, Steadily), g.server.StartFlow()

	g.quiet(t, "before")
	g.phase("install the package", false, func() { g.sh(t, "dpkg -i "+deb) })
	if got := m.Run("systemctl", "is-active", "polyclamd.socket", "polyclamd.service").Stdout; got != "inactive\ninactive\n" {
		t.Errorf("after installing the package the units are %q", got)
	}
	g.phase("init", false, func() {
		g.sh(t, "polyclam init -o /etc/polyclam/config.toml --move-clamd --steps /root/steps.sh --undo /root/undo.sh")
	})
	g.phase("steps", true, func() { g.sh(t, "sh /root/steps.sh") })
	g.moved(t)
	g.quiet(t, "after")
	g.again(t, "steps again", "sh /root/steps.sh")
	newer := m.Newer(deb)
	g.phase("upgrade", false, func() { g.sh(t, "dpkg -i "+newer) })
	g.phase("undo", true, func() { g.sh(t, "sh /root/undo.sh") })
	g.quiet(t, "back")
	g.again(t, "undo again", "sh /root/undo.sh")
	g.phase("purge", false, func() { g.sh(t, "dpkg --purge polyclam") })
	g.quiet(t, "purged")
	g.flow.Stop()
	g.steady.Stop()
	g.server.WaitEmpty()
	for _, left := range Differences(before, m.Changed()) {
		t.Errorf("after the purge: %s", left)
	}
	g.report(t)
}

// moved checks that polyclam answers where clamd did, and says that all is well.
func (g *migration) moved(t *testing.T) {
	t.Helper()
	if got, err := g.m.Ask(ClamdSocket, "zXSTATUS\x00"); err != nil || !strings.HasPrefix(got, "status: version=") {
		t.Errorf("the daemon at %s is not polyclam: %q, %v", ClamdSocket, got, err)
	}
	for _, command := range []string{"polyclam status", "polyclam check", "polyclamd --check", "clamdscan --fdpass /etc/hostname"} {
		r := g.m.Run("sh", "-c", command)
		t.Logf("%s: %v", command, r)
		if r.Status != 0 {
			t.Errorf("after the steps: %s: %v", command, r)
		}
	}
}

// report prints the tables and fails the test if a client noticed too much.
func (g *migration) report(t *testing.T) {
	t.Helper()
	var scans, mails []string
	for _, p := range g.phases {
		f, fates := FiguresOf(g.steady.Scans(), p.begin, p.end), g.server.Fates(g.flow.Mails(), p.begin, p.end)
		scans = append(scans, fmt.Sprintf("%-20s | %s", p.name, f))
		mails = append(mails, fmt.Sprintf("%-20s | %s", p.name, fates))
		for _, text := range append(f.Errors, fates.Answers...) {
			t.Logf("%s: %s", p.name, text)
		}
		switch {
		case f.Wrong > 0:
			t.Errorf("%s: %d wrong verdicts", p.name, f.Wrong)
		case !p.gap && f.Failed > 0:
			t.Errorf("%s: %d of %d scans failed", p.name, f.Failed, f.Scans)
		case f.Gap > gapLimit:
			t.Errorf("%s: no right verdict for %v", p.name, f.Gap)
		}
		g.checkFates(t, p, fates)
	}
	Table(t, fmt.Sprintf("%-13s", g.filter.name), FiguresHead, scans...)
	Table(t, fmt.Sprintf("%-13s", g.filter.name), FatesHead, mails...)
}

// checkFates fails the test if a mail was lost, or a virus delivered.
func (g *migration) checkFates(t *testing.T, p phase, fates Fates) {
	t.Helper()
	for kind, want := range map[string]string{MailClean: "delivered", MailEncrypted: "delivered", MailEICAR: g.filter.eicar} {
		for _, fate := range slices.Sorted(maps.Keys(fates.Count[kind])) {
			// The sender keeps a mail with a tempfail, and tries again.
			if fate != want && !(p.gap && fate == "tempfailed") {
				t.Errorf("%s: %d mails, %s, were %s", p.name, fates.Count[kind][fate], kind, fate)
			}
		}
	}
}
