package main

import (
	"strings"
	"testing"

	"polyclam/backends"
)

// TestHintsOfOthers has an engine other than clamd that does not scan everything.
func TestHintsOfOthers(t *testing.T) {
	good := func() trial {
		tr := trial{engine: "x", backend: "icap"}
		for i := range tr.answers {
			tr.answers[i].category = backends.Virus
		}
		tr.answers[sampleClean].category, tr.answers[sampleEncrypted].category = backends.OK, backends.Encrypted
		return tr
	}
	encrypted := trialAnswer{category: backends.Encrypted}
	named := trialAnswer{category: backends.Encrypted, name: "Locked"}
	for _, c := range []struct {
		name   string
		change func(*trial)
		status int
		want   string
	}{
		{"good", func(*trial) {}, exitOK, ""},
		{"no archives", func(t *trial) { t.answers[sampleZipped] = trialAnswer{category: backends.OK} }, exitOK, "x: EICAR in a ZIP archive is ok: does the engine support archives"},
		{"encrypted hides", func(t *trial) { t.answers[sampleLocked] = encrypted }, exitPartial, `make the engine scan on, or set the action of "encrypted" in [policy.actions]`},
		{"encrypted hides, with a name", func(t *trial) { t.answers[sampleLocked] = named }, exitPartial, `is encrypted (Locked): an encrypted file hides the virus beside it; a [[rule]] with category = "suspicious" and this name`},
		{"too deep", func(t *trial) { t.answers[sampleDeep] = trialAnswer{category: backends.Partial} }, exitOK, ""},
		{"a failure hides nothing", func(t *trial) { t.answers[sampleLocked] = trialAnswer{category: backends.SWErr} }, exitOK, ""},
		{"large", func(t *trial) {
			t.size = sizeTrial{tried: 100 << 20, answer: trialAnswer{category: backends.OK}, scanned: 50 << 20}
		}, exitPartial, `x: it reports ok for an object of 100 MiB without scanning all of it (one of 50 MiB is scanned): raise the engine's own limit, or set max_size = "50MiB" here`},
		{"no mails", func(t *trial) { t.answers[sampleMailed] = trialAnswer{category: backends.OK} }, exitOK, "x: EICAR in a mail is ok: does the engine look into mails, and is that enabled?"},
		{"no mails, clamd", func(t *trial) { t.backend, t.answers[sampleMailed] = clamdBackend, trialAnswer{category: backends.OK} }, exitOK, "x: EICAR in a mail is ok: it does not look into mails: set ScanMail yes"},
		{"no mails, inspect", func(t *trial) {
			t.backend, t.answers[sampleMailed] = inspectBackend, trialAnswer{category: backends.OK}
		}, exitOK, ""},
		{"no room", func(t *trial) {
			t.answers[sampleMailed] = trialAnswer{category: backends.OK}
			t.answers[sampleZipped] = trialAnswer{category: backends.SWErr, err: &backends.Failure{Text: "Can't write", NoRoom: true}}
		}, exitFound, "x: EICAR in a ZIP archive is not scanned: Can't write; it may report OK for a virus in a mail, and polyclamd will not use the engine"},
		{"blind and large", func(t *trial) {
			t.answers[sampleEICAR].category = backends.OK
			t.size = sizeTrial{tried: 1 << 20, answer: trialAnswer{category: backends.OK}}
		}, exitFound, "x: the EICAR test file is ok"},
	} {
		tr := good()
		c.change(&tr)
		got := strings.Join(hints([]trial{tr}), "\n")
		if tr.exit() != c.status || !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: exit status %d, want %d; %q, want in it %q", c.name, tr.exit(), c.status, got, c.want)
		}
	}
}
