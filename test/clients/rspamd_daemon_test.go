package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/clamdtest"
)

// rspamdBase is what a throw-away rspamd needs besides the recipe: one scanning worker
// and the two modules the recipe is about. Debian's own files include those of local.d,
// as in an installed rspamd; the options have the values of its options.inc. The list
// of top-level domains is a short one, since compiling the whole takes seconds.
const rspamdBase = `
options {
  filters = "";
  task_timeout = 8s;
  soft_reject_on_timeout = false;
  tempdir = "$DBDIR";
  url_tld = "$DBDIR/tld";
  dns { nameserver = ["127.0.0.1"]; }
  .include(try=true; priority=1,duplicate=merge) "$LOCAL_CONFDIR/local.d/options.inc"
}
logging { type = "console"; level = "info"; color = false; }
worker "normal" { bind_socket = "127.0.0.1:%s"; count = 1; }
modules {
  path = "/usr/share/rspamd/plugins/antivirus.lua";
  path = "/usr/share/rspamd/plugins/force_actions.lua";
}
.include "/etc/rspamd/actions.conf"
.include "/etc/rspamd/modules.d/antivirus.conf"
.include "/etc/rspamd/modules.d/force_actions.conf"
`

// rspamdDaemon is a running rspamd.
type rspamdDaemon struct {
	*served
	url string
}

// startRspamd runs an rspamd with files in its local.d that name the daemon at the
// target, as the user that Debian made for it.
func startRspamd(t *testing.T, at target, files rspamdFiles) *rspamdDaemon {
	t.Helper()
	const user = "_rspamd"
	program := clamdtest.RequireProgram(t, "rspamd")
	dir, port := clamdtest.Dir(t, user), clamdtest.Port(t)
	files = mapValues(files, at.fill)
	files["../rspamd.conf"] = fmt.Sprintf(rspamdBase, port)
	files["../tld"] = "example\n"
	if err := os.Mkdir(filepath.Join(dir, "local.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "local.d", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := &rspamdDaemon{url: "http://127.0.0.1:" + port}
	cmd := exec.Command(program, "--no-fork", "--insecure", "--config", filepath.Join(dir, "rspamd.conf"),
		"--var=LOCAL_CONFDIR="+dir, "--var=DBDIR="+dir, "--var=RUNDIR="+dir, "--var=LOGDIR="+dir)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: clamdtest.Credential(t, user)}
	r.start(t, cmd)
	return r
}

func mapValues(files rspamdFiles, change func(string) string) rspamdFiles {
	changed := rspamdFiles{}
	for name, text := range files {
		changed[name] = change(text)
	}
	return changed
}

// start runs rspamd and waits until it answers a ping.
func (r *rspamdDaemon) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	r.served = launch(t, cmd)
	r.until(t, func() error {
		reply, err := r.request(http.MethodGet, "/ping", nil)
		if err != nil {
			return err
		}
		return reply.Body.Close()
	})
	if !strings.Contains(r.log(), "added antivirus engine") {
		t.Fatal("rspamd has no antivirus engine")
	}
}

// check scans a mail with rspamd, as a mail server does.
func (r *rspamdDaemon) check(t *testing.T, mail []byte) rspamdReply {
	t.Helper()
	reply, err := r.request(http.MethodPost, "/checkv2", mail)
	if err != nil {
		t.Fatalf("rspamd: %v", err)
	}
	defer reply.Body.Close()
	var said rspamdReply
	if err := json.NewDecoder(reply.Body).Decode(&said); err != nil || reply.StatusCode != http.StatusOK || said.Action == "" {
		t.Fatalf("rspamd: %s, %v: %v", reply.Status, said, err)
	}
	return said
}

// request sends rspamd a request on its own connection. The caller closes the body.
func (r *rspamdDaemon) request(method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequest(method, r.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Close = true
	return (&http.Client{Timeout: hang}).Do(request)
}
