package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/cmd/internal/listen"
	"polyclam/test/testkit"
)

// TestCheckAsService runs a check as another user, who may not do what root may.
func TestCheckAsService(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: a check as another user; this needs root")
	}
	dir := testkit.SocketDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "polyclamd")
	if out, err := exec.Command("go", "build", "-o", program, "polyclam/cmd/polyclamd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	conf := writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))+tcpListener("127.0.0.1", 81))
	if err := os.Chmod(conf, 0o644); err != nil {
		t.Fatal(err)
	}
	lowPorts := "the user nobody may not use ports below 1024"
	if start, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil && strings.TrimSpace(string(start)) != "1024" {
		lowPorts = conf // as in some containers, where every user may use them
	}
	for _, test := range []struct {
		name     string
		units    listen.Units
		want     []string
		unwanted string
	}{
		{"nobody", listen.Units{User: "nobody"}, []string{"the user nobody may not create files in " + dir, lowPorts}, "?"},
		{"with every port", listen.Units{User: "nobody", Group: "0", Groups: []string{"0"}, BindsEveryPort: true}, []string{"the user nobody may not create files in " + dir}, "ports below 1024"},
	} {
		c, ok := asService(test.units, []string{"--check", "--config", conf})
		if !ok {
			t.Errorf("%s: no command", test.name)
			continue
		}
		var out bytes.Buffer
		c.Path, c.Stdout, c.Stderr = program, &out, &out
		if status, err := runChecked(c); status != 1 || err != nil {
			t.Errorf("%s: exit status %d, %v", test.name, status, err)
		}
		for _, part := range test.want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: it prints\n%s\nwant %q", test.name, out.String(), part)
			}
		}
		if strings.Contains(out.String(), test.unwanted) {
			t.Errorf("%s: it prints\n%s", test.name, out.String())
		}
	}
	for _, units := range []listen.Units{{}, {User: "root"}, {User: "no-such-user-here"}, {User: "nobody", Group: "no-such-group-here"}} {
		if _, ok := asService(units, nil); ok {
			t.Errorf("%+v: there is a command", units)
		}
	}
}
