package clients

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// TestEximRights runs polyclamd outside Exim's group: it cannot read the file that Exim
// names, and Exim defers the mail.
func TestEximRights(t *testing.T) {
	t.Parallel()
	at := newTarget(t, client{network: "unix"})
	x := startExim(t, at, snippet(t, "exim.md", "unix"), snippet(t, "exim.md", "acl"))
	e := &engines{clamd: clamdtest.Start(t, clamdtest.Options{}).Socket}
	startBehind(t, at, snippet(t, "exim.md", "listener"), e.engines(worldUp))
	for _, name := range []string{sampleClean, sampleEICAR} {
		if got := x.scan(t, samples()[name]); got.outcome != refused {
			t.Errorf("%s: %s (%s), want %s", name, got.outcome, got.text, refused)
		}
	}
	const want = "Permission denied. ERROR"
	if log, err := os.ReadFile(filepath.Join(x.dir, "mainlog")); err != nil || !strings.Contains(string(log), want) {
		t.Errorf("the log of Exim does not have %q: %v\n%s", want, err, log)
	}
}

// TestEximDeferOK shows what the recipe warns of: defer_ok passes mail that no engine
// scanned.
func TestEximDeferOK(t *testing.T) {
	t.Parallel()
	at := newTarget(t, client{network: "tcp"})
	acl := strings.Replace(snippet(t, "exim.md", "acl"), "malware = *", "malware = */defer_ok", 1)
	x := startExim(t, at, snippet(t, "exim.md", "tcp"), acl)
	if got := x.scan(t, samples()[sampleEICAR]); got.outcome != clean {
		t.Errorf("nobody there: %s (%s), want %s", got.outcome, got.text, clean)
	}
}

// TestEximGone covers a polyclamd that is not there, or that goes away during a scan.
func TestEximGone(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		at := newTarget(t, client{network: network, user: eximUser})
		scanner := snippet(t, "exim.md", "unix")
		if network == "tcp" {
			scanner = snippet(t, "exim.md", "tcp")
		}
		x := startExim(t, at, scanner, snippet(t, "exim.md", "acl"))
		if got := x.scan(t, samples()[sampleClean]); got.outcome != refused {
			t.Errorf("%s: %s (%s), want %s", network, got.outcome, got.text, refused)
		}
	}
}

// TestEximTimeout makes Exim give up before the listener's answer_within. Exim defers
// the mail all the same. In the meantime the test checks that the group may read the
// file Exim names, as the recipe says.
func TestEximTimeout(t *testing.T) {
	t.Parallel()
	at := newTarget(t, client{network: "unix", user: eximUser})
	e := &engines{hanging: startFake(t, "")}
	acl := strings.Replace(snippet(t, "exim.md", "acl"), "malware = *", "malware = */tmo=1s", 1)
	x := startExim(t, at, snippet(t, "exim.md", "unix"), acl)
	c := client{recipe: "exim.md", listener: "listener", user: eximUser}
	at.startPolyclam(t, c, e, worldHanging)
	modes := make(chan []fs.FileMode, 1)
	go func() { modes <- x.scanned() }()
	if got := x.scan(t, samples()[sampleClean]); got.outcome != refused {
		t.Errorf("%s (%s), want %s", got.outcome, got.text, refused)
	}
	got := <-modes
	if len(got) != 3 {
		t.Fatalf("saw no mail below spool/scan, but %v", got)
	}
	for i, mode := range got {
		want := fs.FileMode(0o050) // folders
		if i == len(got)-1 {
			want = 0o040
		}
		if mode&want != want || mode&0o007 != 0 {
			t.Errorf("modes %v: want the group to be able to read, and nobody else", got)
		}
	}
}

// scanned waits for a mail that Exim has scanned and returns the modes of spool/scan,
// the mail's folder and its file.
func (x *eximDaemon) scanned() (modes []fs.FileMode) {
	for deadline := time.Now().Add(hang); time.Now().Before(deadline) && len(modes) < 3; time.Sleep(5 * time.Millisecond) {
		modes = nil
		for _, pattern := range []string{"spool/scan", "spool/scan/*", "spool/scan/*/*.eml"} {
			if found, _ := filepath.Glob(filepath.Join(x.dir, pattern)); len(found) == 1 {
				if info, err := os.Stat(found[0]); err == nil {
					modes = append(modes, info.Mode().Perm())
				}
			}
		}
	}
	return modes
}

// TestEximEncrypted runs the recipe's way to mark encrypted mail.
func TestEximEncrypted(t *testing.T) {
	t.Parallel()
	const header = "X-Virus-Scan"
	at := newTarget(t, client{network: "unix", user: eximUser})
	e := &engines{clamd: clamdtest.Start(t, clamdtest.Options{}).Socket}
	x := startExim(t, at, snippet(t, "exim.md", "unix"), snippet(t, "exim.md", "acl-encrypted"))
	c := client{recipe: "exim.md", listener: "listener-encrypted", user: eximUser}
	at.startPolyclam(t, c, e, worldUp)
	for _, tt := range []struct {
		sample string
		want   outcome
		header string
	}{
		{sampleClean, clean, ""},
		{sampleEICAR, infected, ""},
		{sampleEncrypted, clean, "not scanned, Heuristics.Encrypted.Zip"},
	} {
		got := x.scan(t, samples()[tt.sample])
		if got.outcome != tt.want {
			t.Errorf("%s: %s (%s), want %s", tt.sample, got.outcome, got.text, tt.want)
		}
		if got.outcome != clean {
			continue
		}
		mails := x.sink.Mails()
		if is := mails[len(mails)-1].Header.Get(header); is != tt.header {
			t.Errorf("%s: %s %q, want %q", tt.sample, header, is, tt.header)
		}
	}
}
