package clients

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// TestMIMEDefangWhy sends a mail through Postfix, MIMEDefang and a polyclamd whose engines
// are down. "polyclam why" finds the tempfailed mail by the queue id in Postfix's log.
func TestMIMEDefangWhy(t *testing.T) {
	t.Parallel()
	clamdtest.RequireProgram(t, "mimedefang")
	tool := filepath.Join(clamdtest.Dir(t, ""), "polyclam")
	if out, err := exec.Command("go", "build", "-o", tool, "polyclam/cmd/polyclam").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e := startEngines(t)
	at := newTarget(t, chainClient(""))
	p := clamdtest.StartPolyclam(t, config(snippet(t, "mimedefang.md", "listener")+"[log]\nformat = \"json\"\n[admin]\naddress = \"unix:${DIR}/admin.sock\"\n", worldDown)+e.engines(worldDown),
		clamdtest.Options{Port: at.port})
	at.place(t, p.Socket)
	chain := startChain(t, exampleFilter(t, at))
	if got := chain.mail(t, samples()[sampleClean]); got.reply.Code != 451 {
		t.Fatalf("got %v", got)
	}
	id := regexp.MustCompile(`cleanup\[\d+\]: ([0-9A-Za-z]+): milter-reject`).FindStringSubmatch(chain.postfix.Log())
	if id == nil {
		t.Fatalf("no queue id in %s", chain.postfix.Log())
	}
	why := func(key string) (string, int) {
		c := exec.Command(tool, "why", "--admin", "unix:"+filepath.Join(p.Dir, "admin.sock"), key)
		out, _ := c.CombinedOutput()
		t.Logf("polyclam why %s\n%s", key, out)
		return string(out), c.ProcessState.ExitCode()
	}
	out, status := why(id[1])
	if status != 0 {
		t.Fatalf("exit status %d", status)
	}
	for _, want := range []string{"(tempfail)", "the client's own " + id[1], "XINSTREAM", "clamav", "nobody.sock", "sophos", "remedy    clamav"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	keys := []string{id[1]}
	for _, pattern := range []string{`, id ([0-9a-v]{20}),`, `sha256 +([0-9a-f]{64})`} {
		m := regexp.MustCompile(pattern).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no %s", pattern)
		}
		if same, status := why(m[1]); status != 0 || !strings.Contains(same, "the client's own "+id[1]) {
			t.Errorf("exit status %d", status)
		}
		keys = append(keys, m[1])
	}
	p.Stop()
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		out, status := why(key)
		_, command, _ := strings.Cut(out, "from before a restart: ")
		command, _, _ = strings.Cut(command, "\n")
		words := strings.Fields(command)
		if status != 1 || len(words) < 2 || words[0] != "journalctl" {
			t.Fatalf("exit status %d, and no command for the journal", status)
		}
		// --grep is the last word. A log in a file has the lines of the journal.
		grep := exec.Command("grep", "-P", words[len(words)-1])
		grep.Stdin = strings.NewReader(p.Log())
		line, err := grep.Output()
		if err != nil || !strings.Contains(string(line), id[1]) {
			t.Errorf("%s finds %q, %v", command, line, err)
		}
	}
}
