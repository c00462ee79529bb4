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

var haraka = client{
	name: "Haraka (unix)", recipe: "haraka.md", listener: "listener", network: "unix",
	start:   func(t *testing.T, at target) scan { return startHaraka(t, at, snippet(t, "haraka.md", "unix")) },
	differs: map[string]string{caseOversize: harakaLimit},
}

// harakaMarking is Haraka with the second pair of blocks in the recipe.
var harakaMarking = client{
	name: "Haraka (TCP), encrypted marked", recipe: "haraka.md", listener: "listener-marking", network: "tcp",
	start: func(t *testing.T, at target) scan {
		return startHaraka(t, at, snippet(t, "haraka.md", "tcp")+snippet(t, "haraka.md", "marking"))
	},
	but: map[string]outcome{caseEncrypted: flagged},
	differs: map[string]string{
		caseOversize:  harakaLimit,
		caseEncrypted: "the recipe has encrypted = \"quarantine\" and reject.Encrypted = false: delivered with the header X-Haraka-Virus",
	},
}

const harakaLimit = "the plugin accepts a mail on clamd's words \"size limit exceeded\", if it reads them; the profile has other words"

// startHaraka runs a Haraka with clamd.ini between the test and a sink.
func startHaraka(t *testing.T, at target, clamdINI string) scan {
	node, modules := requireNode(t)
	program := filepath.Join(modules, ".bin", "haraka")
	sink := mailtest.StartSink(t)
	address := "127.0.0.1:" + clamdtest.Port(t)
	dir := t.TempDir()
	if out, status := run(t, nil, node, program, "-i", dir); status != 0 {
		t.Fatalf("haraka -i: exit status %d: %s", status, out)
	}
	_, sinkPort, _ := strings.Cut(sink.Address, ":")
	_, domain, _ := strings.Cut(mailtest.Recipient, "@")
	for name, text := range map[string]string{
		"clamd.ini": at.fill(clamdINI),
		"plugins":   "rcpt_to.in_host_list\n" + snippet(t, "haraka.md", "plugins") + "queue/smtp_forward\n",
		// Without nodes there is one process, not a master with children.
		"smtp.ini":         fmt.Sprintf("listen=%s\nnodes=0\n", address),
		"smtp_forward.ini": fmt.Sprintf("host=127.0.0.1\nport=%s\n", sinkPort),
		"host_list":        domain + "\n",
		"me":               "haraka.example\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "config", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, address, exec.Command(node, program, "-c", dir))
	sent := 0
	send := func(t *testing.T, s sample) finding {
		sent++
		id := fmt.Sprintf("mail-%d", sent)
		return harakaSaid(t, address, sink, id, mailtest.Message(id, mailtest.Attachment{Name: s.name, Data: s.content}))
	}
	return func(t *testing.T, s sample) finding {
		if s.name == sampleLarge {
			return sendOften(t, send, s)
		}
		return send(t, s)
	}
}

// sendOften sends a mail slightly over the limit until one passes. clamd closes the
// connection in the middle of the mail, and the plugin sees either clamd's reply or the
// reset, whichever comes first: it refuses about one mail in five. The larger the mail,
// the more it refuses.
func sendOften(t *testing.T, send scan, s sample) (f finding) {
	t.Helper()
	s.content = s.content[:streamLimit*3/4] // in base64 with its line breaks
	for range 20 {
		if f = send(t, s); f.outcome != refused {
			break
		}
	}
	return f
}

// harakaSaid sends a mail and reports what happened to it. When Haraka answers 250,
// queue/smtp_forward has passed it to the sink.
func harakaSaid(t *testing.T, address string, sink *mailtest.Sink, id string, mail []byte) finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	reply, err := mailtest.Send(ctx, address, mail)
	if err != nil {
		t.Fatal(err)
	}
	arrived := sink.Has(id)
	switch {
	case reply.Code == 250 && arrived:
		if mark := sink.Wait(t, id).Header.Get("X-Haraka-Virus"); mark != "" {
			return finding{flagged, "X-Haraka-Virus: " + mark}
		}
		return finding{clean, reply.String()}
	case reply.Code == 550 && !arrived && strings.HasPrefix(reply.Text, "Message is infected with "):
		return finding{infected, reply.String()}
	case reply.Code == 450 && !arrived:
		return finding{refused, reply.String()}
	}
	t.Fatalf("%s, delivered: %v", reply, arrived)
	return finding{}
}
