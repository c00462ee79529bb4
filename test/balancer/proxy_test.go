package balancer

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// The clients of the tests are at addresses of 127.0.0.0/8, and so are the balancers.
const proxyConfig = `
log.level = "debug"
log.format = "json"
[limits]
connections = 20
client_share = 50
command_read_timeout = "10m"
handshake_timeout = "8s"
[admin]
address = "unix:${DIR}/admin"
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"
[[listener]]
address = "tcp:127.0.0.1:${PORT}"
allow = ["127.0.0.0/24"]
proxy_protocol = ["127.0.0.2", "127.0.2.0/24"]
[[listener]]
address = "tcp:127.0.0.1:%[1]s"
tls = true
certificate = "%[2]s"
key = "%[3]s"
allow = ["127.0.0.0/24"]
proxy_protocol = ["127.0.0.2", "127.0.2.0/24"]
[[listener]]
address = "tcp:127.0.0.1:%[4]s"
allow = ["127.0.0.30", "127.0.0.31"]
proxy_protocol = ["127.0.0.2"]
scans_per_second = 0.01
burst = 3
[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:%[5]s"
`

// proxied is a polyclamd that several HAProxies with many frontends use.
type proxied struct {
	*haproxy
	daemon    *clamdtest.Polyclam
	clamd     *clamdtest.Clamd
	authority *testkit.Authority
	plain     string // address of the listener, and of that with TLS
	tls       string
	fronts    map[string]string // addresses of HAProxy
}

// startProxied gives HAProxy a frontend for each name: the version of the header, or no; tls
// for the listener with TLS, rated or self for that with rates; and the balancer's source
// address. Those of 127.0.0.2, except rated, are checked.
func startProxied(t *testing.T, fronts ...string) *proxied {
	t.Helper()
	clamdtest.RequireProgram(t, "haproxy")
	p := &proxied{clamd: clamdtest.Start(t, clamdtest.Options{}), authority: testkit.NewAuthority(t), fronts: map[string]string{}}
	// The daemon runs as another user, who may read its own directory only.
	dir, issued := testkit.SocketDir(t), p.authority.Issue("localhost")
	for path, name := range map[string]string{issued.Certificate: "cert.pem", issued.Key: "key.pem"} {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tls, rated := clamdtest.Port(t), clamdtest.Port(t)
	config := fmt.Sprintf(proxyConfig, tls, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), rated, p.clamd.Socket)
	p.daemon = clamdtest.StartPolyclam(t, config, clamdtest.Options{Port: clamdtest.Port(t)})
	p.plain, p.tls = p.daemon.TCP, "127.0.0.1:"+tls
	text := ""
	for _, front := range fronts {
		name, source, _ := strings.Cut(front, " ")
		p.fronts[front] = "127.0.0.1:" + clamdtest.Port(t)
		to, options := p.plain, ""
		if strings.HasSuffix(name, "tls") {
			to, options = p.tls, " ssl verify required verifyhost localhost ca-file "+p.authority.File
		}
		if strings.HasSuffix(name, "rated") || strings.HasSuffix(name, "self") {
			to = "127.0.0.1:" + rated
		}
		switch name[:2] {
		case "v1":
			options += " send-proxy"
		case "v2":
			options += " send-proxy-v2"
		}
		if source == "127.0.0.2" && !strings.HasSuffix(name, "rated") { // its checks come from the balancer itself
			options += " check inter 500ms rise 1 fall 1"
		}
		text += fmt.Sprintf("listen %s-%s\n    bind %s\n    option tcp-check\n    tcp-check send nPING\\n\n    tcp-check expect string PONG\n    server s %s source %s%s\n",
			name, source, p.fronts[front], to, source, options)
	}
	p.haproxy = startHAProxy(t, text)
	return p
}

// logged waits for a log line after the first skip bytes that has these fields.
func (p *proxied) logged(t *testing.T, skip int, fields map[string]string) (entry map[string]any) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("a log line %v", fields), func() bool {
		found := entries(p.daemon.Log(), skip, fields)
		if len(found) > 0 {
			entry = found[0]
		}
		return entry != nil
	})
	return entry
}

