package clients

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/test/clamdtest"
	"polyclam/test/mailtest"
)

// startBehind starts a polyclamd at the target with exactly this listener.
func startBehind(t *testing.T, at target, listener, engines string) *clamdtest.Polyclam {
	t.Helper()
	p := clamdtest.StartPolyclam(t, config(listener, worldUp)+engines, clamdtest.Options{})
	at.place(t, p.Socket)
	return p
}

// checkOne scans a mail that contains one of the samples with rspamd.
func (r *rspamdDaemon) checkOne(t *testing.T, name string) rspamdReply {
	t.Helper()
	return r.check(t, mailtest.Message("one", mailtest.Attachment{Name: name, Data: samples()[name].content}))
}

// expectSymbols compares the symbols of a reply, except those of the rules.
func expectSymbols(t *testing.T, r rspamdReply, action string, want ...string) {
	t.Helper()
	got := 0
	for name := range r.Symbols {
		if !strings.HasPrefix(name, "FORCE_ACTION_") {
			got++
		}
	}
	for _, name := range want {
		if !r.has(name) {
			t.Errorf("%s: want the symbol %s", r, name)
		}
	}
	if got != len(want) || r.Action != action {
		t.Errorf("%s: want %s with the symbols %v", r, action, want)
	}
}

// TestRspamdSymbols covers the symbols in the recipe, including two that are not in the
// table: partial, and a missing polyclamd.
func TestRspamdSymbols(t *testing.T) {
	t.Parallel()
	listener := snippet(t, "rspamd.md", "listener")
	clamd := clamdtest.Start(t, clamdtest.Options{}).Socket
	e := &engines{clamd: clamd, failing: startFake(t, "stream: Can't allocate memory ERROR")}
	small := fmt.Sprintf("[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:%s\"\nmax_size = 100\n", clamd)
	at := newTarget(t, client{network: "unix"})
	files := recipeRspamd(t)
	files["force_actions.conf"] = strings.TrimSuffix(files["force_actions.conf"], "}\n") + snippet(t, "rspamd.md", "encrypted") + "}\n"
	r := startRspamd(t, at, files)
	expect := func(state string, reply rspamdReply, action string, want ...string) {
		t.Helper()
		expectSymbols(t, reply, action, want...)
		t.Logf("table: rspamd, %s: %s", state, reply)
	}
	expect("nobody there from the start", r.checkOne(t, sampleClean), "soft reject", "CLAM_VIRUS_FAIL") // there was never a daemon

	p := startBehind(t, at, listener, e.engines(worldUp))
	expect("clean", r.checkOne(t, sampleClean), "no action")
	expect("EICAR", r.checkOne(t, sampleEICAR), "reject", "CLAM_VIRUS")
	expect("encrypted ZIP", r.checkOne(t, sampleEncrypted), "add header", "CLAM_VIRUS_ENCRYPTED")
	expect("over [limits] stream", r.checkOne(t, sampleLarge), "soft reject", "CLAM_VIRUS_FAIL")
	p.Stop()
	expect("polyclamd stopped", r.checkOne(t, sampleClean), "soft reject", "CLAM_VIRUS_FAIL")
	for range 10 { // rspamd rests a server that failed often, unless it is the only one
		r.checkOne(t, sampleClean)
	}
	startBehind(t, at, listener, small)
	expect("an engine takes less", r.checkOne(t, sampleClean), "no action", "CLAM_VIRUS_PARTIAL")
	for _, world := range []string{worldFailing, worldDown} {
		startBehind(t, at, listener, e.engines(world))
		expect("engine "+world, r.checkOne(t, sampleClean), "soft reject", "CLAM_VIRUS_FAIL")
	}
	startBehind(t, at, strings.ReplaceAll(listener, "[[listener]]\n", "[[listener]]\nerror_style = \"close\"\n"), e.engines(worldFailing))
	expect("engine failing, error_style = close", r.checkOne(t, sampleClean), "soft reject", "CLAM_VIRUS_FAIL")
}

