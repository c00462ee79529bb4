package mailtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

// PostfixOptions configure [StartPostfix].
type PostfixOptions struct {
	// Milters are the smtpd_milters, e.g. "inet:127.0.0.1:1234" or "unix:/path".
	// Postfix connects as its user "postfix", which needs access to a Unix socket and
	// its directory.
	Milters []string
	// Relay is the "host:port" that receives all mail: a sink's Address.
	Relay string
	// Extra has more parameters for main.cf. They override the test's own.
	Extra map[string]string
}

// Postfix is a running Postfix.
type Postfix struct {
	SMTP string // "127.0.0.1:port", where it takes mail
	Dir  string // contains etc, queue, data and mail.log

	o      PostfixOptions
	master *child.Process
}

// StartPostfix runs a Postfix with its own configuration, queue and log. It takes mail
// for every recipient on a free port and relays it. A milter that fails or does not
// answer is a tempfail, 451. It uses nothing of the machine's Postfix but the programs.
// It needs no system log and no service manager, but root, as Postfix always does: for
// another user the test is skipped as if Postfix was missing, see
// [clamdtest.RequireProgram].
//
// It ends at the test's cleanup, which fails the test if a process is left. The log is
// shown if the test failed.
func StartPostfix(t testing.TB, o PostfixOptions) *Postfix {
	t.Helper()
	clamdtest.RequireProgram(t, "postconf")
	clamdtest.RequireRoot(t, "Postfix")
	p := &Postfix{Dir: clamdtest.Dir(t, "root"), o: o}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("log of Postfix:\n%s", p.Log())
		}
	})
	p.makeQueue(t)
	// Another program may take the port before Postfix binds it.
	var err error
	for range 5 {
		if err = p.start(t); err == nil {
			return p
		}
		p.stop(t)
		if !strings.Contains(p.Log(), "Address already in use") {
			break
		}
	}
	t.Fatalf("postfix: %v\n%s", err, p.Log())
	return nil
}

// Log returns what Postfix has printed and logged so far.
func (p *Postfix) Log() string {
	printed, _ := os.ReadFile(p.path("master.out"))
	logged, _ := os.ReadFile(p.path("mail.log"))
	return string(printed) + string(logged)
}

// WaitEmpty waits until the queue is empty: every mail answered with 250 has been
// delivered by then, or never will be. The test fails if a mail stays.
func (p *Postfix) WaitEmpty(t testing.TB) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(poll) {
		if left = p.queued(); len(left) == 0 {
			return
		}
	}
	t.Fatalf("still in Postfix' queue after %v: %q", patience, left)
}

// queued are the mails in the queue. A mail moves from incoming to active and to
// deferred, so the folders are read in this order.
func (p *Postfix) queued() (names []string) {
	for _, folder := range []string{"maildrop", "incoming", "active", "deferred", "hold", "corrupt"} {
		filepath.WalkDir(p.path("queue", folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				names = append(names, folder+"/"+d.Name())
			}
			return nil
		})
	}
	return names
}

func (p *Postfix) path(parts ...string) string {
	return filepath.Join(append([]string{p.Dir}, parts...)...)
}

// start writes the configuration for a new port and runs master in the foreground, in
// its own session. master runs everything else.
func (p *Postfix) start(t testing.TB) error {
	t.Helper()
	port, err := child.Port()
	if err != nil {
		return err
	}
	p.SMTP = "127.0.0.1:" + port
	p.configure(t)
	master := exec.Command(p.daemonDirectory(t)+"/master", "-d", "-c", p.path("etc"))
	master.Dir = p.Dir
	master.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "MAIL_CONFIG=" + p.path("etc"), "MAIL_LOGTAG=postfix"}
	master.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.master, err = child.StartLogged(master, p.path("master.out")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return p.master.Ready(ctx, func(context.Context) error { return greeting(p.SMTP) })
}

