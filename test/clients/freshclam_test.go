package clients

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// updated is the polyclamd of a freshclam. It is not a row of the table, since nothing
// is scanned.
var updated = client{name: "freshclam", recipe: "freshclam.md", listener: "listener", network: "unix"}

// An updater is a freshclam whose only source is a file.
type updater struct {
	program, conf, source, dir string
}

// newUpdater configures a freshclam that updates the database of a clamd and notifies
// the daemon at an address.
func newUpdater(t *testing.T, engine *clamdtest.Clamd, address string) *updater {
	t.Helper()
	u := &updater{program: clamdtest.RequireProgram(t, "freshclam"), dir: clamdtest.Dir(t, "")}
	clamdConf := filepath.Join(u.dir, "clamd.conf")
	u.conf, u.source = filepath.Join(u.dir, "freshclam.conf"), filepath.Join(u.dir, "custom.ndb")
	lines := []string{
		strings.ReplaceAll(snippet(t, "freshclam.md", "notify"), "/etc/clamav/clamd.conf", clamdConf),
		"DatabaseDirectory " + filepath.Join(engine.Dir, "db"),
		"DatabaseOwner nobody",
		"DatabaseCustomURL file://" + u.source,
		// Required, and not asked for the database "custom".
		"PrivateMirror http://127.0.0.1:" + clamdtest.Port(t),
	}
	for path, text := range map[string]string{clamdConf: address, u.conf: strings.Join(lines, "\n") + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// update publishes a signature for text and runs freshclam. It returns what it printed.
func (u *updater) update(t *testing.T, name, text string) string {
	t.Helper()
	signature := fmt.Sprintf("%s:0:*:%s\n", name, hex.EncodeToString([]byte(text)))
	if err := os.WriteFile(u.source, []byte(signature), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(u.program, "--config-file="+u.conf, "--no-dns", "--update-db=custom", "--stdout")
	cmd.Dir = u.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: clamdtest.Credential(t, "")}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "custom.ndb updated") {
		t.Fatalf("freshclam: %v: %s", err, out)
	}
	return string(out)
}

// TestFreshclamTCP notifies polyclamd on a port, where RELOAD is off by default.
func TestFreshclamTCP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, listener, says string }{
		{"on", snippet(t, "freshclam.md", "listener-tcp"), "Clamd successfully notified about the update."},
		{"off", "[[listener]]\naddress = \"tcp:127.0.0.1:3310\"\n", "NotifyClamd: Unknown answer from clamd: 'COMMAND UNAVAILABLE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
			at := newTarget(t, updated)
			e := &engines{clamd: engine.Socket}
			p := clamdtest.StartPolyclam(t, config(tt.listener, worldUp)+e.engines(worldUp), clamdtest.Options{Port: at.port})
			u := newUpdater(t, engine, at.fill(snippet(t, "freshclam.md", "tcp")))
			if out := u.update(t, "Polyclam.Test.Updated", "a text"); !strings.Contains(out, tt.says) {
				t.Errorf("freshclam: %s\n%s", out, p.Log())
			}
		})
	}
}

// TestFreshclam updates a clamd's signatures by freshclam, which notifies polyclamd.
func TestFreshclam(t *testing.T) {
	t.Parallel()
	const text, found = "a text that the update knows", "Polyclam.Test.Updated.UNOFFICIAL FOUND\n"
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	at := newTarget(t, updated)
	daemon := at.startPolyclam(t, updated, &engines{clamd: engine.Socket}, worldUp)
	u := newUpdater(t, engine, at.fill(snippet(t, "freshclam.md", "unix")))
	if reply, err := instreamAt("unix", at.socket, text); err != nil || reply != "stream: OK\n" {
		t.Fatalf("before the update: %q, %v", reply, err)
	}
	if out := u.update(t, "Polyclam.Test.Updated", text); !strings.Contains(out, "Clamd successfully notified about the update.") {
		t.Errorf("freshclam: %s", out)
	}
	testkit.Eventually(t, "the signature of the update is used", func() bool {
		reply, err := instreamAt("unix", at.socket, text)
		return err == nil && strings.HasSuffix(reply, found)
	})
	daemon.stop()
	if out := u.update(t, "Polyclam.Test.Again", text); !strings.Contains(out, "Clamd was NOT notified: Can't connect to clamd") {
		t.Errorf("freshclam without polyclamd: %s", out)
	}
}
