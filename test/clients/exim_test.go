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

// eximUser is Debian's user for Exim. It owns the mail that Exim scans.
const eximUser = "Debian-exim"

var eximClients = []client{
	{
		name: "exim (unix, SCAN)", recipe: "exim.md", listener: "listener", network: "unix", user: eximUser,
		start: func(t *testing.T, at target) scan {
			return startExim(t, at, snippet(t, "exim.md", "unix"), snippet(t, "exim.md", "acl")).scan
		},
		but:  map[string]outcome{caseOversize: clean},
		open: map[string]string{caseOversize: unlimited},
	},
	{
		name: "exim (TCP, INSTREAM)", recipe: "exim.md", listener: "listener", network: "tcp",
		start: func(t *testing.T, at target) scan {
			return startExim(t, at, snippet(t, "exim.md", "tcp"), snippet(t, "exim.md", "acl")).scan
		},
	},
}

// eximProgram is where test/install-exim unpacks Debian's Exim, which cannot be
// installed together with Postfix.
const eximProgram = "/usr/local/lib/polyclam-test/exim/usr/sbin/exim4"

// eximBase is what a throw-away Exim needs besides the lines of the recipe: its own
// directories, no name server, no TLS, and a sink for all mail. It delivers without
// root's rights, which it could not regain.
const eximBase = `
exim_path = ` + eximProgram + `
spool_directory = ${DIR}/spool
log_file_path = ${DIR}/%%slog
pid_file_path =
primary_hostname = exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${PORT}
host_lookup =
rfc1413_hosts =
tls_advertise_hosts =
keep_environment =
deliver_drop_privilege = true
acl_smtp_rcpt = accept
acl_smtp_data = acl_check_data
${SCANNER}
begin acl
acl_check_data:
${ACL}
  accept

begin routers
sink:
  driver = manualroute
  transport = sink
  route_list = * 127.0.0.1
  self = send

begin transports
sink:
  driver = smtp
  port = ${SINK}
  allow_localhost

begin retry
* * F,1h,1m
`

// An eximDaemon is a running Exim with a sink that receives what it delivers.
type eximDaemon struct {
	address string
	dir     string // with spool and logs
	sink    *mailtest.Sink
	sent    int
}

// startExim runs an Exim with an av_scanner line and the statements of acl_check_data,
// which scan with the daemon at the target.
func startExim(t *testing.T, at target, scanner, acl string) *eximDaemon {
	t.Helper()
	clamdtest.RequireProgram(t, eximProgram)
	clamdtest.RequireRoot(t, "Exim")
	dir, port := clamdtest.Dir(t, eximUser), clamdtest.Port(t)
	x := &eximDaemon{address: "127.0.0.1:" + port, dir: dir, sink: mailtest.StartSink(t)}
	_, sinkPort, _ := strings.Cut(x.sink.Address, ":")
	conf := filepath.Join(t.TempDir(), "exim.conf")
	text := strings.NewReplacer("${DIR}", dir, "${PORT}", port, "${SINK}", sinkPort,
		"${SCANNER}", at.fill(scanner), "${ACL}", acl, "%%", "%").Replace(eximBase)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"mainlog", "paniclog"} {
				log, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s of Exim:\n%s", name, log)
			}
		}
	})
	serve(t, x.address, exec.Command(eximProgram, "-bdf", "-C", conf))
	return x
}

// scan sends a mail with the sample attached and reports whether it arrives.
func (x *eximDaemon) scan(t *testing.T, s sample) finding {
	t.Helper()
	x.sent++
	id := fmt.Sprintf("mail-%d", x.sent)
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	reply, err := mailtest.Send(ctx, x.address, mailtest.Message(id, mailtest.Attachment{Name: s.name, Data: s.content}))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Code == 250 {
		x.sink.Wait(t, id)
		return finding{clean, reply.String()}
	}
	switch {
	case reply.Code/100 == 5 && strings.Contains(reply.Text, "virus"):
		return finding{infected, reply.String()}
	case reply.Code/100 == 4:
		return finding{refused, reply.String()}
	}
	t.Fatalf("Exim: %s", reply)
	return finding{}
}
