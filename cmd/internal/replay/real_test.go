package replay

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/cmd/internal/config"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

func TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }

// site is what the three configurations below have in common: three listeners, and seven
// engines of five kinds, two of which fail for many objects and one for every object.
const site = `
[[listener]]
address = "unix:${DIR}/p.sock"
client = "mimedefang"
{mail}
[[listener]]
address = "tcp:127.0.0.1:${PORT}"
client = "http-gateway"
{uploads}
[[listener]]
address = "unix:${DIR}/x.sock"
client = "amavis"
answer_within = "100s"
{other}
[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:${CLAMD}"
size_check = false
{clamav}
[[engine]]
name = "inspect"
backend = "inspect"
max_size = "4KiB"
{inspect}
[[engine]]
name = "one"
backend = "polyclam"
address = "${ONE}"
canary = false
max_size = "4KiB"
{one}
[[engine]]
name = "two"
backend = "polyclam"
address = "${TWO}"
canary = false
max_delay = "60s"
{two}
[[engine]]
name = "watched"
backend = "polyclam"
address = "${THREE}"
canary = false
{watched}
[[engine]]
name = "absent"
backend = "clamd"
address = "unix:${DIR}/none.sock"
required = false
canary = false
{absent}
[[engine]]
name = "script"
backend = "command"
canary = false
argv = ["${SCRIPT}", "{path}"]
exit = { "0" = "?ok", "3" = "interrupted" }
virus_regex = '^Virus: (.*)$'
suspicious_regex = '^Suspicious: (.*)$'
encrypted_regex = '^Locked$'
partial_regex = '^Damaged$'
error_regex = '^Error: '
{script}
[spool]
directory = "${DIR}/tmp"
[log]
sha256 = "always"
level = "info"
`

// siteOf fills in the places in site; more comes last.
func siteOf(places map[string]string, more string) string {
	text := site
	for _, name := range []string{"mail", "uploads", "other", "clamav", "inspect", "one", "two", "watched", "absent", "script"} {
		text = strings.Replace(text, "{"+name+"}\n", places[name]+"\n", 1)
	}
	return text + more
}

var (
	siteA = siteOf(map[string]string{
		"mail":    `engines = ["clamav", "inspect", "one", "two", "watched", "absent"]`,
		"uploads": "engines = [\"clamav\", \"one\", \"script\"]\n[listener.actions]\npartial = \"quarantine\"\n",
		"other":   `precedence = ["encrypted", "virus", "suspicious", "partial", "swerr", "interrupted", "cannot-execute", "not-installed", "ok"]`,
		"two":     "required = false",
		"watched": `mode = "observe"`,
		"script":  "required = false\nmax_delay = \"60s\"",
	}, `
[[rule]]
name = '^PUA\.'
category = "ok"
[policy.actions]
encrypted = "quarantine"
`)
	// siteB asks no engine that siteA does not ask for the same listener.
	siteB = siteOf(map[string]string{
		"mail":    `engines = ["clamav", "inspect", "one", "two", "watched"]`,
		"uploads": "engines = [\"clamav\", \"script\"]\n",
		"other":   "[listener.actions]\nsuspicious = \"ok\"\n",
		"inspect": "required = false\nmax_delay = \"60s\"",
		"one":     "required = false\nmax_delay = \"60s\"",
		"two":     `mode = "observe"`,
		"watched": `mode = "observe"`,
	}, `
[[rule]]
name = '^PUA\.'
category = "suspicious"
[[rule]]
engine = "clamav"
name = '^Polyclam\.Test\.Two'
category = "partial"
[policy]
precedence = ["virus", "swerr", "encrypted", "suspicious", "interrupted", "partial", "not-installed", "cannot-execute", "ok"]
[policy.actions]
suspicious = "tempfail"
partial = "quarantine"
not-installed = "ok"
`)
	// siteC has an engine on that siteA observes, and one for another listener.
	siteC = siteOf(map[string]string{
		"uploads": `engines = ["clamav", "inspect"]`,
		"two":     "required = false",
		"absent":  `mode = "off"`,
	}, "[policy]\nfirst_virus = \"wait\"\naction = \"category\"\n")
)

// A run is a polyclamd that has scanned the objects.
type run struct {
	daemon   *clamdtest.Polyclam
	log      string
	verdicts map[string]Verdict // by the hash of the object
	lines    map[string]string  // likewise
}