// client asks the daemon's admin socket who had the scan with an id.
func (p *proxied) client(t *testing.T, id string) string {
	t.Helper()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(p.daemon.Dir, "admin"))
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	r, err := (&http.Client{Transport: transport, Timeout: hang}).Get("http://admin/why?key=" + url.QueryEscape(id))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var why struct {
		Records []struct{ Client string }
	}
	if err := json.NewDecoder(r.Body).Decode(&why); err != nil || len(why.Records) != 1 {
		t.Fatalf("why %s: %v %v", id, why, err)
	}
	return why.Records[0].Client
}

// TestProxyProtocol has clients come through HAProxy, in every version, with and without TLS.
// The log, why and allow are about HAProxy's client.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	trusted := []string{"v1 127.0.0.2", "v2 127.0.0.2", "v1tls 127.0.0.2", "v2tls 127.0.0.2"}
	const untrusted = "a PROXY header from an address that is not in proxy_protocol of the listener"
	refused := []struct{ front, reply, reason string }{
		{"v1 127.0.0.3", "UNKNOWN COMMAND\n", "the PROXY protocol, version 1, instead of a command"},
		{"v2 127.0.0.4", "UNKNOWN COMMAND\n", "the PROXY protocol, version 2, instead of a command"},
		{"v1tls 127.0.0.5", "", untrusted},
		{"v2tls 127.0.0.6", "", untrusted},
		{"no 127.0.2.1", "", "does not begin with a PROXY header"},
		{"notls 127.0.2.2", "", "does not begin with a PROXY header"},
	}
	fronts := append([]string{"v1rated 127.0.0.2", "v2rated 127.0.0.2", "v1self 127.0.0.2", "v2self 127.0.0.2", "no 127.0.0.7", "notls 127.0.0.8"}, trusted...)
	for _, r := range refused {
		fronts = append(fronts, r.front)
	}
	p := startProxied(t, fronts...)

	for i, front := range trusted {
		t.Run(front, func(t *testing.T) {
			p.wait(t, strings.Replace(front, " ", "-", 1)+"/s", "UP")
			skip := len(p.daemon.Log())
			nc := dial(t, fmt.Sprintf("127.0.0.%d", 10+i), p.fronts[front])
			if got := converse(nc, instream("harmless")); got != clean {
				t.Fatalf("got %q", got)
			}
			from := nc.LocalAddr().String()
			id, _ := p.logged(t, skip, map[string]string{"client": from, "category": "ok"})["id"].(string)
			if got := p.client(t, id); got != from {
				t.Errorf("why says %s, want %s", got, from)
			}
			nc = dial(t, fmt.Sprintf("127.0.1.%d", 10+i), p.fronts[front])
			if got := converse(nc, instream("harmless")); got != "" {
				t.Errorf("a client that is not allowed: got %q", got)
			}
			p.logged(t, skip, map[string]string{"client": nc.LocalAddr().String(), "message": "connection not allowed"})
		})
	}
	for i, tt := range refused {
		t.Run(tt.front, func(t *testing.T) {
			skip := len(p.daemon.Log())
			if got := converse(dial(t, fmt.Sprintf("127.0.0.%d", 20+i), p.fronts[tt.front]), instream("harmless")); got != tt.reply {
				t.Errorf("got %q, want %q", got, tt.reply)
			}
			_, source, _ := strings.Cut(tt.front, " ")
			p.logged(t, skip, map[string]string{"client": source + ":", "reason": tt.reason})
			if all := entries(p.daemon.Log(), skip, map[string]string{"client": fmt.Sprintf("127.0.0.%d:", 20+i)}); len(all) > 0 {
				t.Errorf("an untrusted header counts: %v", all)
			}
		})
	}
	for _, front := range []string{"no 127.0.0.7", "notls 127.0.0.8"} {
		if got := converse(dial(t, "127.0.1.1", p.fronts[front]), instream("harmless")); got != clean {
			t.Errorf("%s, which needs no header: got %q", front, got)
		}
	}
	t.Run("damage", p.damage)
	t.Run("rates", p.rates)
	t.Run("shares", p.shares)
}

