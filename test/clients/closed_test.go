package clients

import (
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// TestClosed runs clients that handle ERROR lines safely against a listener that closes
// the connection instead (error_style = "close"). It shows which of them this
// endangers, as their recipes say. No client passes mail when there is no daemon at
// all.
func TestClosed(t *testing.T) {
	t.Parallel()
	clamdtest.RequireProgram(t, "zip") // for the samples
	for name, want := range map[string]outcome{
		"proftpd mod_clamav":      clean,
		"pyclamd scan_stream":     clean,
		"pyclamd scan_file":       clean,
		"pyclamd contscan_file":   clean,
		"ClamAV::Client (SCAN)":   refused,
		"ClamAV::Client (STREAM)": refused,
		"clamsmtp":                refused,
		"c-icap clamd_mod (unix)": refused,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if found := closed(t, named(t, name)); found.outcome != want {
				t.Errorf("%s (%s), want %s", found.outcome, found.text, want)
			}
		})
	}
}

// closed scans a clean object with a failing engine and a listener that then closes
// the connection.
func closed(t *testing.T, c client) finding {
	at := newTarget(t, c)
	clamd := at.startClamd(t)
	ask := c.start(t, at)
	clamd.stop()
	if found := ask(t, samples()[sampleClean]); found.outcome != refused {
		t.Errorf("nobody there: %s (%s), want %s", found.outcome, found.text, refused)
	}
	const start = "[[listener]]\n"
	listener := strings.ReplaceAll(snippet(t, c.recipe, c.listener), start, start+"error_style = \"close\"\n")
	e := &engines{failing: startFake(t, "stream: Can't allocate memory ERROR")}
	p := clamdtest.StartPolyclam(t, config(listener, worldFailing)+e.engines(worldFailing), clamdtest.Options{Port: at.port, User: at.user})
	if at.network == "unix" {
		at.place(t, p.Socket)
	}
	return ask(t, samples()[sampleClean])
}
