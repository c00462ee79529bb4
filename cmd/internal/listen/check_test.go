package listen

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"polyclam/cmd/internal/sockaddr"
	"polyclam/test/testkit"
)

const (
	saysClamd    = "ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026| COMMANDS: SCAN QUIT RELOAD PING VERSION INSTREAM FILDES\x00"
	saysPolyclam = "ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026| COMMANDS: PING VERSION INSTREAM XINSTREAM XFILDES\x00"
	saysHTTP     = "HTTP/1.1 400 Bad Request\r\n\r\n"
	saysNothing  = ""
)

// serve listens at a and gives each client the same answer. An empty answer never comes.
func serve(t *testing.T, a sockaddr.Addr, answer string) {
	t.Helper()
	ln, err := Open(a, Options{Mode: 0o666, Group: NoGroup})
	if err != nil {
		t.Fatal(err)
	}
	testkit.ServeOn(t, ln, func(nc net.Conn) {
		if answer == saysNothing {
			io.Copy(io.Discard, nc)
			return
		}
		io.ReadFull(nc, make([]byte, 5))
		io.WriteString(nc, answer)
	})
}

// TestPassesSockets has a systemd with and without a socket for the daemon.
func TestPassesSockets(t *testing.T) {
	with := func() Units { return Units{Sockets: []sockaddr.Addr{sockaddr.Unix("/x")}} }
	for _, test := range []struct {
		name    string
		checker Checker
		want    bool
	}{
		{"no systemd", Checker{}, false},
		{"no unit", Checker{Systemd: func() Units { return Units{} }}, false},
		{"not active", Checker{Systemd: with}, true},
		{"running", Checker{Running: true}, true},
	} {
		if got := test.checker.PassesSockets(); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// TestCheckOfTakenAddress has a program at the address.
func TestCheckOfTakenAddress(t *testing.T) {
	for _, test := range []struct {
		name, answer  string
		guard         string
		running       bool
		units         func(sockaddr.Addr) Units
		warning, fail string // nothing: good
	}{
		{name: "the daemon", answer: saysPolyclam},
		{name: "clamd", answer: saysClamd, fail: `a clamd answers there ("ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026"); "polyclam init"`},
		{name: "clamd, and a unit that is not active", answer: saysClamd, units: func(a sockaddr.Addr) Units { return Units{Sockets: []sockaddr.Addr{a}} }, fail: "a clamd answers there"},
		{name: "another program", answer: saysHTTP, fail: "in use: another"},
		{name: "a silent program", answer: saysNothing, fail: "in use: another program listens there and does not answer; \"ss -l"},
		{name: "a busy daemon", answer: saysNothing, running: true, warning: "it does not answer, so this may be the running daemon, busy"},
		{name: "a listener with allow", answer: saysHTTP, guard: "allow", warning: "it may be the running daemon, which the check cannot ask because of allow"},
		{name: "a silent listener with TLS", answer: saysNothing, guard: "tls", warning: "because of tls"},
		{name: "clamd instead of TLS", answer: saysClamd, guard: "tls", fail: "a clamd answers there"},
		{name: "systemd", answer: saysNothing, units: func(a sockaddr.Addr) Units { return Units{Sockets: []sockaddr.Addr{a}, SocketActive: true} }},
		{name: "systemd has another", answer: saysHTTP, units: func(sockaddr.Addr) Units {
			return Units{Sockets: []sockaddr.Addr{sockaddr.Unix("/other")}, SocketActive: true}
		}, fail: "in use: another"},
	} {
		for _, a := range []sockaddr.Addr{sockaddr.Unix(filepath.Join(testkit.SocketDir(t), "s")), tcp(t, "127.0.0.1", freePort(t)), tcp(t, "0.0.0.0", freePort(t))} {
			t.Run(test.name+" "+strings.SplitN(a.String(), ":", 2)[0], func(t *testing.T) {
				serve(t, a, test.answer)
				c := Checker{Running: test.running}
				if test.units != nil {
					c.Systemd = func() Units { return test.units(a) }
				}
				warning, err := c.Check(a, Options{Mode: 0o666, Group: NoGroup, Guard: test.guard})
				wantOutcome(t, warning, err, test.warning, test.fail)
			})
		}
	}
}

func wantOutcome(t *testing.T, warning string, err error, wantWarning, wantError string) {
	t.Helper()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if (text != "") != (wantError != "") || !strings.Contains(text, wantError) {
		t.Errorf("error %q, want %q", text, wantError)
	}
	if (warning != "") != (wantWarning != "") || !strings.Contains(warning, wantWarning) {
		t.Errorf("warning %q, want %q", warning, wantWarning)
	}
}

// TestOpenOfTakenAddress has another service of a polyclamd at the address, or something else.
func TestOpenOfTakenAddress(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			nc.Close()
		}
	}()
	a, _, err := sockaddr.Parse("tcp:" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for is, want := range map[bool]string{true: "another polyclamd answers there", false: "another program listens there"} {
		_, err := Open(a, Options{IsPolyclamd: func(_, address string) bool { return is && address == ln.Addr().String() }})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestCheckOfFreeAddress has no program at the address. The check must create nothing.
func TestCheckOfFreeAddress(t *testing.T) {
	dir := testkit.SocketDir(t)
	file, stale, below := filepath.Join(dir, "f"), filepath.Join(dir, "stale"), filepath.Join(dir, "none", "s")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	leaveSocket(t, stale)
	runtime := sockaddr.Unix("/run/polyclam-test-of-check/s")
	for _, test := range []struct {
		name          string
		a             sockaddr.Addr
		units         Units
		warning, fail string
	}{
		{name: "a new socket", a: sockaddr.Unix(filepath.Join(dir, "s"))},
		{name: "a stale socket", a: sockaddr.Unix(stale)},
		{name: "a file", a: sockaddr.Unix(file), fail: "the file exists and is not a socket"},
		{name: "a file that systemd has", a: sockaddr.Unix(file), units: Units{Sockets: []sockaddr.Addr{sockaddr.Unix(file)}}, fail: "the file exists and is not a socket"},
		{name: "below a file", a: sockaddr.Unix(file + "/s"), fail: "not a directory"},
		{name: "no directory", a: sockaddr.Unix(below), fail: "the directory of the socket, " + filepath.Dir(below) + `, does not exist; make it with "install -d`},
		{name: "no directory, a unit that is not active", a: sockaddr.Unix(below), units: Units{Sockets: []sockaddr.Addr{sockaddr.Unix(below)}}, warning: "systemctl enable --now polyclamd.socket"},
		{name: "no directory, an active unit", a: sockaddr.Unix(below), units: Units{Sockets: []sockaddr.Addr{sockaddr.Unix(below)}, SocketActive: true}},
		{name: "a runtime directory of the unit", a: runtime, units: Units{RuntimeDirectories: []string{"x", "polyclam-test-of-check"}}},
		{name: "a free port", a: tcp(t, "127.0.0.1", freePort(t))},
		{name: "a foreign address", a: tcp(t, "198.51.100.1", 3310), fail: "this machine does not have the address 198.51.100.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Checker{Systemd: func() Units { return test.units }}
			warning, err := c.Check(test.a, Options{Mode: 0o666, Group: NoGroup})
			wantOutcome(t, warning, err, test.warning, test.fail)
		})
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	wantGone(t, runtime.Path())
}

// TestCheckOfRights drops the rights of root, which may do everything.
func TestCheckOfRights(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: missing rights; this needs root")
	}
	dir := testkit.SocketDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	served := sockaddr.Unix(filepath.Join(dir, "private"))
	ln, err := openUnix(served.Path(), 0o600, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	withoutRights(t, func() {
		var c Checker
		warning, err := c.Check(sockaddr.Unix(filepath.Join(dir, "s")), Options{Group: NoGroup})
		wantOutcome(t, warning, err, "", "may not create files in "+dir)
		warning, err = c.Check(served, Options{Group: NoGroup})
		wantOutcome(t, warning, err, "may not connect to it; run the check as the user", "")
		wantOutcome(t, "", checkGroup(12345), "", "SupplementaryGroups=12345")
	})
}

// withoutRights runs f as user 65534. That changes the whole process, as the rights of a
// daemon are those of its process.
func withoutRights(t *testing.T, f func()) {
	t.Helper()
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{syscall.Setgroups(nil), syscall.Setresgid(65534, 65534, 0), syscall.Setresuid(65534, 65534, 0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		for _, err := range []error{syscall.Setresuid(0, 0, 0), syscall.Setresgid(0, 0, 0), syscall.Setgroups(groups)} {
			if err != nil {
				panic(err) // the other tests would run without rights
			}
		}
	}()
	f()
}

func TestParseUnits(t *testing.T) {
	const text = `Listen=/run//polyclam/clamd.sock (Stream)
Listen=127.0.0.1:3310 (Stream)
Listen=[::]:3311 (Stream)
Listen=@abstract (Stream)
Listen=/run/x (Datagram)
Id=polyclamd.socket
ActiveState=active

RuntimeDirectory=polyclam other
Id=polyclamd.service
ActiveState=inactive
User=polyclam
Group=mail
SupplementaryGroups=clamav amavis
AmbientCapabilities=cap_net_bind_service
`
	u := parseUnits(text)
	want := []sockaddr.Addr{sockaddr.Unix("/run/polyclam/clamd.sock"), parse(t, "tcp:127.0.0.1:3310"), parse(t, "tcp:[::]:3311")}
	if !u.SocketActive || !slices.Equal(u.Sockets, want) || !slices.Equal(u.RuntimeDirectories, []string{"polyclam", "other"}) {
		t.Errorf("%+v", u)
	}
	if u.User != "polyclam" || u.Group != "mail" || !slices.Equal(u.Groups, []string{"clamav", "amavis"}) || !u.BindsEveryPort {
		t.Errorf("%+v", u)
	}
	if u := parseUnits("Id=polyclamd.socket\nActiveState=inactive\n\nId=polyclamd.service\nActiveState=active\n"); u.SocketActive || len(u.Sockets) > 0 {
		t.Errorf("without the unit: %+v", u)
	}
}

func FuzzParseUnits(f *testing.F) {
	f.Add("Id=polyclamd.socket\nListen=/run/x (Stream)\nActiveState=active\n\nId=polyclamd.service\nRuntimeDirectory=a b\n")
	f.Add("\n\n=\nListen=:: (Stream)")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range parseUnits(text).Sockets {
			if a == (sockaddr.Addr{}) {
				t.Errorf("%q has an empty address", text)
			}
		}
	})
}
