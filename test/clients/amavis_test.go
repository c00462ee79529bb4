package clients

import (
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// The @av_scanners entries in the recipe, named by their blocks.
const (
	amavisContscan  = "contscan"
	amavisStream    = "stream"
	amavisStreamTCP = "stream-tcp"
	amavisClamdscan = "clamdscan"
)

var amavisClients = []client{
	amavis("amavis (CONTSCAN)", amavisContscan, true),
	amavis("amavis (clamdscan, TCP)", amavisClamdscan, true),
	amavis("amavis (clamd:)", amavisStream, true),
	amavis("amavis (clamd:, TCP)", amavisStreamTCP, true),
	amavis("amavis (CONTSCAN), not fatal", amavisContscan, false),
}

// amavis is an amavisd that receives mail and scans it with an @av_scanners entry.
// fatal says whether a failed scan makes amavis refuse the mail.
func amavis(name, entry string, fatal bool) client {
	c := client{recipe: "amavis.md", listener: "listener", network: "unix"}
	if entry == amavisStreamTCP || entry == amavisClamdscan {
		c = client{recipe: "amavis.md", listener: "listener-tcp", network: "tcp"}
	}
	c.name = name
	// amavis's own decoders notice that they cannot open the archive.
	c.but = map[string]outcome{caseEncrypted: flagged}
	if entry == amavisContscan {
		c.user = "amavis" // only this user and its group may read amavis's directories
		c.but[caseOversize] = clean
		c.open = map[string]string{caseOversize: unlimited}
	}
	if !fatal {
		for _, name := range []string{caseFailing, caseHanging, caseDown, caseLongFailing} {
			c.but[name] = flagged
		}
	}
	c.start = func(t *testing.T, at target) scan {
		return startAmavisd(t, amavisConf(t, at, entry, fatal)).scan
	}
	return c
}

// amavisConf is what the recipe adds to amavis's configuration.
func amavisConf(t *testing.T, at target, entry string, fatal bool) string {
	t.Helper()
	text := snippet(t, "amavis.md", "checks")
	if fatal {
		text += snippet(t, "amavis.md", "fatal")
	}
	switch entry {
	case amavisContscan:
		text += snippet(t, "amavis.md", "contscan")
	case amavisStream:
		text += snippet(t, "amavis.md", "stream")
	case amavisStreamTCP:
		text += snippet(t, "amavis.md", "stream-tcp")
	case amavisClamdscan:
		clamdtest.RequireProgram(t, "clamdscan")
		conf := writeFile(t, filepath.Join(clamdtest.Dir(t, "root"), "clamdscan.conf"), at.fill(snippet(t, "amavis.md", "clamdscan-conf")))
		text += strings.ReplaceAll(snippet(t, "amavis.md", "clamdscan"), "/etc/polyclam/clamdscan.conf", conf)
	}
	return at.fill(text)
}

// TestAmavisEncrypted checks that one more line in polyclam's configuration makes
// amavis hold encrypted mail.
func TestAmavisEncrypted(t *testing.T) {
	t.Parallel()
	for _, c := range amavisClients[:4] {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			holdsEncrypted(t, c, snippet(t, "amavis.md", "encrypted"))
		})
	}
}

// holdsEncrypted checks that the client holds encrypted mail and passes clean mail when
// polyclamd's listener has these actions.
func holdsEncrypted(t *testing.T, c client, actions string) {
	t.Helper()
	at := newTarget(t, c)
	e := &engines{clamd: clamdtest.Start(t, clamdtest.Options{Daily: true}).Socket}
	at.startWith(t, c, e, worldUp, actions)
	ask := c.start(t, at)
	held := ask(t, samples()[sampleEncrypted])
	if held.outcome != infected || !strings.Contains(held.text, "Heuristics.Encrypted.Zip") {
		t.Errorf("%s: %s (%s)", sampleEncrypted, held.outcome, held.text)
	}
	passed := ask(t, samples()[sampleClean])
	if passed.outcome != clean {
		t.Errorf("%s: %s (%s)", sampleClean, passed.outcome, passed.text)
	}
	t.Logf("table: %s, encrypted = \"quarantine\": encrypted ZIP %s (%s), clean %s", c.name, held.outcome, held.text, passed.outcome)
}

// startWith is startPolyclam for a listener with its own actions.
func (at target) startWith(t *testing.T, c client, e *engines, world, actions string) {
	t.Helper()
	p := clamdtest.StartPolyclam(t, config(snippet(t, c.recipe, c.listener)+actions, world)+e.engines(world), clamdtest.Options{
		Port: at.port, User: at.user,
	})
	if at.network == "unix" {
		at.place(t, p.Socket)
	}
}