// runSite runs polyclamd with a configuration and scans the objects.
func runSite(t *testing.T, toml string, objects [][]byte) *run {
	t.Helper()
	p := clamdtest.StartPolyclam(t, toml, clamdtest.Options{HideLog: true})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	to := [][2]string{{"unix", p.Socket}, {"unix", filepath.Join(p.Dir, "x.sock")}, {"unix", p.Socket}, {"tcp", p.TCP}}
	var wg sync.WaitGroup
	for i, at := range to { // a quarter of the objects each
		wg.Go(func() {
			first := i * len(objects) / len(to)
			if err := send(ctx, at[0], at[1], objects[first:(i+1)*len(objects)/len(to)], first); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.Stop() // writes the last log lines
	r := &run{daemon: p, verdicts: map[string]Verdict{}, lines: map[string]string{}}
	var lines strings.Builder
	for line := range strings.Lines(p.Log()) {
		lines.WriteString(line)
		if s, err := Parse([]byte(line)); err == nil {
			r.verdicts[shaOf(line)], r.lines[shaOf(line)] = s.Verdict, line
		}
	}
	if r.log = lines.String(); len(r.verdicts) != len(objects) {
		t.Fatalf("%d objects in the log, want %d", len(r.verdicts), len(objects))
	}
	return r
}

// toolSummary is what the real polyclam says about a log.
func toolSummary(t *testing.T, tool, log, config string) *Summary {
	t.Helper()
	out, err := exec.Command(tool, "policy", "--config="+config, "--log="+log, "--json", "--limit=1000000").Output()
	var s Summary
	if jsonErr := json.Unmarshal(out, &s); jsonErr != nil {
		t.Fatalf("%v, %v: %s", err, jsonErr, out)
	}
	status := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	}
	if want := min(s.Different, 1); status != want {
		t.Errorf("exit status %d, want %d", status, want)
	}
	return &s
}

// TestAgainstRealRuns scans objects with real daemons under three configurations, and judges
// the log of the first by the others, with the real tool. Each judgement must be the verdict
// of the second run for the same object. POLYCLAM_REPLAY is the number of objects.
func TestAgainstRealRuns(t *testing.T) {
	n := 1000
	if text := os.Getenv("POLYCLAM_REPLAY"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	clamd := clamdtest.Start(t, clamdtest.Options{HideLog: true})
	dir := clamdtest.Dir(t, "")
	program, tool := filepath.Join(dir, "script"), filepath.Join(dir, "polyclam")
	testkit.WriteProgram(t, program, []byte(script))
	if out, err := exec.Command("go", "build", "-o", tool, "polyclam/cmd/polyclam").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same := strings.NewReplacer("${CLAMD}", clamd.Socket, "${SCRIPT}", program,
		"${ONE}", startScripted(t, 1), "${TWO}", startScripted(t, 2), "${THREE}", startScripted(t, 3))
	objects := make([][]byte, n)
	for i := range objects {
		objects[i] = object(t, i)
	}
	first := runSite(t, same.Replace(siteA), objects)
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(log, []byte(first.log), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(first.daemon.TCP)
	for _, tt := range []struct {
		name, site string
		judged     int             // at least, in percent
		reasons    map[string]bool // that are possible
	}{
		{"A", siteA, 100, nil},
		{"B", siteB, 75, map[string]bool{cancelled: true}},
		{"C", siteC, 5, map[string]bool{cancelled: true, noResult: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			second := first
			if tt.site != siteA {
				second = runSite(t, same.Replace(tt.site), objects)
			}
			// The new configuration, with the addresses in the log.
			text := strings.NewReplacer("${DIR}", first.daemon.Dir, "${PORT}", port).Replace(same.Replace(tt.site))
			file := filepath.Join(dir, tt.name+".toml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := config.Parse(file, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			want := compareObjects(t, first.log, NewJudge(t.Context(), f, net.DefaultResolver), second, tt.reasons)
			if got := toolSummary(t, tool, log, file); !reflect.DeepEqual(got, want) {
				t.Errorf("polyclam policy says %+v, want %+v", got, want)
			}
			switch {
			case want.Judged*100 < n*tt.judged:
				t.Errorf("only %d of %d judged", want.Judged, n)
			case tt.site == siteA && want.Different > 0:
				t.Errorf("%d differ from their own configuration", want.Different)
			case tt.site != siteA && want.Different < n/50:
				t.Errorf("only %d of %d differ", want.Different, n)
			}
		})
	}
}

// compareObjects compares the judgement of each scan in a log with the verdict of a second
// run. It returns the summary of the log.
func compareObjects(t *testing.T, log string, j *Judge, second *run, reasons map[string]bool) *Summary {
	t.Helper()
	wrong, hidden := 0, 0
	for line := range strings.Lines(log) {
		s, err := Parse([]byte(line))
		if err != nil {
			continue
		}
		want := second.verdicts[shaOf(line)]
		v, err := j.Judge(s)
		var reason Reason
		switch {
		case errors.As(err, &reason):
			if !reasons[reason.Text] {
				t.Errorf("not judged: %v: %s", err, line)
			}
			if s.Verdict.kind() != want.kind() {
				hidden++
			}
		case v.kind() != want.kind():
			if wrong++; wrong < 5 {
				t.Errorf("judged %s, the second run says %s:\n%s%s", v.kind(), want.kind(), line, second.lines[shaOf(line)])
			}
		}
	}
	r, err := NewReader(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Compare(r, j, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d scans judged, %d differ in %d ways, %d disagree with the second run", sum.Judged, len(second.verdicts), sum.Different, len(sum.Changes), wrong)
	for _, n := range sum.NotJudged {
		t.Logf("not judged: %d: %s", n.Count, n.Reason)
	}
	t.Logf("%d of those not judged have another verdict in the second run", hidden)
	return sum
}
