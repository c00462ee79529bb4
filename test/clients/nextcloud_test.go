package clients

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// Nextcloud cannot be installed here: testdata/nextcloud/upload.php speaks as its app
// files_antivirus does, with the settings of the recipe. What the app then does with an
// upload is read in its sources: see upload.
var nextcloudClients = []client{nextcloud("Nextcloud (socket)", "unix", true), nextcloud("Nextcloud (daemon), before May 2026", "tcp", false)}

// nextcloud is the app in one of its modes. Before May 2026 it stored an upload whose
// scan failed; its background scan tried again later.
func nextcloud(name, network string, blocks bool) client {
	c := client{name: name, recipe: "nextcloud.md", listener: "listener", network: network}
	if !blocks {
		c.but = map[string]outcome{caseOversize: flagged, caseFailing: flagged, caseHanging: flagged, caseDown: flagged, caseLongFailing: flagged}
	}
	c.start = func(t *testing.T, at target) scan {
		app := startNextcloud(t, nextcloudSettings(t, at))
		return func(t *testing.T, s sample) finding { return app.upload(s.path, blocks) }
	}
	return c
}

// occ is a command that sets something.
var occ = regexp.MustCompile(`(?m)^occ config:app:set files_antivirus (\w+) --value=(\S+)$`)

// nextcloudSettings returns what the recipe's commands set.
func nextcloudSettings(t *testing.T, at target) map[string]string {
	t.Helper()
	commands := snippet(t, "nextcloud.md", "socket")
	if at.network == "tcp" {
		commands = snippet(t, "nextcloud.md", "daemon")
	}
	set := map[string]string{}
	for _, m := range occ.FindAllStringSubmatch(at.fill(commands+snippet(t, "nextcloud.md", "limits")), -1) {
		set[m[1]] = m[2]
	}
	return set
}

// A nextcloudApp is a running upload.php.
type nextcloudApp struct {
	t                *testing.T
	*nodeApplication // its dialogue is the same
}

// startNextcloud runs the app with settings.
func startNextcloud(t *testing.T, set map[string]string) *nextcloudApp {
	t.Helper()
	php := clamdtest.RequireProgram(t, "php")
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(conf, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return &nextcloudApp{t, startNode(t, exec.Command(php, "testdata/nextcloud/upload.php", conf))}
}

// upload scans a file, and decides as the app does (lib/AvirWrapper.php): it refuses an
// infected one and, if it blocks what was not checked, also that. An unchecked file that
// it stores stays in the queue of the background scan.
func (a *nextcloudApp) upload(path string, blocks bool) finding {
	a.t.Helper()
	line, err := a.line(path + "\n")
	if err != nil {
		a.t.Fatalf("php: %v", err)
	}
	var answer struct {
		Status    int
		Text      string
		Connected bool
	}
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		a.t.Fatalf("%s: %v", line, err)
	}
	switch {
	case answer.Status == 0:
		return finding{clean, line}
	case answer.Status == 1:
		return finding{infected, answer.Text}
	case blocks:
		return finding{refused, answer.Text}
	}
	return finding{flagged, answer.Text}
}

// TestNextcloudPieces shows what av_stream_max_length does to a larger archive: the app
// has it scanned in pieces, and no engine can open one.
func TestNextcloudPieces(t *testing.T) {
	t.Parallel()
	c := nextcloudClients[0]
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	at := newTarget(t, c)
	at.startPolyclam(t, c, &engines{clamd: engine.Socket}, worldUp)
	archive := filepath.Join(t.TempDir(), "archive.zip")
	noise := make([]byte, 150<<10)
	rand.NewChaCha8([32]byte{}).Read(noise)
	if err := os.WriteFile(archive, zippedAll(map[string][]byte{"1": noise, "2": []byte(clamdtest.EICAR())}), 0o644); err != nil {
		t.Fatal(err)
	}
	for length, want := range map[string]outcome{"104857600": infected, "65536": clean} {
		set := nextcloudSettings(t, at)
		set["av_stream_max_length"] = length
		if got := startNextcloud(t, set).upload(archive, true); got.outcome != want {
			t.Errorf("av_stream_max_length %s: %s (%s), want %s", length, got.outcome, got.text, want)
		}
	}
}

// TestNextcloudStrict runs the recipe's listener for versions that store what was not
// checked.
func TestNextcloudStrict(t *testing.T) {
	t.Parallel()
	clamdtest.RequireProgram(t, "zip") // for the samples
	c := client{name: "Nextcloud, strict", recipe: "nextcloud.md", listener: "listener-strict", network: "unix"}
	at := newTarget(t, c)
	app := startNextcloud(t, nextcloudSettings(t, at))
	at.startPolyclam(t, c, &engines{failing: startFake(t, "stream: Can't allocate memory ERROR")}, worldFailing)
	if got := app.upload(samples()[sampleClean].path, false); got.outcome != infected || got.text != "Heuristics.Scan.Failed" {
		t.Errorf("engine failing: %s (%s), want %s", got.outcome, got.text, infected)
	}
}

// TestNextcloudExecutable shows why the recipe warns of the mode executable: clamdscan
// exits with 0, and the app calls the file clean.
func TestNextcloudExecutable(t *testing.T) {
	t.Parallel()
	program := clamdtest.RequireProgram(t, "clamdscan")
	c := nextcloudClients[0]
	at := newTarget(t, c)
	at.startPolyclam(t, c, &engines{failing: startFake(t, "stream: Can't allocate memory ERROR")}, worldFailing)
	conf := filepath.Join(t.TempDir(), "clamd.conf")
	if err := os.WriteFile(conf, []byte("LocalSocket "+at.socket+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, status := run(t, []byte("nothing to be found here\n"), program, "--config-file="+conf, "-")
	if status != 0 || !strings.Contains(out, " ERROR") {
		t.Errorf("clamdscan -: exit status %d, %s", status, out)
	}
}
