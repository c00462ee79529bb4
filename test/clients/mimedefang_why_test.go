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
	p := clamdtest.StartPolyclam(t, config(snippet(t, "mimedefang.md", "listener")+"[log]\nlevel = \"error\"\n[admin]\naddress = \"unix:${DIR}/admin.sock\"\n", worldDown)+e.engines(worldDown),
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
	out, err := exec.Command(tool, "why", "--admin", "unix:"+filepath.Join(p.Dir, "admin.sock"), id[1]).CombinedOutput()
	t.Logf("polyclam why %s\n%s", id[1], out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(tempfail)", "the client's own " + id[1], "XINSTREAM", "clamav", "nobody.sock", "sophos", "remedy    clamav"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing", want)
		}
	}
}
