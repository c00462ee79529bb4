package clients

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"polyclam/backends/command/commandfake"
	"polyclam/test/clamdtest"
)

// changed is the example filter with the recipe's one-line change.
func changed(t *testing.T, filter string) string {
	t.Helper()
	const own = "    encrypted => 'deliver',\n"
	if strings.Count(filter, own) != 1 {
		t.Fatalf("the example filter has not one line %q", own)
	}
	return strings.Replace(filter, own, snippet(t, "mimedefang.md", "one-line"), 1)
}

// sophosEngines are the engines from the request of 2003: a clamd that calls a
// password-protected ZIP OK, and Sophos Sweep, which reports it with exit status 2.
func (e *engines) sophosEngines(t *testing.T) string {
	return e.engines(worldUp)[:strings.Index(e.engines(worldUp), "[[engine]]\nname = \"inspect\"")] +
		fmt.Sprintf("[[engine]]\nname = \"sophos\"\nbackend = \"command\"\npreset = \"sophos-sweep\"\nprogram = %q\n[spool]\ndirectory = \"${DIR}/tmp\"\n", commandfake.Sweep(t))
}

// cannotLook is what MIMEDefang logs, according to the recipe, when polyclamd may not
// read its spool.
const cannotLook = "Clamd returned error: File path check failure: Permission denied."

// A chainRow is one mail through one chain, with the expected fate.
type chainRow struct {
	sample      string
	triple      string // prefix of what the filter logged
	code        int
	delivered   bool
	quarantined bool
}

// play sends the mails and prints their fates.
func (c *chain) play(t *testing.T, name string, rows ...chainRow) {
	t.Helper()
	for _, want := range rows {
		got := c.mail(t, samples()[want.sample])
		t.Logf("table: %-46s | %-13s | %v", name, want.sample, got)
		if !strings.HasPrefix(got.triple, want.triple) || got.reply.Code != want.code ||
			got.delivered != want.delivered || got.quarantined != want.quarantined {
			t.Errorf("%s, %s: %v; want %s, %d, delivered %v, quarantined %v",
				name, want.sample, got, want.triple, want.code, want.delivered, want.quarantined)
		}
	}
}

// TestMIMEDefangChain sends real mail through Postfix, MIMEDefang and polyclamd, and
// through the same chain with clamd alone. It checks what the filter sees and what
// happens to the mail.
func TestMIMEDefangChain(t *testing.T) {
	t.Parallel()
	clamdtest.RequireProgram(t, "mimedefang")
	e := startEngines(t)
	t.Logf("table: %-46s | %-13s | %-54s | %-34s | %-9s | %s", "MIMEDefang's filter, daemon", "attachment", "code, category, action, name", "SMTP reply", "delivered", "quarantined")
	for name, test := range map[string]func(*testing.T, *engines){
		"request of 2003": testChain2003, "drop-in": testChainDropIn, "module": testChainModule, "recipe": testChainRecipe,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, e) })
	}
}

// chainClient is the client that the daemons of a chain run for.
func chainClient(user string) client {
	return client{recipe: "mimedefang.md", listener: "listener", network: "unix", user: user}
}

// testChain2003 sends a password-protected ZIP that Sophos calls encrypted and clamd
// calls clean. The filter sees (2, encrypted, ok) and the mail arrives; with one line
// of the filter changed, it is quarantined.
func testChain2003(t *testing.T, e *engines) {
	at := newTarget(t, chainClient(""))
	p := clamdtest.StartPolyclam(t, config(snippet(t, "mimedefang.md", "listener"), worldUp)+e.sophosEngines(t), clamdtest.Options{Port: at.port})
	at.place(t, p.Socket)
	filter := exampleFilter(t, at)
	startChain(t, filter).play(t, "example filter, polyclamd (clamd, Sophos)",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEncrypted, "(2, encrypted, ok)", 250, true, false},
		chainRow{sampleEICARZip, "(1, virus, quarantine) Eicar", 250, false, true},
	)
	startChain(t, changed(t, filter)).play(t, "the same with the one line changed",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEncrypted, "(2, encrypted, ok)", 250, false, true},
	)
}