// damage has trusted balancers send headers that are none. Each is refused, with a reason, and
// others are served.
func (p *proxied) damage(t *testing.T) {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	ipv4 := "\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x0c\xee"
	for i, tt := range []struct{ name, wire, reason string }{
		{"garbage", strings.Repeat("\xff\x00garbage", 1000), "does not begin with a PROXY header"},
		{"a command", instream("harmless"), "does not begin with a PROXY header"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "does not begin with a PROXY header"},
		{"truncated version 1", "PROXY TCP4 192.0.2.1 10.0", "no complete PROXY header came in time"},
		{"truncated version 2", signature + "\x21\x11\x00\x0c\xc0\x00", "no complete PROXY header came in time"},
		{"nothing", "", "no complete PROXY header came in time"},
		{"huge version 1", "PROXY TCP4 " + strings.Repeat("1", 1<<20), "too long"},
		{"huge version 2", signature + "\x21\x11\xff\xff" + ipv4 + strings.Repeat("a", 1<<16), "too long"},
		{"wrong address", "PROXY TCP4 127.0.0.999 127.0.0.1 1 2\r\n" + instream("harmless"), "not valid"},
		{"wrong family", signature + "\x21\x51\x00\x0c" + ipv4 + instream("harmless"), "not valid"},
		{"datagrams", signature + "\x21\x12\x00\x0c" + ipv4 + instream("harmless"), "not about a stream"},
	} {
		for j, to := range []string{p.plain, p.tls} {
			t.Run(fmt.Sprintf("%s %d", tt.name, j), func(t *testing.T) {
				t.Parallel()
				from := fmt.Sprintf("127.0.2.%d", 20+2*i+j)
				got := converse(dial(t, from, to), tt.wire)
				if got != "" && got != "UNKNOWN COMMAND\n" {
					t.Errorf("got %q", got)
				}
				p.logged(t, 0, map[string]string{"client": from + ":", "reason": tt.reason})
				if got := converse(dial(t, "127.0.0.14", p.fronts["v2 127.0.0.2"]), instream("harmless")); got != clean {
					t.Errorf("another client: %q", got)
				}
			})
		}
	}
}

// rates has a client use up its rate. Another one of the same balancer has its own. The
// balancer itself is not allowed, so its checks fail, and those clients come through
// frontends without checks.
func (p *proxied) rates(t *testing.T) {
	p.wait(t, "v1self-127.0.0.2/s", "DOWN")
	p.wait(t, "v2self-127.0.0.2/s", "DOWN")
	p.logged(t, 0, map[string]string{"client": "127.0.0.2:", "message": "connection not allowed", "hint": `add "127.0.0.2"`})
	scan := func(address string, i int) string {
		return converse(dial(t, address, p.fronts[[]string{"v1rated 127.0.0.2", "v2rated 127.0.0.2"}[i%2]]), instream("harmless"))
	}
	for _, address := range []string{"127.0.0.30", "127.0.0.31"} {
		for i := range 5 {
			if got := scan(address, i); (got == clean) != (i < 3) || i >= 3 && !strings.HasSuffix(got, " ERROR\x00") {
				t.Errorf("%s, scan %d: %q", address, i+1, got)
			}
		}
	}
}

// shares has a client take all its connections. Another one of the same balancers is served,
// and STATS names the objects of each to itself only.
func (p *proxied) shares(t *testing.T) {
	for i := range 30 {
		dial(t, "127.0.0.40", p.fronts[[]string{"v1 127.0.0.2", "v2 127.0.0.2"}[i%2]])
	}
	if err := syscall.Kill(p.clamd.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(p.clamd.Pid, syscall.SIGCONT)
	scan := dial(t, "127.0.0.41", p.fronts["v1 127.0.0.2"])
	scan.Write([]byte(instream("harmless")))
	stats := func(from string) string { return converse(dial(t, from, p.fronts["v2tls 127.0.0.2"]), "zSTATS\x00") }
	testkit.Eventually(t, "STATS shows a client its own scan", func() bool { return strings.Contains(stats("127.0.0.41"), " stream") })
	if got := stats("127.0.0.42"); !strings.Contains(got, "INSTREAM") || strings.Contains(got, " stream") {
		t.Errorf("STATS to another client: %q", got)
	}
	syscall.Kill(p.clamd.Pid, syscall.SIGCONT)
	if got := converse(scan, ""); got != clean {
		t.Errorf("the scan: %q", got)
	}
}
