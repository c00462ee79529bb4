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

var milterClients = []client{
	milter("clamav-milter (unix)", "unix"),
	milter("clamav-milter (TCP)", "tcp"),
}

// milterBase is what a throw-away clamav-milter needs besides the recipe. It changes to
// the user of Debian's package.
const milterBase = `
User clamav
Foreground yes
TemporaryDirectory %[1]s
LogFile %[1]s/milter.log
LogTime yes
LogVerbose yes
LogInfected Full
`

// milterPort is the port between Postfix and clamav-milter in the recipe.
const milterPort = "7357"

// TestMilterEncrypted checks that one more line in polyclam's configuration makes the
// milter hold encrypted mail.
func TestMilterEncrypted(t *testing.T) {
	t.Parallel()
	for _, c := range milterClients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			holdsEncrypted(t, c, snippet(t, "clamav-milter.md", "encrypted"))
		})
	}
}

// TestMilterMaxFileSize shows that clamav-milter scans only the beginning of a longer
// mail and then calls the mail clean.
func TestMilterMaxFileSize(t *testing.T) {
	t.Parallel()
	c := milterClients[0]
	const option = "MaxFileSize 100M\n"
	for limit, want := range map[string]outcome{option: infected, "MaxFileSize 64K\n": clean} {
		t.Run(strings.TrimSpace(limit), func(t *testing.T) {
			t.Parallel()
			at := newTarget(t, c)
			at.startWith(t, c, &engines{clamd: clamdtest.Start(t, clamdtest.Options{Daily: true}).Socket}, worldUp, "")
			conf := milterConf(t, at)
			if !strings.Contains(conf, option) {
				t.Fatalf("no %q in %q", option, conf)
			}
			chain := startMilterChain(t, strings.Replace(conf, option, limit, 1))
			got := chain.send(t, mailtest.Attachment{Name: "first.bin", Data: make([]byte, 64<<10)},
				mailtest.Attachment{Name: "second.com", Data: []byte(clamdtest.EICAR())})
			if got.outcome != want {
				t.Errorf("%s (%s), want %s", got.outcome, got.text, want)
			}
			t.Logf("table: %s, EICAR behind 64 KiB, %s: %s", c.name, strings.TrimSpace(limit), got.outcome)
		})
	}
}

// milter sends mail through a chain of Postfix, clamav-milter and clamd.
func milter(name, network string) client {
	c := map[string]client{
		"unix": {recipe: "clamav-milter.md", listener: "listener"},
		"tcp":  {recipe: "clamav-milter.md", listener: "listener-tcp"},
	}[network]
	c.name, c.network = name, network
	if network == "unix" { // passes a descriptor
		c.but = map[string]outcome{caseOversize: clean}
		c.open = map[string]string{caseOversize: unlimited}
	}
	c.start = func(t *testing.T, at target) scan {
		return startMilterChain(t, milterConf(t, at)).scan
	}
	return c
}

// milterConf is the recipe's clamav-milter.conf.
func milterConf(t *testing.T, at target) string {
	t.Helper()
	text := snippet(t, "clamav-milter.md", "unix")
	if at.network == "tcp" {
		text = snippet(t, "clamav-milter.md", "tcp")
	}
	return at.fill(text) + snippet(t, "clamav-milter.md", "milter")
}

// A milterChain takes mail and passes to the sink what clamav-milter accepts.
type milterChain struct {
	postfix *mailtest.Postfix
	sink    *mailtest.Sink
	logFile string // clamav-milter's
	sent    int
}

// startMilterChain runs a clamav-milter with conf, and a Postfix with the lines of the
// recipe in front of it.
func startMilterChain(t *testing.T, conf string) *milterChain {
	t.Helper()
	program := clamdtest.RequireProgram(t, "clamav-milter")
	clamdtest.RequireRoot(t, "clamav-milter")
	port := clamdtest.Port(t)
	logFile := startMilter(t, program, strings.ReplaceAll(conf, milterPort, port), "127.0.0.1:"+port)
	sink := mailtest.StartSink(t)
	postfix := mailtest.StartPostfix(t, mailtest.PostfixOptions{
		Relay: sink.Address,
		Extra: parameters(t, strings.ReplaceAll(snippet(t, "clamav-milter.md", "postfix"), milterPort, port)),
	})
	return &milterChain{postfix: postfix, sink: sink, logFile: logFile}
}

// parameters parses "name = value" lines of a main.cf.
func parameters(t *testing.T, mainCF string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(mainCF) {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("main.cf: %q", line)
		}
		values[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return values
}

// startMilter runs clamav-milter until the end of the test, waits until it listens, and
// returns the path of its log.
func startMilter(t *testing.T, program, conf, address string) string {
	t.Helper()
	dir := clamdtest.Dir(t, "clamav")
	logFile := filepath.Join(dir, "milter.log")
	path := writeFile(t, filepath.Join(dir, "clamav-milter.conf"), conf+fmt.Sprintf(milterBase, dir))
	cmd := exec.Command(program, "--config-file="+path)
	cmd.Dir = dir
	milter := launch(t, cmd)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(logFile)
			t.Logf("log of clamav-milter:\n%s", log)
		}
	})
	milter.until(t, func() error { return accepts("tcp", address) })
	return logFile
}

// scan sends a mail with the sample attached and reports what happened to the mail.
func (c *milterChain) scan(t *testing.T, s sample) finding {
	t.Helper()
	return c.send(t, mailtest.Attachment{Name: s.name, Data: s.content})
}

func (c *milterChain) send(t *testing.T, attachments ...mailtest.Attachment) finding {
	t.Helper()
	c.sent++
	id := fmt.Sprintf("milter-%d", c.sent)
	before := len(c.log(t))
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	reply, err := mailtest.Send(ctx, c.postfix.SMTP, mailtest.Message(id, attachments...))
	if err != nil {
		t.Fatal(err)
	}
	c.postfix.WaitEmpty(t)
	said := strings.TrimSpace(c.log(t)[before:])
	switch delivered := c.sink.Has(id); {
	case reply.Code == 250 && delivered && c.sink.Wait(t, id).Header.Get("X-Virus-Status") == "Clean":
		return finding{clean, reply.String()}
	case reply.Code == 550 && !delivered && strings.Contains(reply.Text, "infected by"):
		return finding{infected, reply.String()}
	// Postfix says the same whether it cannot reach clamav-milter or clamav-milter
	// cannot reach clamd. What counts is that Postfix got no usable answer.
	case reply.Code == 451 && !delivered && (strings.Contains(said, "Unknown reply from clamd") || strings.Contains(said, "Streaming failed")):
		return finding{refused, reply.String() + "; " + said}
	default:
		t.Fatalf("%s, delivered %v; clamav-milter said %q", reply, delivered, said)
	}
	return finding{}
}

// log returns what clamav-milter has logged so far.
func (c *milterChain) log(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(c.logFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}
