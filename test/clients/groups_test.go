package clients

import (
	"testing"

	"polyclam/test/clamdtest"
)

// TestGroups shows what the recipes say about permissions: a polyclamd with its own
// user scans the files a client names if it is in the client's group. Without that
// nothing passes.
func TestGroups(t *testing.T) {
	t.Parallel()
	clamdtest.RequireRoot(t, "a polyclamd in the groups of others")
	// MD_ALLOW_GROUP_ACCESS=yes gives both MIMEDefang daemons -G.
	open := func(t *testing.T, at target) scan {
		return mails(startChain(t, at.fill(snippet(t, "mimedefang.md", "drop-in"))+debianFilter(t), "-G"))
	}
	for _, tt := range []struct {
		client, group string
		start         func(t *testing.T, at target) scan // nil: as in the table
	}{
		{"amavis (CONTSCAN)", "amavis", nil}, {"exim (unix, SCAN)", eximUser, nil}, {"clamsmtp", "clamsmtp", nil}, {"MIMEDefang", defang, open},
	} {
		t.Run(tt.client, func(t *testing.T) {
			t.Parallel()
			c := named(t, tt.client)
			at := newTarget(t, c)
			if tt.start != nil {
				c.start = tt.start
			}
			ask := c.start(t, at)
			e := &engines{clamd: clamdtest.Start(t, clamdtest.Options{}).Socket}
			for _, groups := range [][]string{nil, {tt.group}} {
				p := clamdtest.StartPolyclam(t, config(snippet(t, c.recipe, c.listener), worldUp)+e.engines(worldUp), clamdtest.Options{Groups: groups})
				at.place(t, p.Socket)
				wantClean, wantEICAR := refused, refused
				if groups != nil {
					wantClean, wantEICAR = clean, infected
				}
				onClean, onEICAR := ask(t, samples()[sampleClean]), ask(t, samples()[sampleEICAR])
				if onClean.outcome != wantClean || onEICAR.outcome != wantEICAR {
					t.Errorf("in groups %q: clean file %s (%s), EICAR %s (%s), want %s, %s", groups,
						onClean.outcome, onClean.text, onEICAR.outcome, onEICAR.text, wantClean, wantEICAR)
				}
				t.Logf("table: %s, polyclamd in groups %q: clean file %s, EICAR %s", c.name, groups, onClean.outcome, onEICAR.outcome)
			}
		})
	}
}