// daemonDirectory is where the distribution keeps Postfix's daemons.
func (p *Postfix) daemonDirectory(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(clamdtest.RequireProgram(t, "postconf"), "-d", "-h", "daemon_directory").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func greeting(address string) error {
	nc, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	line := make([]byte, 4)
	if _, err := nc.Read(line); err != nil || string(line) != "220 " {
		return fmt.Errorf("greeted with %q: %v", line, err)
	}
	_, err = nc.Write([]byte("QUIT\r\n"))
	return err
}

// stop ends master and its process group.
func (p *Postfix) stop(t testing.TB) {
	t.Helper()
	if p.master == nil {
		return
	}
	if _, inTime := p.master.Stop(patience); !inTime {
		t.Errorf("Postfix does not end after SIGTERM")
	}
	for deadline := time.Now().Add(patience); p.master.Group(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			t.Errorf("Postfix left processes in the group %d", p.master.PID())
			syscall.Kill(-p.master.PID(), syscall.SIGKILL)
			break
		}
	}
	p.master = nil
}

// makeQueue makes the folders that "postfix check" would make, with the owners in
// Postfix 3.7's postfix-files.
func (p *Postfix) makeQueue(t testing.TB) {
	t.Helper()
	postfix := clamdtest.Credential(t, "postfix")
	folder := func(path string, mode os.FileMode, uid uint32) {
		t.Helper()
		err := errors.Join(os.Mkdir(path, mode), os.Chown(path, int(uid), int(postfix.Gid)), os.Chmod(path, mode))
		if err != nil {
			t.Fatal(err)
		}
	}
	folder(p.path("etc"), 0o755, 0)
	folder(p.path("data"), 0o700, postfix.Uid)
	folder(p.path("queue"), 0o755, 0)
	folder(p.path("queue", "pid"), 0o755, 0)
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		folder(p.path("queue", name), 0o700, postfix.Uid)
	}
	folder(p.path("queue", "maildrop"), 0o730, postfix.Uid)
	folder(p.path("queue", "public"), 0o710, postfix.Uid)
}

func (p *Postfix) configure(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(p.SMTP)
	relayHost, relayPort, err := net.SplitHostPort(p.o.Relay)
	if _, number := strconv.Atoi(relayPort); err != nil || number != nil {
		t.Fatalf("PostfixOptions.Relay is %q; want host:port", p.o.Relay)
	}
	settings := map[string]string{
		"compatibility_level": "3.6", "queue_directory": p.path("queue"), "data_directory": p.path("data"),
		"maillog_file": p.path("mail.log"), "maillog_file_prefixes": p.Dir,
		"daemon_directory": p.daemonDirectory(t),
		"myhostname":       "postfix.example", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
		"relayhost": "[" + relayHost + "]:" + relayPort, "mynetworks": "127.0.0.0/8",
		"mydestination": "", "local_recipient_maps": "", "alias_maps": "", "alias_database": "",
		"smtpd_relay_restrictions": "permit_mynetworks, reject", "smtpd_recipient_restrictions": "",
		// No name server, no TLS, no counting of clients.
		"smtp_dns_support_level": "disabled", "smtpd_peername_lookup": "no", "smtp_host_lookup": "native",
		"smtpd_tls_security_level": "none", "smtp_tls_security_level": "none",
		"smtpd_client_connection_count_limit": "0", "smtpd_client_event_limit_exceptions": "static:all",
		"smtpd_milters": strings.Join(p.o.Milters, ", "), "milter_default_action": "tempfail",
		"milter_connect_timeout": "30s", "milter_command_timeout": "30s", "milter_content_timeout": "120s",
		"smtpd_timeout": "120s", "smtpd_error_sleep_time": "0", "smtp_connect_timeout": "30s",
		"queue_run_delay": "5s", "minimal_backoff_time": "5s", "maximal_backoff_time": "5s",
		"message_size_limit": "104857600", "mailbox_size_limit": "0", "in_flow_delay": "0",
	}
	maps.Copy(settings, p.o.Extra)
	var mainCF strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&mainCF, "%s = %s\n", key, settings[key])
	}
	for name, text := range map[string]string{"main.cf": mainCF.String(), "master.cf": fmt.Sprintf(masterCF, port)} {
		path := p.path("etc", name)
		// Postfix 3.7 waits until its configuration is at least 2 s old.
		past := time.Now().Add(-time.Minute)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chtimes(path, past, past)); err != nil {
			t.Fatal(err)
		}
	}
}

// masterCF are the services that a relay needs, none of them in a chroot:
//
//	service type private unprivileged chroot wakeup maxproc command
const masterCF = `
127.0.0.1:%s inet n - n - - smtpd
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp     unix - - n - - smtp
relay    unix - - n - - smtp
error    unix - - n - - error
retry    unix - - n - - error
postlog  unix-dgram n - n - 1 postlogd
`
