package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/mailtest"
)

var clamsmtpClients = []client{{
	name: "clamsmtp", recipe: "clamsmtp.md", listener: "listener", network: "unix",
	user:  "clamsmtp",
	start: startClamsmtp,
	but:   map[string]outcome{caseOversize: clean},
	open:  map[string]string{caseOversize: unlimited},
}}

// clamsmtpBase is what a throw-away clamsmtpd needs besides the recipe: its address,
// the sink's, and its spool. The user is Debian's.
const clamsmtpBase = `
Listen: %s
OutAddress: %s
TempDirectory: %s
User: clamsmtp
`

// startClamsmtp runs a clamsmtpd between the test and a sink.
func startClamsmtp(t *testing.T, at target) scan {
	program := clamdtest.RequireProgram(t, "clamsmtpd")
	sink := mailtest.StartSink(t)
	address := "127.0.0.1:" + clamdtest.Port(t)
	spool := clamdtest.Dir(t, at.user)
	conf := filepath.Join(t.TempDir(), "clamsmtpd.conf")
	text := at.fill(snippet(t, "clamsmtp.md", "clamsmtpd")) + fmt.Sprintf(clamsmtpBase, address, sink.Address, spool)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	// -d keeps it in the foreground and prints what would go to syslog. Level 3 leaves
	// out the clamd dialogue.
	smtpd := serve(t, address, exec.Command(program, "-d", "3", "-f", conf))
	sent := 0
	return func(t *testing.T, s sample) finding {
		sent++
		id := fmt.Sprintf("mail-%d", sent)
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		before := len(smtpd.log())
		reply, err := mailtest.Send(ctx, address, mailtest.Message(id, mailtest.Attachment{Name: s.name, Data: s.content}))
		if err != nil {
			t.Fatal(err)
		}
		switch arrived := sink.Has(id); {
		case reply.Code == 250 && arrived:
			return finding{clean, reply.String()}
		case reply.Code == 250 && strings.HasPrefix(reply.Text, "Virus Detected"):
			return finding{infected, reply.String() + ": " + smtpd.logged(t, before, "status=VIRUS:")}
		case reply.Code/100 == 4 && !arrived:
			return finding{refused, reply.String()}
		default:
			t.Fatalf("%s, delivered %v", reply, arrived)
		}
		return finding{}
	}
}
