package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy/ops/admin"
	"polyclam/proxy/record"
	"polyclam/test/testkit"
)

// answersWhy serves an admin socket that gives this answer, and returns its address and the
// keys that were asked for.
func answersWhy(t *testing.T, status int, answer any) (address string, keys chan string) {
	t.Helper()
	path := filepath.Join(testkit.SocketDir(t), "a")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	keys = make(chan string, 10)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys <- r.URL.Query().Get("key")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(answer)
	})}
	go s.Serve(ln)
	t.Cleanup(func() { s.Close() })
	return "unix:" + path, keys
}

// runTool runs the tool and returns its exit status and what it printed.
func runTool(args ...string) (exit int, stdout, stderr string) {
	var out, errs strings.Builder
	t := &tool{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	exit = t.run(args)
	return exit, out.String(), errs.String()
}

var whyNow = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

// tempfailed is a mail that was deferred because an engine was down.
func tempfailed() *record.Scan {
	return &record.Scan{
		ID: "dc56b29ksdu9iasf8kl0", Tag: "4dLk2x0Cj9z1x", Time: whyNow.Add(-3 * time.Minute), Client: "unix:uid=113,pid=7", Listener: "unix:/run/polyclam/clamd.sock",
		Command: "XINSTREAM", Object: "stream", Size: 12 << 10, SHA256: strings.Repeat("ab", 32),
		Category: backends.CannotExecute, Action: "tempfail", Code: 999, Engine: "clamav", ActionBy: "clamav",
		Reason: "cannot-execute of clamav: no node", Reply: "stream: No node ERROR", Elapsed: 20 * time.Millisecond,
		Engines: []record.Engine{
			{Engine: "clamav", Node: "unix:/run/clamd.ctl", Category: backends.CannotExecute, Error: "connection refused", Elapsed: 2 * time.Millisecond, Counts: true},
			{Engine: "inspect", Category: backends.OK, Elapsed: 20 * time.Millisecond, Counts: true,
				Ruled: []record.Ruled{{Name: "Harmless", Category: backends.OK, Rule: "^H"}}},
		},
	}
}

func why(scans ...*record.Scan) admin.Why {
	return admin.Why{Records: append([]*record.Scan{}, scans...), Time: whyNow, Started: whyNow.Add(-time.Hour)}
}

func TestWhyFound(t *testing.T) {
	address, keys := answersWhy(t, 200, why(tempfailed()))
	exit, out, errs := runTool("why", "--admin", address, "a b&c=%")
	if key := <-keys; exit != exitOK || errs != "" || key != "a b&c=%" {
		t.Fatalf("exit %d, key %q, %s", exit, key, errs)
	}
	for _, want := range []string{
		"stream: cannot-execute (tempfail), 3 minutes ago\n",
		"id dc56b29ksdu9iasf8kl0, the client's own 4dLk2x0Cj9z1x\n",
		"client    unix:uid=113,pid=7 at unix:/run/polyclam/clamd.sock\n", "command   XINSTREAM\n", "size      12 KiB\n", "sha256    abab",
		"clamav   cannot-execute  0.002  unix:/run/clamd.ctl  -     connection refused\n",
		"inspect  ok              0.020  -                    -     (Harmless passes by the rule '^H')\n",
		"verdict   cannot-execute of clamav, action tempfail by clamav, after 0.020 s\n", "reason    cannot-execute of clamav: no node\n",
		"answer    stream: No node ERROR\n", "remedy    clamav unix:/run/clamd.ctl: polyclamd could not reach it",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "remedy    inspect") {
		t.Errorf("a remedy for an engine that did not fail:\n%s", out)
	}
}

// TestWhyCached shows in words that an engine was not asked, and does without a hash.
func TestWhyCached(t *testing.T) {
	s := tempfailed()
	s.SHA256, s.Category, s.Action, s.Engine, s.ActionBy = "", backends.Virus, "quarantine", "clamav", "clamav"
	s.Engines = []record.Engine{
		{Engine: "clamav", Category: backends.Virus, Names: []string{"X"}, Counts: true, Cached: "shared", CachedAge: 12 * time.Second},
		{Engine: "inspect", Category: backends.OK, Detail: "read all", Counts: true, Cached: "joined"},
		{Engine: "sophos", Category: backends.OK, Counts: true},
	}
	address, _ := answersWhy(t, 200, why(s))
	exit, out, errs := runTool("why", "--admin", address, "x")
	if exit != exitOK || errs != "" {
		t.Fatalf("exit %d, %s", exit, errs)
	}
	for _, want := range []string{
		"clamav   virus     0.000  -     X     from the cache (shared), scanned 12 seconds ago\n",
		"inspect  ok        0.000  -     -     read all from an identical scan that was under way\n",
		"sophos   ok        0.000  -     -     -\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwant a line\n%s", out, want)
		}
	}
	if strings.Contains(out, "sha256") {
		t.Errorf("there is no hash:\n%s", out)
	}
}

