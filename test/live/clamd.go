package live

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// ClamdSocket is where Debian's clamd listens.
const ClamdSocket = "/run/clamav/clamd.ctl"

// ClamdFiles are signatures for Debian's clamd, of a time: those of
// [clamdtest.Signatures]. clamd 1.4.6 wants signed files named main and daily, or
// unsigned ones with the end .cud. Its unit wants main and daily with one of some other
// ends, of which clamd ignores .inc. bulk adds that many hashes, so that loading takes
// time: about 1 s for 700,000.
func ClamdFiles(t testing.TB, made time.Time, bulk int) map[string]string {
	t.Helper()
	daily, err := clamdtest.Container("daily", made, clamdtest.Signatures())
	if err != nil {
		t.Fatal(err)
	}
	const folder = "/var/lib/clamav/"
	files := map[string]string{folder + "daily.cud": string(daily), folder + "main.inc": "", folder + "daily.inc": ""}
	if bulk > 0 {
		var b strings.Builder
		for n := range bulk {
			fmt.Fprintf(&b, "%032x:%d:Polyclam.Test.Bulk-%d\n", n, 1000+n%1000, n)
		}
		files[folder+"bulk.hdb"] = b.String()
	}
	return files
}

// StartClamd starts Debian's clamd as its package does, and waits until it scans.
func (m *Machine) StartClamd() {
	m.t.Helper()
	m.Sh("systemctl enable --quiet --no-reload clamav-daemon.socket clamav-daemon.service\nsystemctl start clamav-daemon.socket clamav-daemon.service")
	m.WaitPong(ClamdSocket)
}

// WaitPong waits until a daemon answers PING at a Unix socket.
func (m *Machine) WaitPong(socket string) {
	m.t.Helper()
	testkit.Eventually(m.t, "PONG at "+socket, func() bool {
		reply, err := m.Ask(socket, "zPING\x00")
		return err == nil && reply == "PONG\x00"
	})
}

// WaitFound waits until a daemon at a Unix socket finds EICAR.
func (m *Machine) WaitFound(socket string) {
	m.t.Helper()
	object := string(testfile.EICAR())
	testkit.Eventually(m.t, "EICAR is found at "+socket, func() bool {
		reply, err := m.Ask(socket, "zINSTREAM\x00\x00\x00\x00"+string(rune(len(object)))+object+"\x00\x00\x00\x00")
		return err == nil && strings.HasSuffix(reply, " FOUND\x00")
	})
}

// Ask sends a command to a Unix socket and returns everything up to the end.
func (m *Machine) Ask(socket, command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := m.Dial(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, command); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(nc)
	return string(reply), err
}
