package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/mailtest"
)

// amavisDebian lists Debian's configuration files in the order amavis reads them,
// without those that look up the machine's names.
var amavisDebian = []string{
	"/usr/share/amavis/conf.d/10-debian_scripts", "/usr/share/amavis/conf.d/20-package",
	"/etc/amavis/conf.d/01-debian", "/etc/amavis/conf.d/15-av_scanners",
	"/etc/amavis/conf.d/15-content_filter_mode", "/etc/amavis/conf.d/20-debian_defaults",
}

// amavisBase is what a throw-away amavisd needs besides Debian's configuration and the
// recipe: its own directories and addresses, a log on its output, and no check but the
// virus check: no banned names, no spam. The recipients are local because amavis marks
// mail (***UNCHECKED***) only for local recipients.
const amavisBase = `use strict;
$MYHOME = '%[1]s';
$TEMPBASE = $ENV{TMPDIR} = "$MYHOME/tmp";
$QUARANTINEDIR = "$MYHOME/quarantine"; $quarantine_subdir_levels = 0;
$pid_file = "$MYHOME/amavisd.pid"; $lock_file = "$MYHOME/amavisd.lock";
$enable_db = 0; $DO_SYSLOG = 0; $log_level = 2; $max_servers = 1;
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = %[2]s;
$unix_socketname = undef;
$forward_method = $notify_method = 'smtp:[%[3]s]:%[4]s';
$mydomain = 'amavis.example'; $myhostname = 'host.amavis.example';
@local_domains_maps = (['.recipient.example']);
@bypass_banned_checks_maps = @bypass_header_checks_maps = @bypass_spam_checks_maps = (1);
$virus_admin = undef; $child_timeout = 300;
1;
`

// An amavisd is a running amavisd with a sink that receives what it delivers.
type amavisd struct {
	smtp       string // address that takes mail
	sink       *mailtest.Sink
	quarantine string // directory of held mail
	sent       int
}

// startAmavisd runs an amavisd with Debian's configuration, the lines of a recipe, and
// amavisBase. It starts as root and becomes the user amavis.
func startAmavisd(t *testing.T, recipe string) *amavisd {
	t.Helper()
	program := clamdtest.RequireProgram(t, "amavisd")
	clamdtest.RequireRoot(t, "amavisd")
	dir := clamdtest.Dir(t, "amavis")
	for _, sub := range []string{"tmp", "quarantine"} {
		makeDir(t, filepath.Join(dir, sub), "amavis")
	}
	a := &amavisd{smtp: "127.0.0.1:" + clamdtest.Port(t), sink: mailtest.StartSink(t), quarantine: filepath.Join(dir, "quarantine")}
	_, port, _ := strings.Cut(a.smtp, ":")
	sinkHost, sinkPort, _ := strings.Cut(a.sink.Address, ":")
	conf := clamdtest.Dir(t, "root") // amavisd refuses to start if it can write there
	var args []string
	for _, path := range append(slices.Clone(amavisDebian),
		writeFile(t, filepath.Join(conf, "50-user"), "use strict;\n"+recipe+"1;\n"),
		writeFile(t, filepath.Join(conf, "60-test"), fmt.Sprintf(amavisBase, dir, port, sinkHost, sinkPort))) {
		args = append(args, "-c", path)
	}
	cmd := exec.Command(program, append(args, "foreground")...)
	cmd.Dir = dir
	serve(t, a.smtp, cmd)
	return a
}

// makeDir makes a directory that only a user and its group may read.
func makeDir(t *testing.T, path, user string) {
	t.Helper()
	owner := clamdtest.Credential(t, user)
	if err := os.Mkdir(path, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
}

// writeFile writes a world-readable file and returns its path.
func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// scan sends a mail with the sample attached and reports what happened to the mail.
func (a *amavisd) scan(t *testing.T, s sample) finding {
	t.Helper()
	return a.send(t, mailtest.Attachment{Name: s.name, Data: s.content})
}

// unchecked is the prefix amavis puts on the subject of a mail that it delivers without
// having scanned all of it.
const unchecked = "***UNCHECKED*** "

func (a *amavisd) send(t *testing.T, attachments ...mailtest.Attachment) finding {
	t.Helper()
	a.sent++
	id := fmt.Sprintf("amavis-%d", a.sent)
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	reply, err := mailtest.Send(ctx, a.smtp, mailtest.Message(id, attachments...))
	if err != nil {
		t.Fatal(err)
	}
	// amavisd answers 250 once the sink has.
	switch delivered := a.sink.Has(id); {
	case reply.Code == 250 && delivered && strings.HasPrefix(a.sink.Wait(t, id).Header.Get("Subject"), unchecked):
		return finding{flagged, reply.String()}
	case reply.Code == 250 && delivered:
		return finding{clean, reply.String()}
	case reply.Code == 250 && strings.Contains(reply.Text, "discarded") && strings.Contains(reply.Text, "INFECTED") && a.holds(t, id):
		return finding{infected, reply.String()}
	case reply.Code/100 == 4 && !delivered && strings.Contains(reply.Text, "ALL VIRUS SCANNERS FAILED"):
		return finding{refused, reply.String()}
	default:
		t.Fatalf("%s, delivered %v, in quarantine %v", reply, delivered, a.holds(t, id))
	}
	return finding{}
}

// holds reports whether a mail is in amavis's quarantine.
func (a *amavisd) holds(t *testing.T, id string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(a.quarantine, "virus-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte("X-Test-Id: "+id+"\n")) {
			return true
		}
	}
	return false
}
