package clients

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// modules is the directory of Mail::MIMEDefang::Polyclam.
const modules = "../../contrib/mimedefang/lib"

// callerText is a Perl program that takes the place of mimedefang.pl: it calls scanning
// routines in a folder as mimedefang.pl does for a mail. A line of its input is
// "FUNCTION<TAB>FOLDER<TAB>SETTINGS<TAB>ARGUMENTS...", where the settings are Perl. It
// answers with a line of Perl values: list, scalar, $VirusName, $VirusScannerMessages,
// log.
const callerText = `
use strict;
use warnings FATAL => 'all';
use Mail::MIMEDefang;
use Mail::MIMEDefang::Antivirus;
use Mail::MIMEDefang::Polyclam;
use MIME::Entity;

my @log;
{
	no warnings 'redefine';
	my $log = sub { push @log, "$_[0]: $_[1]" };
	*Mail::MIMEDefang::Antivirus::md_syslog = $log;
	*Mail::MIMEDefang::Polyclam::md_syslog = $log;
}
$Features{'Path:SPOOLDIR'} = '/var/spool/MIMEDefang';
$| = 1;

sub shown { my $s = join ',', @_; $s =~ s/([\\\n\t])/sprintf '\\x%02x', ord $1/ge; return $s }

while (my $line = <STDIN>) {
	chomp $line;
	my ($function, $folder, $settings, @arguments) = split /\t/, $line, -1;
	($PolyclamSock, $PolyclamTimeout, $PolyclamPaths) = (undef, 60, 0);
	$ClamdSock = '/var/spool/MIMEDefang/clamd.sock';
	($CWD, $VirusName, $VirusScannerMessages, @log) = ($folder, '', '');
	my $entity;
	eval $settings;
	die "$settings: $@" if $@;
	unshift @arguments, $entity if $function =~ /^entity/;
	no strict 'refs';
	my @list = $function->(@arguments);
	my ($name, $messages, @logged) = ($VirusName, $VirusScannerMessages, @log);
	my $scalar = $settings =~ /twice/ ? scalar $function->(@arguments) : '';
	print join("\t", map { shown($_) } "@list", $scalar, $name, $messages, "@logged"), "\n";
}
`

// A said is what one of MIMEDefang's routines returned and set.
type said struct {
	triple   string // "2 encrypted ok"
	scalar   string // in scalar context, if the settings ask for it
	name     string // $VirusName
	messages string // $VirusScannerMessages, line breaks as \x0a
	log      string
}

// A caller is a Perl process that calls MIMEDefang's scanning routines. Its methods are
// safe for concurrent use; it serves one call at a time.
type caller struct {
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
}

// startCaller starts a caller as the user, or as the test's own user if it is empty.
func startCaller(t *testing.T, user string) *caller {
	t.Helper()
	clamdtest.RequireProgram(t, "mimedefang")
	lib, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("perl", "-I"+lib, "-e", callerText)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if user != "" {
		cmd.SysProcAttr.Credential = clamdtest.Credential(t, user)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		kill := time.AfterFunc(hang, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer kill.Stop()
		if err := cmd.Wait(); err != nil || stderr.String() != "" {
			t.Errorf("the Perl that calls MIMEDefang's routines: %v\n%s", err, stderr.String())
		}
	})
	return &caller{in: in, out: bufio.NewReader(out)}
}

// call calls a function for a mail's folder, after evaluating the Perl settings.
func (c *caller) call(t *testing.T, function, folder, settings string, arguments ...string) said {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	line := strings.Join(append([]string{function, folder, settings}, arguments...), "\t")
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		t.Fatal(err)
	}
	answer, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	f := strings.Split(strings.TrimSuffix(answer, "\n"), "\t")
	if len(f) != 5 {
		t.Fatalf("%q: %q", line, answer)
	}
	return said{f[0], f[1], f[2], f[3], f[4]}
}

// mailFolder makes a world-readable folder like MIMEDefang's for a mail, with the parts
// in Work.
func mailFolder(t *testing.T, parts map[string][]byte) string {
	t.Helper()
	folder := clamdtest.Dir(t, "")
	work := filepath.Join(folder, "Work")
	errs := []error{os.Mkdir(work, 0o755), os.Chmod(work, 0o755)}
	for name, content := range parts {
		errs = append(errs, os.WriteFile(filepath.Join(work, name), content, 0o644))
	}
	errs = append(errs, os.WriteFile(filepath.Join(folder, "INPUTMSG"), []byte("Subject: the whole mail\n\ntext\n"), 0o644))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return folder
}

// perlCheck runs perl -wc on a file, which must print nothing but its OK.
func perlCheck(t *testing.T, path string) {
	t.Helper()
	out, status := run(t, nil, "perl", "-I"+modules, "-Mstrict", "-Mwarnings", "-wc", path)
	if status != 0 || out != path+" syntax OK" {
		t.Errorf("perl -wc %s: exit %d, %s", path, status, out)
	}
}