func TestWhyJSON(t *testing.T) {
	address, _ := answersWhy(t, 200, why(tempfailed()))
	exit, out, _ := runTool("why", "--json", "--admin", address, "x")
	var got admin.Why
	if err := json.Unmarshal([]byte(out), &got); err != nil || exit != exitOK || len(got.Records) != 1 || got.Records[0].Tag != "4dLk2x0Cj9z1x" {
		t.Errorf("exit %d, %v, %s", exit, err, out)
	}
	address, _ = answersWhy(t, 200, why())
	if exit, out, _ := runTool("why", "--json", "--admin", address, "x"); exit != 1 || !strings.HasPrefix(out, `{"records":[],`) {
		t.Errorf("exit %d, %s", exit, out)
	}
}

// TestWhyRemedies checks that each kind of trouble has its remedy.
func TestWhyRemedies(t *testing.T) {
	failed := func(c backends.Category) *record.Scan {
		s := tempfailed()
		s.Engines[0].Category = c
		return s
	}
	both := tempfailed()
	both.Engines[0].Category, both.Engines[0].Failure = backends.Encrypted, backends.Interrupted
	found := tempfailed()
	found.Action, found.Names = "quarantine", []string{"Win.Test-1"}
	clean := tempfailed()
	clean.Action, clean.Names = "ok", []string{"Win.Test-1"}
	not := func(reason, err string) *record.Scan {
		return &record.Scan{Object: "stream", NotScanned: reason, Error: err}
	}
	for _, tt := range []struct {
		name string
		scan *record.Scan
		want string
	}{
		{"not installed", failed(backends.NotInstalled), "does not exist"},
		{"late", failed(backends.Interrupted), "answer_within"},
		{"failed", failed(backends.SWErr), "its own log"},
		{"found, then late", both, "answer_within"},
		{"found", found, `a [[rule]] with name = '^Win\\.Test-1$'`},
		{"clean", clean, ""},
		{"gone", not("client gone", ""), "answer_within"},
		{"limit", not("size limit exceeded", "more than 5 bytes (key stream)"), "limits.stream"},
		{"spool", not("spool", "quota"), "spool_total"},
		{"key", not("switched off for this listener (key path_commands)", ""), "path_commands = true"},
		{"other key", not("less than 5 bytes a second (key stream_min_rate)", ""), "the key"},
		{"unknown", not("shutdown", ""), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := answersWhy(t, 200, why(tt.scan))
			_, out, _ := runTool("why", "--admin", address, "x")
			_, remedy, _ := strings.Cut(out, "  remedy ")
			if tt.want == "" && remedy != "" || !strings.Contains(strings.ReplaceAll(remedy, `\`, `\\`), tt.want) {
				t.Errorf("want %q in\n%s", tt.want, out)
			}
		})
	}
}

// TestWhyNothing checks what is said about how far polyclamd's memory reaches.
func TestWhyNothing(t *testing.T) {
	restarted := why()
	restarted.Started = whyNow.Add(-2 * time.Minute)
	full := why()
	full.SinceNotOK = time.Date(2026, 11, 27, 8, 0, 0, 0, time.Local)
	for _, tt := range []struct {
		name   string
		answer admin.Why
		want   string
	}{
		{"restarted", restarted, "It was started 2 minutes ago and remembers everything since then."},
		{"full", full, "all objects that were ok since its start 1 hour ago, and all others since 2026-11-27 08:00:00."},
	} {
		address, _ := answersWhy(t, 200, tt.answer)
		exit, out, _ := runTool("why", "--admin", address, "4dLk2x0Cj9z1x")
		if exit != 1 || !strings.Contains(out, tt.want) || !strings.Contains(out, "journalctl -u polyclamd -o cat --grep 4dLk2x0Cj9z1x\n") {
			t.Errorf("%s: exit %d, %s", tt.name, exit, out)
		}
	}
}

func TestWhyTrouble(t *testing.T) {
	refusing, _ := answersWhy(t, 400, map[string]string{"error": "no such key"})
	missing := "unix:" + filepath.Join(t.TempDir(), "missing")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--admin", missing, "q1"}, "journalctl -u polyclamd -o cat --grep q1"},
		{[]string{"--admin", refusing, "q1"}, "no such key"},
		{[]string{"--admin", "tcp:127.0.0.1:1", "q1"}, "unix:/path"},
		{[]string{}, "want one id"},
		{[]string{"a", "b"}, "want one id"},
		{[]string{""}, "want one id"},
	} {
		if exit, out, errs := runTool(append([]string{"why"}, tt.args...)...); exit != exitFailed || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: exit %d, %s%s", tt.args, exit, out, errs)
		}
	}
}

// TestWhyHostile checks that nothing in a record controls the terminal or forges a line,
// even if polyclamd had not escaped it.
func TestWhyHostile(t *testing.T) {
	const evil = "a\n  verdict   ok\x1b[2J\u202e\x9b"
	s := tempfailed()
	for _, text := range []*string{&s.ID, &s.Tag, &s.Client, &s.Listener, &s.Command, &s.Object, &s.SHA256, &s.Engine, &s.ActionBy, &s.Action, &s.Reason, &s.Reply,
		&s.Engines[0].Engine, &s.Engines[0].Node, &s.Engines[0].Detail, &s.Engines[0].Error, &s.Engines[1].Ruled[0].Name} {
		*text = evil
	}
	s.Names, s.Engines[0].Names = []string{evil}, []string{evil}
	address, _ := answersWhy(t, 200, why(s, &record.Scan{Object: evil, NotScanned: evil, Error: evil}))
	for _, args := range [][]string{{evil}, {"--json", evil}} {
		_, out, _ := runTool(append([]string{"why", "--admin", address}, args...)...)
		if strings.Contains(strings.ReplaceAll(out, "\n", ""), "\x1b") || strings.ContainsAny(out, "\u202e\u009b") || strings.Contains(out, "\n  verdict   ok") {
			t.Errorf("%q", out)
		}
	}
}

// TestJournalCommand runs the proposed command's arguments through a shell.
func TestJournalCommand(t *testing.T) {
	for key, want := range map[string]string{
		"4dLk2x0Cj9z1x": "4dLk2x0Cj9z1x", "a.b": `a\.b`, "<a$b@c>": `<a\$b@c>`, "it's": "it's", "$(reboot)": `\$\(reboot\)`, "-x": "-x",
	} {
		_, command, _ := strings.Cut(inJournal(key), ": journalctl ")
		out, err := exec.Command("sh", "-c", `printf '%s\n' `+command).Output()
		if err != nil || !strings.HasSuffix(string(out), "--grep\n"+want+"\n") {
			t.Errorf("%s: %q, %v", command, out, err)
		}
	}
	if got := inJournal("dc56b29ksdu9iasf8kl0"); !strings.Contains(got, " --since=@") {
		t.Errorf("got %s", got)
	}
}