// testChainDropIn checks what MIMEDefang's own routines conclude with clamd alone and
// with polyclamd.
func testChainDropIn(t *testing.T, e *engines) {
	filterOf := func(at target) string { return at.fill(snippet(t, "mimedefang.md", "drop-in")) + debianFilter(t) }
	c := chainClient(defang)
	at := newTarget(t, c)
	chain := startChain(t, filterOf(at))

	daemon := at.startClamd(t)
	chain.play(t, "Debian's filter, clamd",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEICARZip, "(1, virus, quarantine) Eicar", 250, false, false},
		chainRow{sampleEncrypted, "(0, ok, ok)", 250, true, false},
	)
	daemon.stop()

	alerting := clamdtest.Start(t, clamdtest.Options{User: defang, Conf: []string{"AlertEncrypted yes"}})
	at.place(t, alerting.Socket)
	chain.play(t, "Debian's filter, clamd with AlertEncrypted",
		chainRow{sampleEncrypted, "(1, virus, quarantine) Heuristics.Encrypted.Zip", 250, false, false},
	)

	daemon = at.startPolyclam(t, c, e, worldUp)
	chain.play(t, "Debian's filter, polyclamd",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEICAR, "(1, virus, quarantine) Eicar", 250, false, false},
		chainRow{sampleEICARZip, "(1, virus, quarantine) Eicar", 250, false, false},
		chainRow{sampleEncrypted, "(0, ok, ok)", 250, true, false},
		chainRow{sampleLarge, "(0, ok, ok)", 250, true, false},
	)
	daemon.stop()

	actions := "[listener.actions]\nencrypted = \"quarantine\"\npartial = \"quarantine\"\n"
	strict := clamdtest.StartPolyclam(t, config(snippet(t, "mimedefang.md", "listener")+actions, worldUp)+e.engines(worldUp), clamdtest.Options{User: defang})
	at.place(t, strict.Socket)
	chain.play(t, "Debian's filter, polyclamd that quarantines",
		chainRow{sampleEncrypted, "(1, virus, quarantine) Heuristics.Encrypted.Zip", 250, false, false},
		chainRow{sampleLarge, "(1, virus, quarantine) Heuristics.Limits.Exceeded", 250, false, false},
	)

	// As nobody, polyclamd cannot read the spool.
	at.user = ""
	daemon = at.startPolyclam(t, chainClient(""), e, worldUp)
	chain.play(t, "Debian's filter, polyclamd of another user",
		chainRow{sampleClean, "(999, swerr, tempfail)", 451, false, false})
	daemon.stop()
	if said := chain.mimedefang.log(); !strings.Contains(said, cannotLook) {
		t.Errorf("the log does not say %q", cannotLook)
	}
}

// testChainModule checks what the category adds, for all states of the engines.
func testChainModule(t *testing.T, e *engines) {
	c := chainClient("")
	at := newTarget(t, c)
	chain := startChain(t, exampleFilter(t, at))

	chain.play(t, "example filter, nobody there",
		chainRow{sampleClean, "(999, not-installed, tempfail)", 451, false, false})
	daemon := at.startClamd(t)
	chain.play(t, "example filter, clamd",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEncrypted, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEICARZip, "(1, virus, quarantine) Eicar", 250, false, true},
		chainRow{sampleLarge, "(999, partial, tempfail)", 451, false, false},
	)
	daemon.stop()
	chain.play(t, "example filter, clamd gone",
		chainRow{sampleClean, "(999, cannot-execute, tempfail)", 451, false, false})

	daemon = at.startPolyclam(t, c, e, worldUp)
	chain.play(t, "example filter, polyclamd (clamd, inspect)",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEICAR, "(1, virus, quarantine) Eicar", 250, false, true},
		chainRow{sampleEICARZip, "(1, virus, quarantine) Eicar", 250, false, true},
		chainRow{sampleEncrypted, "(2, encrypted, ok) Heuristics.Encrypted.Zip", 250, true, false},
		chainRow{sampleLarge, "(999, partial, tempfail)", 451, false, false},
	)
	// Mail that cannot be quarantined is not discarded.
	quarantine := chain.mimedefang.path("quarantine")
	if err := os.Rename(quarantine, quarantine+".away"); err != nil {
		t.Fatal(err)
	}
	chain.play(t, "example filter, no quarantine",
		chainRow{sampleEICAR, "(1, virus, quarantine) Eicar", 451, false, false})
	if err := os.Rename(quarantine+".away", quarantine); err != nil {
		t.Fatal(err)
	}
	daemon.stop()
	for _, down := range []struct{ world, triple string }{
		{worldFailing, "(999, swerr, tempfail)"}, {worldHanging, "(999, interrupted, tempfail)"}, {worldDown, "(999, not-installed, tempfail)"},
	} {
		daemon = at.startPolyclam(t, c, e, down.world)
		chain.play(t, "example filter, engine "+down.world, chainRow{sampleClean, down.triple, 451, false, false})
		if down.world == worldFailing {
			// A finding of inspect does not pass the mail while clamd fails.
			chain.play(t, "example filter, engine "+down.world, chainRow{sampleEncrypted, "(2, encrypted, tempfail)", 451, false, false})
		}
		daemon.stop()
	}
}

// testChainRecipe runs the filters of the recipe: the short one, and MIMEDefang's
// message_contains_virus with the module added.
func testChainRecipe(t *testing.T, e *engines) {
	c := chainClient("")
	at := newTarget(t, c)
	at.startPolyclam(t, c, e, worldUp)
	sock := fmt.Sprintf("use Mail::MIMEDefang::Polyclam; $PolyclamSock = '%s';\n", at.socket)
	startChain(t, sock+snippet(t, "mimedefang.md", "module")).play(t, "the recipe's filter, polyclamd",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEncrypted, "(2, encrypted, ok) Heuristics.Encrypted.Zip", 250, false, true},
		chainRow{sampleEICAR, "(1, virus, quarantine) Eicar", 250, false, true},
	)
	startChain(t, sock+snippet(t, "mimedefang.md", "register")+debianFilter(t)).play(t, "Debian's filter with the module, polyclamd",
		chainRow{sampleClean, "(0, ok, ok)", 250, true, false},
		chainRow{sampleEncrypted, "(2, encrypted, ok) Heuristics.Encrypted.Zip", 250, true, false},
		chainRow{sampleEICARZip, "(1, virus, quarantine) Eicar", 250, false, false},
	)
}
