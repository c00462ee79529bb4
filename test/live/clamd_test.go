package live

import (
	"testing"
	"time"
)

// TestSteady runs a steady client against Debian's clamd, which it stops for a while.
func TestSteady(t *testing.T) {
	m := Start(t, Options{Files: ClamdFiles(t, time.Now(), 100_000)})
	m.StartClamd()
	s := StartSteady(m, ClamdSocket, Steadily)
	began := time.Now()
	s.Next(t, 10)
	middle := time.Now()
	m.Sh("systemctl restart clamav-daemon.service clamav-daemon.socket")
	s.Next(t, 20)
	s.Stop()
	before, after := FiguresOf(s.Scans(), began, middle), FiguresOf(s.Scans(), middle, time.Now())
	if before.Failed+before.Wrong+after.Wrong > 0 {
		t.Errorf("before: %v %q, after: %v %q", before, before.Errors, after, after.Errors)
	}
	Table(t, "a restart of clamd", FiguresHead, before.String(), after.String())
	t.Logf("%q", after.Errors)
	if got, err := m.Ask(ClamdSocket, "zVERSION\x00"); err != nil {
		t.Errorf("VERSION: %q, %v", got, err)
	} else {
		t.Log(got)
	}
}
