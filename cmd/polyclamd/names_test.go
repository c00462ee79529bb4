package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/test/testkit"
)

// names is a resolver whose answers may change. A name without an entry does not exist.
type names struct {
	mu   sync.Mutex
	list map[string]string // addresses, separated by spaces
}

func (n *names) set(name, addresses string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list[name] = addresses
}

func (n *names) LookupNetIP(_ context.Context, _, host string) (ips []netip.Addr, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, ok := n.list[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	for _, s := range strings.Fields(text) {
		ips = append(ips, netip.MustParseAddr(s))
	}
	return ips, nil
}

// freePort returns a TCP port that is free on all loopback addresses now.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func tcpListener(host string, port int, more ...string) string {
	return fmt.Sprintf("[[listener]]\naddress = \"tcp:%s:%d\"\n%s\n", host, port, strings.Join(more, "\n"))
}

// parseConfig returns a configuration with the backend inspect.
func parseConfig(t *testing.T, text string) *config.File {
	t.Helper()
	file, err := config.Parse("test.toml", []byte(text+"[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func addressesOf(file *config.File) []string {
	var list []string
	for _, l := range file.Listeners {
		list = append(list, l.Address)
	}
	return list
}

func TestResolveListeners(t *testing.T) {
	n := &names{list: map[string]string{"two": "127.0.0.1 ::1", "one": "127.0.0.1", "gone": ""}}
	for _, test := range []struct {
		name, text string
		want       []string
		problem    string
	}{
		{name: "addresses", text: tcpListener("0.0.0.0", 1) + tcpListener("[::1]", 1), want: []string{"tcp:0.0.0.0:1", "tcp:[::1]:1"}},
		{name: "a name", text: tcpListener("two", 1), want: []string{"tcp:127.0.0.1:1", "tcp:[::1]:1"}},
		{name: "a name and its address", text: tcpListener("127.0.0.1", 1) + tcpListener("two", 1),
			problem: `test.toml:5: listener.address: "tcp:two:1" and "tcp:127.0.0.1:1" of the listener in line 2 include the same address`},
		{name: "two names of one address", text: tcpListener("two", 1) + tcpListener("one", 1),
			problem: `test.toml:5: listener.address: "tcp:one:1" and "tcp:two:1" of the listener in line 2 include the same address`},
		{name: "a name below every address", text: tcpListener("0.0.0.0", 1) + tcpListener("one", 1),
			problem: `test.toml:5: listener.address: "tcp:one:1" and "tcp:0.0.0.0:1" of the listener in line 2`},
		{name: "other ports", text: tcpListener("one", 1) + tcpListener("one", 2), want: []string{"tcp:127.0.0.1:1", "tcp:127.0.0.1:2"}},
		{name: "no such name", text: tcpListener("none", 1), problem: `test.toml:2: listener.address: "tcp:none:1": the name "none" does not exist; correct it`},
		{name: "a name without address", text: tcpListener("gone", 1), problem: `test.toml:2: listener.address: "tcp:gone:1": the name "gone" has no address`},
		{name: "more sockets than connections", text: tcpListener("two", 1) + "[limits]\nconnections = 2\n",
			problem: "limits.connections: 2 is too few for the 2 sockets of the listeners"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := setup{file: parseConfig(t, test.text), resolver: n}
			err := s.resolve()
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) {
					t.Errorf("resolve = %v, want %q", err, test.problem)
				}
				return
			}
			if got := addressesOf(s.file); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("resolve: %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestSomeAddressesUnavailable has names with addresses that this machine does not have.
func TestSomeAddressesUnavailable(t *testing.T) {
	n := &names{list: map[string]string{"some": "198.51.100.1 127.0.0.1", "none": "198.51.100.1 198.51.100.2"}}
	for _, isCheck := range []bool{false, true} {
		some := setup{file: parseConfig(t, tcpListener("some", freePort(t))), resolver: n, isCheck: isCheck}
		if err := errors.Join(some.resolve(), some.listen()); err != nil {
			t.Errorf("some: %v", err)
		}
		if len(some.file.Listeners) != 1 || !strings.Contains(fmt.Sprint(some.file.Warnings), "does not have the address 198.51.100.1") {
			t.Errorf("some: %q, warnings %v", addressesOf(some.file), some.file.Warnings)
		}
		if (len(some.opened) == 1) == isCheck {
			t.Errorf("some, check %v: %d sockets are open", isCheck, len(some.opened))
		}
		some.opened.close()
		none := setup{file: parseConfig(t, tcpListener("none", freePort(t))), resolver: n, isCheck: isCheck}
		err := errors.Join(none.resolve(), none.listen())
		if err == nil || strings.Count(err.Error(), "listener.address") != 2 {
			t.Errorf("none: %v", err)
		}
	}
}

// inProcess runs a daemon in this process, with its own resolver.
type inProcess struct {
	t       *testing.T
	conf    string
	log     output
	signals chan os.Signal
	done    chan error
}

func startInProcess(t *testing.T, n *names, text string) *inProcess {
	t.Helper()
	p := &inProcess{t: t, signals: make(chan os.Signal, 8), done: make(chan error, 1)}
	p.conf = writeConfig(t, testkit.SocketDir(t), text)
	file, err := config.Load(p.conf)
	if err != nil {
		t.Fatal(err)
	}
	d := newProcess(options{config: p.conf, configGiven: true}, file, zerolog.New(&p.log))
	d.resolver = n
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- d.wait(p.signals) }()
	t.Cleanup(func() {
		p.signals <- syscall.SIGTERM
		if err := <-p.done; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the log:\n%s", p.log.String())
		}
	})
	return p
}

// reload changes the configuration and waits for the outcome.
func (p *inProcess) reload(text, outcome string) {
	p.t.Helper()
	writeConfig(p.t, filepath.Dir(p.conf), text)
	before := strings.Count(p.log.String(), `"message":"`+outcome)
	p.signals <- syscall.SIGHUP
	testkit.Eventually(p.t, outcome, func() bool { return strings.Count(p.log.String(), `"message":"`+outcome) > before })
	testkit.Eventually(p.t, "the end of the reload", func() bool { return true })
}

// wantAnswers checks which of some loopback addresses answer.
func wantAnswers(t *testing.T, port int, want ...string) {
	t.Helper()
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		address := net.JoinHostPort(host, fmt.Sprint(port))
		reply, err := ask("tcp", address, "zPING\x00")
		if got := err == nil && reply == "PONG\x00"; got != slices.Contains(want, host) {
			t.Errorf("%s answers: %v (%q, %v)", address, got, reply, err)
		}
	}
}

// TestReloadOfNames changes what a name means. Sockets that stay are not touched: a session on
// the queue of one would notice.
func TestReloadOfNames(t *testing.T) {
	n := &names{list: map[string]string{"mail": "127.0.0.1 127.0.0.2"}}
	port := freePort(t)
	text := tcpListener("mail", port)
	p := startInProcess(t, n, text)
	wantAnswers(t, port, "127.0.0.1", "127.0.0.2")

	n.set("mail", "127.0.0.2 127.0.0.3")
	p.reload(text, reloaded)
	wantAnswers(t, port, "127.0.0.2", "127.0.0.3")

	// Another listener takes over a socket of the name, with its own settings.
	p.reload(tcpListener("127.0.0.2", port, `reload_command = true`), reloaded)
	wantAnswers(t, port, "127.0.0.2")
	if reply, err := ask("tcp", fmt.Sprintf("127.0.0.2:%d", port), "zRELOAD\x00"); err != nil || reply != "RELOADING\x00" {
		t.Errorf("RELOAD: %q, %v, want the settings of the new listener", reply, err)
	}

	p.reload(tcpListener("nowhere", port), refused)
	wantAnswers(t, port, "127.0.0.2")
	p.reload(text, reloaded)
	wantAnswers(t, port, "127.0.0.2", "127.0.0.3")
}

// TestReloadToEveryAddress replaces addresses by one that includes them, and back. The port is
// never without a listener.
func TestReloadToEveryAddress(t *testing.T) {
	n := &names{list: map[string]string{"two": "127.0.0.1 127.0.0.2"}}
	port := freePort(t)
	p := startInProcess(t, n, tcpListener("two", port))
	stop, polled := make(chan struct{}), make(chan error)
	go func() {
		for {
			reply, err := ask("tcp", fmt.Sprintf("127.0.0.1:%d", port), "zPING\x00")
			if err == nil && reply != "PONG\x00" {
				err = fmt.Errorf("reply %q", reply)
			}
			select {
			case <-stop:
				polled <- err
				return
			default:
			}
			if err != nil {
				polled <- err
				return
			}
		}
	}()
	p.reload(tcpListener("0.0.0.0", port), reloaded)
	wantAnswers(t, port, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	p.reload(tcpListener("127.0.0.1", port), reloaded)
	wantAnswers(t, port, "127.0.0.1")
	close(stop)
	if err := <-polled; err != nil {
		t.Errorf("a client during the reloads: %v", err)
	}
}

// TestActivationOfEveryAddress passes a socket for 0.0.0.0 or [::], which are not the same.
func TestActivationOfEveryAddress(t *testing.T) {
	dir := testkit.SocketDir(t)
	for _, test := range []struct{ network, bound, configured, problem string }{
		{"tcp4", "0.0.0.0", "0.0.0.0", ""},
		{"tcp", "[::]", "[::]", ""},
		{"tcp", "[::]", "0.0.0.0", `" includes an address of the socket "tcp:[::]:`},
		{"tcp6", "[::]", "127.0.0.1", ""}, // IPv6 only
		{"tcp4", "127.0.0.1", "localhost", ""},
	} {
		ln, err := net.Listen(test.network, test.bound+":0")
		if err != nil {
			t.Logf("NOT TESTED: %s: %v", test.bound, err)
			continue
		}
		tcp := ln.(*net.TCPListener)
		port := tcp.Addr().(*net.TCPAddr).Port
		d := launch(t, func(c *exec.Cmd) {
			c.Env = append(c.Env, "LISTEN_PID=self", "LISTEN_FDS=1")
			passSocket(t, c, tcp)
		}, "--config", writeConfig(t, dir, tcpListener(test.configured, port, `client = "exim"`)))
		if test.problem != "" {
			if status := d.wait(); status != 1 || !strings.Contains(d.stderr.String(), test.problem) {
				t.Errorf("%s for %s: exit status %d, %s", test.bound, test.configured, status, d.stderr.String())
			}
			continue
		}
		d.waitFor("engine")
		inherited := 0
		for _, e := range d.entries("listening") {
			if e["systemd"] == true {
				inherited++
				if client := e["client"]; (client == "exim") == (test.network == "tcp6") {
					t.Errorf("%s for %s has the client %v", test.bound, test.configured, client)
				}
			}
		}
		if inherited != 1 {
			t.Errorf("%s for %s: %d sockets of systemd", test.bound, test.configured, inherited)
		}
		wantPong(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		d.stop()
	}
}
