package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"polyclam/backends/command/commandfake"
	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
)

// hears is the reply to a stream.
func hears(t *testing.T, p *clamdtest.Polyclam, object string) string {
	t.Helper()
	reply, err := ask("unix", p.Socket, instream(object))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(reply, "\x00")
}

// linesWith are the lines that contain a word.
func linesWith(text, word string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestSaidOfClamd: if clamd's own configuration makes its OK worth less, polyclam check
// and the daemon's log name the line of clamd.conf.
func TestSaidOfClamd(t *testing.T) {
	tool := buildTool(t)
	for _, tt := range []struct {
		conf   []string
		key    string
		status int // of check
		object string
		want   string // the last word for the object
	}{
		{[]string{"AlertEncrypted yes", "HeuristicScanPrecedence yes"}, "HeuristicScanPrecedence", 0, string(testfile.LockedThenEICAR()), "FOUND"},
		{[]string{"MaxFileSize 5M"}, "MaxFileSize", 4, string(testfile.Clean(testfile.NewNonce())), "OK"},
	} {
		t.Run(tt.key, func(t *testing.T) {
			clamd := clamdtest.Start(t, clamdtest.Options{Conf: tt.conf})
			p := clamdtest.StartPolyclam(t, config(clamd.Socket, "max_size = \"20MiB\""), clamdtest.Options{})
			poll(t, "a warning in the log", func() bool { return strings.Contains(p.Log(), tt.key) })
			t.Logf("table: clamd with %s: log: %s", tt.key, strings.TrimSpace(linesWith(p.Log(), tt.key)))
			c := exec.Command(tool, "--config", p.Conf, "check")
			out, _ := c.CombinedOutput()
			said := strings.TrimSpace(linesWith(string(out), tt.key))
			t.Logf("table: clamd with %s: polyclam check, exit %d: %s", tt.key, c.ProcessState.ExitCode(), said)
			if said == "" || c.ProcessState.ExitCode() != tt.status {
				t.Errorf("check, exit status %d, want %d:\n%s", c.ProcessState.ExitCode(), tt.status, out)
			}
			reply := hears(t, p, tt.object)
			t.Logf("table: clamd with %s: the client hears %q", tt.key, reply)
			if !strings.HasSuffix(reply, tt.want) {
				t.Errorf("the client hears %q, want %s", reply, tt.want)
			}
		})
	}
}

// TestEverythingAVirus: an engine that calls a harmless text a virus is not used,
// because its verdicts on mail mean nothing.
func TestEverythingAVirus(t *testing.T) {
	script := commandfake.Script(t, "#!/bin/sh\nfor f; do :; done\necho \">>> Virus 'Foo' found in file $f\"\nexit 3\n")
	begin := time.Now()
	p := clamdtest.StartPolyclam(t, fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"
[spool]
directory = "${DIR}/tmp"
[[engine]]
name = "mad"
backend = "command"
preset = "sophos-sweep"
program = %q
`, script), clamdtest.Options{})
	reply := hears(t, p, "clean")
	took := time.Since(begin)
	n := node(t, p)
	t.Logf("table: an engine that calls everything a virus: state %s, reason %q, after %d ms; a clean mail hears %q", n.Get("state"), n.Get("reason"), took.Milliseconds(), reply)
	if !strings.HasSuffix(reply, "ERROR") || n.Get("state") != "down" || !strings.Contains(n.Get("reason"), "harmless text a virus") {
		t.Errorf("a clean mail hears %q; %s", reply, n)
	}
}
