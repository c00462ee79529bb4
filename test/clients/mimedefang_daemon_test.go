package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/mailtest"
)

// defang is the user that Debian runs MIMEDefang as.
const defang = "defang"

// filterPrelude precedes a filter under test. It sets the instance's directories and
// logs to a file, since a machine may have no system log. It logs each mail's triple,
// whatever the filter does.
const filterPrelude = `
use lib '${MODULES}';
BEGIN {
	require Mail::MIMEDefang;
	no warnings;
	*Mail::MIMEDefang::md_syslog = *Mail::MIMEDefang::Antivirus::md_syslog = *main::md_syslog = sub {
		open my $log, '>>', '${DIR}/filter.log' or die "filter.log: $!";
		syswrite $log, "$_[0]: $_[1]\n";
	};
	for my $name (qw(message_contains_virus message_contains_virus_clamd)) {
		my $original = \&{"Mail::MIMEDefang::Antivirus::$name"};
		*{"main::$name"} = sub {
			my @triple = $original->(@_);
			md_syslog('info', "triple ($triple[0], $triple[1], $triple[2]) $VirusName");
			return wantarray ? @triple : $triple[0];
		};
	}
}
$Features{'Path:SPOOLDIR'} = '${DIR}/spool';
$Features{'Path:QUARANTINEDIR'} = '${DIR}/quarantine';
$AddApparentlyToForSpamAssassin = 0;
`

// A mimedefang is a throw-away MIMEDefang as on a Debian machine: multiplexor, milter
// and workers run as defang, with a spool that no other user can read.
type mimedefang struct {
	dir    string
	milter string // in the form of Postfix's smtpd_milters
}

// startMIMEDefang runs a MIMEDefang with a filter, and extra flags for both daemons,
// until the test ends. ${DIR} in the filter is its folder.
func startMIMEDefang(t *testing.T, filter string, flags ...string) *mimedefang {
	t.Helper()
	program, multiplexor := clamdtest.RequireProgram(t, "mimedefang"), clamdtest.RequireProgram(t, "mimedefang-multiplexor")
	clamdtest.RequireRoot(t, "MIMEDefang as "+defang)
	m := &mimedefang{dir: clamdtest.Dir(t, defang)}
	who := clamdtest.Credential(t, defang)
	for _, name := range []string{"spool", "quarantine"} {
		path := filepath.Join(m.dir, name)
		if err := errors.Join(os.Mkdir(path, 0o750), os.Chown(path, int(who.Uid), int(who.Gid))); err != nil {
			t.Fatal(err)
		}
	}
	m.install(t)
	m.write(t, filterPrelude+filter)
	address := "127.0.0.1:" + clamdtest.Port(t)
	_, port, _ := net.SplitHostPort(address)
	m.milter = "inet:" + address
	spool, socket := filepath.Join(m.dir, "spool"), filepath.Join(m.dir, "spool", "mx.sock")
	m.run(t, multiplexor, "unix", socket, append(flags, "-D", "-l", "-U", defang, "-z", spool, "-s", socket,
		"-F", m.path("filter"), "-m", "1", "-x", "4", "-b", "100", "-c", "60")...)
	m.run(t, program, "tcp", address, append(flags, "-D", "-U", defang, "-z", spool, "-m", socket, "-p", "inet:"+port+"@127.0.0.1")...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the filter:\n%s", m.log())
		}
	})
	return m
}

func (m *mimedefang) path(name string) string { return filepath.Join(m.dir, name) }

// install installs the module as the recipe says, below the instance's folder, because
// other users may not be able to read the checked-out tree.
func (m *mimedefang) install(t *testing.T) {
	t.Helper()
	commands := strings.ReplaceAll(snippet(t, "mimedefang.md", "install"), "/usr/local/lib/site_perl", m.path("lib"))
	if out, status := run(t, nil, "sh", "-euc", "cd ../..\n"+commands); status != 0 {
		t.Fatalf("%s: exit %d, %s", commands, status, out)
	}
}

func (m *mimedefang) write(t *testing.T, filter string) {
	t.Helper()
	text := strings.NewReplacer("${DIR}", m.dir, "${MODULES}", m.path("lib")).Replace(filter)
	if err := os.WriteFile(m.path("filter"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run starts one of MIMEDefang's daemons and waits until it accepts connections.
func (m *mimedefang) run(t *testing.T, program, network, address string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = m.dir
	launch(t, cmd).until(t, func() error { return accepts(network, address) })
}

// log returns what the filter has logged so far.
func (m *mimedefang) log() string {
	text, _ := os.ReadFile(m.path("filter.log"))
	return string(text)
}

// quarantined returns the mails that the filter has quarantined.
func (m *mimedefang) quarantined(t *testing.T) (mails []string) {
	t.Helper()
	paths, err := filepath.Glob(m.path("quarantine/*/qdir-*/ENTIRE_MESSAGE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		mails = append(mails, string(text))
	}
	return mails
}

// A chain is a mail server, MIMEDefang and a sink.
type chain struct {
	postfix    *mailtest.Postfix
	sink       *mailtest.Sink
	mimedefang *mimedefang
	count      int
}

func startChain(t *testing.T, filter string, flags ...string) *chain {
	t.Helper()
	c := &chain{sink: mailtest.StartSink(t), mimedefang: startMIMEDefang(t, filter, flags...)}
	c.postfix = mailtest.StartPostfix(t, mailtest.PostfixOptions{Milters: []string{c.mimedefang.milter}, Relay: c.sink.Address})
	return c
}

// A fate is what happened to a mail.
type fate struct {
	reply       mailtest.Reply
	triple      string // "(2, encrypted, ok) NAME", as the filter logged it
	delivered   bool
	quarantined bool
}

func (f fate) String() string {
	yes := map[bool]string{true: "yes", false: "no"}
	return fmt.Sprintf("%-54s | %-3d %-30.30s | %-9s | %s", f.triple, f.reply.Code, f.reply.Text, yes[f.delivered], yes[f.quarantined])
}

// mail sends a mail with the sample attached and waits until its fate is known.
func (c *chain) mail(t *testing.T, s sample) fate {
	t.Helper()
	c.count++
	id := fmt.Sprintf("mail-%d", c.count)
	skip := len(c.mimedefang.log())
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	reply, err := mailtest.Send(ctx, c.postfix.SMTP, mailtest.Message(id, mailtest.Attachment{Name: s.name, Data: s.content}))
	if err != nil {
		t.Fatal(err)
	}
	c.postfix.WaitEmpty(t)
	f := fate{reply: reply, delivered: c.sink.Has(id)}
	for _, text := range c.mimedefang.quarantined(t) {
		f.quarantined = f.quarantined || strings.Contains(text, "Test "+id)
	}
	for _, mark := range []string{"info: polyclam: ", "info: triple "} {
		if _, rest, ok := strings.Cut(c.mimedefang.log()[skip:], mark); ok {
			f.triple, _, _ = strings.Cut(strings.TrimSpace(rest), "\n")
		}
	}
	return f
}