// TestRspamdGeneric shows why rspamd has a profile: with the generic one, mail passes
// without a symbol when no engine is up.
func TestRspamdGeneric(t *testing.T) {
	t.Parallel()
	const generic = "[[listener]]\naddress = \"unix:/run/polyclam/clamd.sock\"\n"
	e := &engines{failing: startFake(t, "stream: Can't allocate memory ERROR")}
	at := newTarget(t, client{network: "unix"})
	r := startRspamd(t, at, recipeRspamd(t))
	for _, world := range []string{worldFailing, worldDown} {
		startBehind(t, at, generic, e.engines(world))
		expectSymbols(t, r.checkOne(t, sampleClean), "no action")
	}
	if want := "bad argument #1 to 'find'"; !strings.Contains(r.log(), want) {
		t.Errorf("the log of rspamd does not have %q", want)
	}
}

// TestRspamdTimeouts hangs an engine while rspamd has its own timeouts: 5 s for a scan,
// three attempts, 8 s for a mail.
func TestRspamdTimeouts(t *testing.T) {
	t.Parallel()
	e := &engines{hanging: startFake(t, "")}
	untouched := snippet(t, "rspamd.md", "listener-untouched")
	closing := untouched + "error_style = \"close\"\nanswer_within = \"2s\"\n"
	patient := rspamdFiles{"options.inc": ""}
	for _, tt := range []struct {
		name     string
		listener string
		files    rspamdFiles // instead of the recipe's
		action   string
		symbols  []string
	}{
		{"as in the recipe", untouched, nil, "soft reject", []string{"CLAM_VIRUS_FAIL"}},
		// Closed after 2 s, the scan is tried three times. After two attempts the
		// engine is known to hang, and the third fails within the 8 s.
		{"tried three times", closing, nil, "soft reject", []string{"CLAM_VIRUS_FAIL"}},
		{"tried three times, with rspamd's own options", closing, patient, "soft reject", []string{"CLAM_VIRUS_FAIL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := newTarget(t, client{network: "unix"})
			startBehind(t, at, tt.listener, e.engines(worldHanging))
			files := untouchedRspamd(t)
			for name, text := range tt.files {
				files[name] = text
			}
			expectSymbols(t, startRspamd(t, at, files).checkOne(t, sampleClean), tt.action, tt.symbols...)
		})
	}
}

// TestRspamdHearsNoError sends rspamd's listener wrong, late and excessive input: it
// never answers with a line that rspamd takes for no verdict.
func TestRspamdHearsNoError(t *testing.T) {
	t.Parallel()
	chunk := func(size, sent int) string {
		return string(binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), uint32(size))) + strings.Repeat("a", sent)
	}
	for _, tt := range []struct{ style, want string }{
		{"close", ""}, {"limits", " FOUND"},
	} {
		t.Run(tt.style, func(t *testing.T) {
			t.Parallel()
			at := newTarget(t, client{network: "unix"})
			listener := fmt.Sprintf("[[listener]]\naddress = \"unix:/run/polyclam/clamd.sock\"\nclient = \"rspamd\"\nerror_style = %q\n", tt.style)
			p := startBehind(t, at, listener, "read_timeout = \"1s\"\ncommand_read_timeout = \"1s\"\n"+(&engines{}).engines(worldDown))
			for name, sent := range map[string]string{
				"a scan":            chunk(1, 1) + "\x00\x00\x00\x00",
				"a stream too long": chunk(largeSize, largeSize) + "\x00\x00\x00\x00",
				"half a stream":     chunk(100, 10),
				"half a command":    "zINST",
				"nothing":           "",
				"no such command":   "zBOGUS\x00",
				"no such file":      "zSCAN /nonexistent\x00",
				"no path":           "zSCAN\x00",
				"a relative path":   "nSCAN nonexistent\n",
				"no descriptor":     "zFILDES\x00",
				"not allowed":       "zSHUTDOWN\x00",
				"in a session":      "zIDSESSION\x00zBOGUS\x00",
				"HTTP":              "GET / HTTP/1.0\r\n\r\n",
			} {
				got := dialogue(t, p.Socket, sent)
				if got != "" && tt.want == "" || !strings.HasSuffix(strings.TrimRight(got, "\x00\n"), tt.want) {
					t.Errorf("%s: %q, want an end of %q", name, got, tt.want)
				}
			}
		})
	}
}

// dialogue sends bytes and returns everything until the daemon closes.
func dialogue(t *testing.T, socket, sent string) string {
	t.Helper()
	nc, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(nc, sent); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}
