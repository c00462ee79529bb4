package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// haproxyConfig is the recipe of docs/operations.md with short intervals and two servers.
const haproxyConfig = `
global
    stats socket %s level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 3m
    timeout server 3m
listen polyclam
    bind %s
    server one %s check inter 100ms weight 100 agent-check agent-inter 50ms agent-port %d
`

// TestHAProxyRecipe has HAProxy check the configuration in docs/operations.md.
func TestHAProxyRecipe(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("NOT TESTED: haproxy is not installed")
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```text haproxy-agent\n")
	text, _, ok := strings.Cut(text, "```")
	if !ok {
		t.Fatal("docs/operations.md has no block haproxy-agent")
	}
	conf := filepath.Join(t.TempDir(), "haproxy.cfg")
	text = "defaults\n timeout connect 5s\n timeout client 3m\n timeout server 3m\nlisten l\n mode tcp\n bind 127.0.0.1:1\n default_backend polyclam\n" + text
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "-c", "-f", conf).CombinedOutput(); err != nil || strings.Contains(string(out), "WARNING") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestHAProxyAgent has a real HAProxy ask the agent of a daemon that is ready, drains, stops,
// and starts again.
func TestHAProxyAgent(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("NOT TESTED: haproxy is not installed")
	}
	dir := testkit.SocketDir(t)
	clamd, agent, front := fmt.Sprintf("127.0.0.1:%d", freePort(t)), freePort(t), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	stats, conf := filepath.Join(dir, "stats"), filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(conf, fmt.Appendf(nil, haproxyConfig, stats, front, clamd, agent), 0o600); err != nil {
		t.Fatal(err)
	}
	const engine = "[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:/none/clamd\"\ncanary_interval = \"1s\"\n"
	listeners := "drain_delay = \"10m\"\n" + tcpOnly(clamd) + tcpOnly(fmt.Sprintf("127.0.0.1:%d", agent), "agent_check = true")
	polyclam := writeConfig(t, dir, listeners)
	d := startDaemon(t, polyclam, nil)
	h := exec.Command(program, "-db", "-f", conf)
	var out output
	h.Stdout, h.Stderr = &out, &out
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Process.Kill()
		h.Wait()
		if t.Failed() {
			t.Logf("haproxy printed\n%s", out.String())
		}
	})
	wait := func(what string, good func(status, weight, agent string) bool) {
		t.Helper()
		last := ""
		defer func() {
			if t.Failed() {
				t.Logf("the server: %s", last)
			}
		}()
		testkit.Eventually(t, what, func() bool {
			row := haproxyServer(stats)
			last = fmt.Sprint(row)
			return row != nil && good(row["status"], row["weight"], row["agent_status"])
		})
	}
	wait("up with full weight", func(s, w, a string) bool { return s == "UP" && w == "100" && a == "L7OK" })
	wantReply(t, "tcp", front, instream("harmless"), "stream: OK\x00")

	d.signal(syscall.SIGTERM)
	wait("drained", func(s, w, _ string) bool { return strings.HasPrefix(s, "DRAIN") })
	d.stop()
	wait("down", func(s, _, _ string) bool {
		return strings.Contains(s, "DOWN") || strings.HasPrefix(s, "MAINT") || strings.HasPrefix(s, "DRAIN")
	})
	d = startDaemon(t, polyclam, nil)
	wait("up again after the drain", func(s, w, _ string) bool { return s == "UP" && w == "100" })
	wantReply(t, "tcp", front, instream("harmless"), "stream: OK\x00")

	writeConfig(t, dir, listeners+engine)
	d.reload(reloaded)
	wait("down without its engine", func(s, _, a string) bool { return strings.HasPrefix(s, "DOWN") && a == "L7STS" })
	writeConfig(t, dir, listeners)
	d.reload(reloaded)
	wait("up with its engines", func(s, w, _ string) bool { return s == "UP" && w == "100" })

	// Three of ten slots are taken by scans that hang.
	hung := testkit.Serve(t, "unix", func(nc net.Conn) { io.Copy(io.Discard, nc) })
	writeConfig(t, dir, listeners+"[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \""+hung+"\"\ncanary = false\n")
	d.reload(reloaded)
	for range 3 {
		nc, err := net.Dial("tcp", clamd)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, instream("harmless"))
	}
	wait("up with 70 % of its weight", func(s, w, _ string) bool { return s == "UP" && w == "70" })
	d.signal(syscall.SIGTERM)
	d.waitFor("draining before the stop")
}

// haproxyServer returns the row of the server "one" in HAProxy's statistics, or nil.
func haproxyServer(stats string) map[string]string {
	nc, err := net.Dial("unix", stats)
	if err != nil {
		return nil
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	io.WriteString(nc, "show stat\n")
	var names []string
	for lines := bufio.NewScanner(nc); lines.Scan(); {
		columns := strings.Split(strings.TrimPrefix(lines.Text(), "# "), ",")
		if names == nil {
			names = columns
			continue
		}
		if len(columns) < 2 || columns[1] != "one" {
			continue
		}
		row := map[string]string{}
		for i, name := range names[:min(len(names), len(columns))] {
			row[name] = columns[i]
		}
		return row
	}
	return nil
}
