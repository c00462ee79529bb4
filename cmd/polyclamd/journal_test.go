package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/rs/zerolog"

	"polyclam/backends/testfile"
	"polyclam/cmd/internal/logbuf"
	"polyclam/test/testkit"
)

// launchInJournal starts a daemon whose standard error is a file that JOURNAL_STREAM names,
// or, if other is set, whose JOURNAL_STREAM names another file. It returns the file's path.
func launchInJournal(t *testing.T, other bool, args ...string) (*testDaemon, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if other {
		st.Ino++
	}
	d := launch(t, func(c *exec.Cmd) {
		c.Stderr = f
		c.Env = append(c.Env, fmt.Sprintf("JOURNAL_STREAM=%d:%d", st.Dev, st.Ino))
	}, args...)
	return d, path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestJournal checks the priorities of a running daemon's lines: those of an ordinary start,
// a clean object, a finding and a refused reload.
func TestJournal(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	conf := writeConfig(t, dir, unixListener(socket))
	d, path := launchInJournal(t, false, "--config", conf)
	testkit.Eventually(t, "the socket", func() bool { _, err := ask("unix", socket, "zPING\x00"); return err == nil })
	for _, object := range []string{"harmless", string(testfile.EICAR())} {
		if _, err := ask("unix", socket, instream(object)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(conf, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.signal(syscall.SIGHUP)
	for _, want := range []string{
		`<6>{.*"message":"listening"}`,
		`<6>{.*"action":"ok".*"message":"scanned"}`,
		`<5>{"level":"info".*"action":"quarantine".*"message":"scanned"}`,
		`<3>{"level":"error".*"message":"reload refused.*"}`,
	} {
		line := regexp.MustCompile(`(?m)^` + want + `$`)
		testkit.Eventually(t, want, func() bool { return line.MatchString(readFile(t, path)) })
	}
	d.stop()
	for line := range strings.Lines(readFile(t, path)) {
		if !regexp.MustCompile(`^<[3-6]>{`).MatchString(line) || !json.Valid([]byte(line[len("<6>"):])) {
			t.Errorf("not a line with a priority: %q", line)
		}
	}
}

// TestJournalOfABadStart checks that each line of plain text is an error.
func TestJournalOfABadStart(t *testing.T) {
	for _, check := range []bool{false, true} {
		args := []string{"--config", writeConfig(t, t.TempDir(), "bad = 1\nworse = 2\n")}
		if check {
			args = append(args, "--check")
		}
		d, path := launchInJournal(t, false, args...)
		d.wait()
		text := readFile(t, path)
		if lines := strings.Count(text, "\n"); lines < 2 || lines != strings.Count("\n"+text, "\n<3>") {
			t.Errorf("got %q", text)
		}
	}
}

// TestNotTheJournal inherits JOURNAL_STREAM, but its standard error is another file.
func TestNotTheJournal(t *testing.T) {
	d, path := launchInJournal(t, true, "--config", writeConfig(t, t.TempDir(), "bad = 1\n"))
	d.wait()
	if text := readFile(t, path); text == "" || strings.Contains(text, "<3>") {
		t.Errorf("got %q", text)
	}
}

func TestPriority(t *testing.T) {
	for _, tt := range []struct {
		level zerolog.Level
		line  string
		want  journal.Priority
	}{
		{zerolog.TraceLevel, `{}`, journal.PriDebug},
		{zerolog.DebugLevel, `{"action":"quarantine"}`, journal.PriDebug},
		{zerolog.InfoLevel, `{"action":"ok"}`, journal.PriInfo},
		{zerolog.InfoLevel, `{"action":"quarantine"}`, journal.PriNotice},
		{zerolog.InfoLevel, `{"object":"\"action\":\"quarantine\""}`, journal.PriInfo},
		{zerolog.WarnLevel, `{"action":"quarantine"}`, journal.PriWarning},
		{zerolog.ErrorLevel, `{}`, journal.PriErr},
		{zerolog.FatalLevel, `{}`, journal.PriCrit},
		{zerolog.PanicLevel, `{}`, journal.PriCrit},
		{zerolog.NoLevel, `{}`, journal.PriInfo},
	} {
		if got := priority(tt.level, []byte(tt.line)); got != tt.want {
			t.Errorf("%v %s: priority %d, want %d", tt.level, tt.line, got, tt.want)
		}
	}
}

// TestLongLine logs lines that the journal would split. They stay JSON, and keep what says
// which they are.
func TestLongLine(t *testing.T) {
	var many []string
	for range 100_000 {
		many = append(many, "<0>\n")
	}
	for name, log := range map[string]func(*zerolog.Event) *zerolog.Event{
		"string":  func(e *zerolog.Event) *zerolog.Event { return e.Str("object", strings.Repeat("\x00é", 30_000)) },
		"list":    func(e *zerolog.Event) *zerolog.Event { return e.Strs("names", many) },
		"numbers": func(e *zerolog.Event) *zerolog.Event { return e.Ints("n", make([]int, 100_000)) },
		"fields": func(e *zerolog.Event) *zerolog.Event {
			for i := range 20_000 {
				e = e.Int(fmt.Sprint("field", i), i)
			}
			return e
		},
	} {
		var out bytes.Buffer
		buffer := logbuf.New(&out, 1<<20, func(int) []byte { return nil })
		l := zerolog.New(newJournalLevels(func(w io.Writer) io.Writer { return w }, buffer))
		log(l.Warn().Str("id", "d4ak1")).Msg("scanned")
		buffer.Close(hang)
		line, ok := strings.CutPrefix(out.String(), "<4>")
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || !ok || strings.Count(line, "\n") != 1 || len(line) > maxJournalLine {
			t.Errorf("%s: %d bytes, %v: %.200q", name, out.Len(), err, line)
		}
		if fields["id"] != "d4ak1" || fields["level"] != "warn" || name != "fields" && (fields["message"] != "scanned" || fields["shortened"] != true) {
			t.Errorf("%s: %.200q", name, line)
		}
	}
}
