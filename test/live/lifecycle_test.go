package live

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A world is a machine with clamd, and polyclam beside it, under load.
type world struct {
	m      *Machine
	steady *Steady
	rows   []string
}

func startWorld(t *testing.T) *world {
	m := Start(t, Options{Files: ClamdFiles(t, time.Now(), 0)})
	m.StartClamd()
	m.InstallPolyclam(besideClamd, "clamav")
	m.StartPolyclam()
	m.WaitFound(PolyclamSocket)
	// SCAN works too: polyclam has no private /tmp.
	return &world{m: m, steady: StartSteady(m, PolyclamSocket, 20*time.Millisecond, "INSTREAM", "FILDES")}
}

// during runs an action under load, waits until it has settled, and returns the figures.
func (w *world) during(t *testing.T, what string, action func()) Figures {
	t.Helper()
	began := time.Now()
	action()
	w.steady.Next(t, 50)
	f := FiguresOf(w.steady.Scans(), began, time.Now())
	w.rows = append(w.rows, fmt.Sprintf("%-28s | %s", what, f))
	for _, text := range f.Errors {
		t.Logf("%s: %s", what, text)
	}
	if f.Wrong > 0 {
		t.Errorf("%s: wrong verdicts", what)
	}
	return f
}

// lossless fails the test if a scan had no verdict.
func (w *world) lossless(t *testing.T, what string, action func()) {
	t.Helper()
	if f := w.during(t, what, action); f.Failed > 0 {
		t.Errorf("%s: %d of %d scans failed", what, f.Failed, f.Scans)
	}
}

// TestLifecycle reloads, restarts and kills polyclam under load.
func TestLifecycle(t *testing.T) {
	w := startWorld(t)
	m := w.m
	w.lossless(t, "nothing", func() {})
	w.lossless(t, "reload", func() { m.Sh("systemctl reload polyclamd") })
	w.lossless(t, "reload of a broken file", func() { w.breakConfiguration(t) })
	w.lossless(t, "reload of the repaired file", func() {
		m.Put("/etc/polyclam/config.toml", besideClamd, 0o644)
		m.Sh("systemctl reload polyclamd")
	})
	if r := m.Run("polyclam", "status"); r.Status != 0 {
		t.Errorf("status after the repair: %v", r)
	}
	w.lossless(t, "3 restarts", func() {
		for range 3 {
			m.Sh("systemctl restart polyclamd")
		}
	})
	// systemd's default is to give up after 5 starts in 10 s.
	const kills = 6
	f := w.during(t, "6 times kill -9", func() {
		for range kills {
			m.Sh("systemctl kill --signal=KILL polyclamd")
			m.WaitStatus(0)
			w.steady.Next(t, 60) // those that have waited, too, are answered
		}
	})
	// Only what was being scanned is lost, at most a few scans each time.
	if f.Failed > 5*kills || f.Gap > 10*time.Second {
		t.Errorf("6 kills: %v", f)
	}
	if got := m.Sh("systemctl is-active polyclamd.socket polyclamd.service; polyclam status | head -1"); !strings.HasPrefix(got, "active\nactive\n") {
		t.Errorf("after 6 kills: %q", got)
	} else {
		t.Logf("after 6 kills: %q", got)
	}
	w.steady.Stop()
	Table(t, fmt.Sprintf("%-21s", "polyclam under load"), FiguresHead, w.rows...)
}

// breakConfiguration reloads a configuration with a mistake: systemctl says so, and
// status does.
func (w *world) breakConfiguration(t *testing.T) {
	t.Helper()
	w.m.Put("/etc/polyclam/config.toml", besideClamd+"max_sise = 5\n", 0o644)
	reload, status := w.m.Run("systemctl", "reload", "polyclamd"), w.m.Run("polyclam", "status")
	if reload.Status == 0 {
		t.Errorf("systemctl reload: %v", reload)
	}
	t.Logf("reload of a broken file: %v\nstatus: %v", reload, status)
	for _, e := range w.m.Journal("-u", "polyclamd", "-p", "warning") {
		t.Logf("journal: %d %s", e.Priority, e.Message)
	}
}
