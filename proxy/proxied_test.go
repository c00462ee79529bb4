package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"polyclam/proxy/balancer"
	"polyclam/proxy/certs"
	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// balancers trusts 127.0.0.2 and Unix sockets.
var balancers = balancer.Trusted{Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Unix: true}

// header returns a PROXY header for a client.
func header(t *testing.T, version byte, source string) string {
	t.Helper()
	a := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(source))
	b, err := proxyproto.HeaderProxyFromAddrs(version, a, a).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func newProxiedServer(t *testing.T, change func(*Config)) (*testServer, string) {
	t.Helper()
	ts := newServer(t, overTCP(func(c *Config) {
		for i := range c.Listeners {
			c.Listeners[i].Balancers = balancers
			c.Listeners[i].StreamCommand = true
		}
		if change != nil {
			change(c)
		}
	}), eicarOnly())
	return ts, ts.listenTCP()
}

func TestProxied(t *testing.T) {
	ts, to := newProxiedServer(t, nil)
	const local = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	unixHeader := "\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("/a", 108)
	for _, tt := range []struct {
		name, from, header string
		client             string // in the log
		fails              string // reason; empty: served
	}{
		{"version 1", "127.0.0.2", header(t, 1, "192.0.2.1:99"), "192.0.2.1:99", ""},
		{"version 2", "127.0.0.2", header(t, 2, "192.0.2.2:99"), "192.0.2.2:99", ""},
		{"IPv6", "127.0.0.2", header(t, 2, "[2001:db8::1]:99"), "[2001:db8::1]:99", ""},
		{"unknown", "127.0.0.2", "PROXY UNKNOWN\r\n", "127.0.0.2:", ""},
		{"local", "127.0.0.2", local, "127.0.0.2:", ""},
		{"Unix client", "127.0.0.2", unixHeader, "127.0.0.2:", ""},
		{"Unix balancer", "unix", header(t, 2, "192.0.2.3:99"), "192.0.2.3:99", ""},
		{"Unix balancer itself", "unix", local, "unix:uid=", ""},
		{"direct", "127.0.0.3", "", "127.0.0.3:", ""},
		{"no header", "127.0.0.2", "", "127.0.0.2:", "does not begin with a PROXY header"},
		{"garbage", "127.0.0.2", "\r\n\r\nGARBAGE", "127.0.0.2:", "does not begin with a PROXY header"},
		{"damaged", "127.0.0.2", "PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n", "127.0.0.2:", "not valid"},
		{"untrusted", "127.0.0.4", header(t, 1, "192.0.2.1:99"), "127.0.0.4:", "the PROXY protocol, version 1, instead of a command"},
		{"untrusted 2", "127.0.0.4", local, "127.0.0.4:", "the PROXY protocol, version 2, instead of a command"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(ts.log.String())
			ts.ahead.Add(int64(repeatPause)) // each line is logged
			var nc net.Conn
			if tt.from == "unix" {
				nc = ts.dial()
			} else {
				nc = dialFrom(t, tt.from, to)
			}
			io.WriteString(nc, tt.header+"zINSTREAM\x00"+stream("x", 1))
			got, _ := io.ReadAll(nc)
			if served := string(got) == "stream: OK\x00"; served != (tt.fails == "") {
				t.Errorf("got %q", got)
			}
			want := tt.fails
			if want == "" {
				want = `"category":"ok"`
			}
			testkit.Eventually(t, "a log line with "+want, func() bool { return strings.Contains(ts.log.String()[before:], want) })
			if log := ts.log.String()[before:]; !strings.Contains(log, `"client":"`+tt.client) {
				t.Errorf("logged %s, want client %s", log, tt.client)
			}
		})
	}
}

// TestProxiedKey checks that shares, and what a client may see, follow the header.
func TestProxiedKey(t *testing.T) {
	ts, to := newProxiedServer(t, func(c *Config) { c.Limits.Connections, c.Limits.Waiting, c.Limits.ClientShare = 10, 4, 50 })
	defer ts.running.begin(client.User(77), "SCAN", "/secret")()
	key := client.Host(netip.MustParseAddr("192.0.2.1"))
	for range 30 {
		nc := dialFrom(t, "127.0.0.2", to)
		io.WriteString(nc, header(t, 2, "192.0.2.1:99"))
	}
	testkit.Eventually(t, "the client has its share, and the rest is refused", func() bool {
		served, waiting := ts.connectionsOf(key)
		return served == 4 && waiting > 0 && ts.tally.connections.Load() == 30-served-waiting
	})
	for _, from := range []string{"127.0.0.2", "unix"} {
		nc := net.Conn(nil)
		if from == "unix" {
			nc = ts.dial()
		} else {
			nc = dialFrom(t, from, to)
		}
		io.WriteString(nc, header(t, 2, "192.0.2.9:99")+"zSTATS\x00")
		if got := readRecord(t, nc, 0); strings.Contains(got, "/secret") || !strings.Contains(got, "SCAN") {
			t.Errorf("through %s: %s", from, got)
		}
		nc.Close()
	}
	nc := dialFrom(t, "127.0.0.2", to)
	io.WriteString(nc, header(t, 2, "192.0.2.9:99")+"zSTREAM\x00")
	if got := readRecord(t, nc, 0); got != "UNKNOWN COMMAND" {
		t.Errorf("STREAM: %q", got)
	}
}

// TestProxiedTLS has a header before TLS, and a client whose slow handshakes come through
// the same balancer as those of another.
func TestProxiedTLS(t *testing.T) {
	s := newSecureServer(t, certs.Files{}, func(c *Config) {
		c.Listeners[1].Balancers = balancers
		c.Limits.Handshakes, c.Limits.Waiting, c.Limits.ClientShare = 8, 4, 75
	}, eicarOnly())
	for i := range 30 {
		nc := dialFrom(t, "127.0.0.2", s.to)
		io.WriteString(nc, header(t, byte(1+i%2), "192.0.2.1:99"))
	}
	testkit.Eventually(t, "the slow client has its share, and the rest is refused", func() bool {
		begun, waiting := s.handshaking()
		s.mu.Lock()
		headers, _ := s.hands.Held(client.Host(netip.MustParseAddr("127.0.0.2")))
		s.mu.Unlock()
		return headers == 0 && begun >= 5 && waiting > 0 && s.tally.connections.Load() == int64(30-begun-waiting)
	})
	for i := range 10 {
		nc := dialFrom(t, "127.0.0.2", s.to)
		io.WriteString(nc, header(t, byte(1+i%2), fmt.Sprintf("192.0.2.%d:99", 10+i)))
		c := tls.Client(nc, s.client())
		pong(t, c)
		c.Close()
	}
	if n := s.tally.handshakes.Load(); n != 0 {
		t.Errorf("%d handshakes failed: %s", n, s.log)
	}
}
