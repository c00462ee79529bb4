package balancer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

func TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }

// hang is how long anything may take before a test gives up.
const hang = 60 * time.Second

// haproxy is a running HAProxy.
type haproxy struct {
	stats string // path of its socket
}

// startHAProxy runs HAProxy with a configuration, to which it adds what every one needs, and
// waits until it serves.
func startHAProxy(t *testing.T, config string) *haproxy {
	t.Helper()
	program := clamdtest.RequireProgram(t, "haproxy")
	dir := testkit.SocketDir(t)
	h := &haproxy{stats: filepath.Join(dir, "stats")}
	config = "global\n    stats socket " + h.stats + "\ndefaults\n    mode tcp\n    timeout connect 5s\n    timeout client 3m\n    timeout server 3m\n    timeout check 5s\n" + config
	path, log := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "log")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := child.StartLogged(exec.Command(program, "-db", "-f", path), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s\nHAProxy printed\n%s", config, child.Tail(log, 10000))
		}
	})
	testkit.Eventually(t, "HAProxy serves", func() bool {
		if p.Ended() {
			t.Fatalf("HAProxy ended")
		}
		return len(h.rows()) > 0
	})
	return h
}

// rows returns the statistics of all servers, by PROXY/SERVER.
func (h *haproxy) rows() map[string]map[string]string {
	nc, err := net.Dial("unix", h.stats)
	if err != nil {
		return nil
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	io.WriteString(nc, "show stat\n")
	var names []string
	rows := map[string]map[string]string{}
	for lines := bufio.NewScanner(nc); lines.Scan(); {
		columns := strings.Split(strings.TrimPrefix(lines.Text(), "# "), ",")
		if names == nil {
			names = columns
			continue
		}
		row := map[string]string{}
		for i, name := range names[:min(len(names), len(columns))] {
			row[name] = columns[i]
		}
		if row["svname"] != "" {
			rows[row["pxname"]+"/"+row["svname"]] = row
		}
	}
	return rows
}

// wait waits until the server of HAProxy has a status that begins with status.
func (h *haproxy) wait(t *testing.T, server, status string) {
	t.Helper()
	var last map[string]string
	defer func() {
		if t.Failed() {
			t.Logf("%s: %v", server, last)
		}
	}()
	testkit.Eventually(t, server+" is "+status, func() bool {
		last = h.rows()[server]
		return strings.HasPrefix(last["status"], status)
	})
}

// dial connects from one address of this host to another.
func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: hang}
	nc, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(hang))
	return nc
}

// converse sends a request and returns everything that comes.
func converse(nc net.Conn, request string) string {
	io.WriteString(nc, request)
	reply, _ := io.ReadAll(nc)
	return string(reply)
}

// instream is a complete INSTREAM with one object.
func instream(content string) string {
	n := len(content)
	return "zINSTREAM\x00" + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + content + "\x00\x00\x00\x00"
}

const clean = "stream: OK\x00"

// entries returns the lines of a daemon's log after the first skip bytes that have the
// fields with these values.
func entries(log string, skip int, fields map[string]string) (found []map[string]any) {
	for line := range strings.Lines(log[skip:]) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		fits := true
		for key, value := range fields {
			fits = fits && strings.Contains(fmt.Sprint(entry[key]), value)
		}
		if fits {
			found = append(found, entry)
		}
	}
	return found
}
