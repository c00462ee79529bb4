package icap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends/backendtest"
)

func TestConfig(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const tcp = "tcp:127.0.0.1:1344"
	headers := func(name, value string) func(c *Config) {
		return func(c *Config) { c.Headers = map[string]string{name: value} }
	}
	for _, tt := range []struct {
		name, address string
		set           func(c *Config)
		want          string // in the error; empty: none
	}{
		{"defaults", tcp, func(c *Config) {}, ""},
		{"unix", "unix:/run/c-icap.sock", func(c *Config) {}, ""},
		{"IPv6", "tcp:[::1]:1344", func(c *Config) {}, ""},
		{"path", tcp, on("/av/respmod"), ""},
		{"query", tcp, on("avscan?allow204=on&sizelimit=off&mode=simple"), ""},
		{"no address", "", func(c *Config) {}, "address"},
		{"no port", "tcp:127.0.0.1", func(c *Config) {}, "address"},
		{"blank in the address", "tcp:a b:1344", func(c *Config) {}, "address"},
		{"line in the address", "tcp:a\r\nX: y:1344", func(c *Config) {}, "address"},
		{"slash in the address", "tcp:a/b:1344", func(c *Config) {}, "address"},
		{"no service", tcp, on(""), "service"},
		{"blank in the service", tcp, on("av scan"), "service"},
		{"line in the service", tcp, on("avscan ICAP/1.0\r\nX: y"), "service"},
		{"line feed behind the service", tcp, on("avscan\n"), "service"},
		{"fragment", tcp, on("avscan#x"), "service"},
		{"long service", tcp, on(strings.Repeat("a", 2000)), "service"},
		{"method", tcp, func(c *Config) { c.Method = "RESPMOD" }, "method"},
		{"echo_is", tcp, func(c *Config) { c.EchoIs = "clean" }, "echo_is"},
		{"content_type", tcp, func(c *Config) { c.ContentType = "a/b\r\nX: y" }, "content_type"},
		{"no content_type", tcp, func(c *Config) { c.ContentType = "" }, "content_type"},
		{"connect_timeout", tcp, func(c *Config) { c.ConnectTimeout = 0 }, "connect_timeout"},
		{"header", tcp, headers("X-Client-IP", "192.0.2.1"), ""},
		{"header with a line", tcp, headers("X-Client-IP", "a\r\nAllow: 0"), "headers"},
		{"header with a line feed at its end", tcp, headers("X-Client-IP", "a\n"), "headers"},
		{"name with a colon", tcp, headers("X: y\r\nZ", "a"), "headers"},
		{"empty name", tcp, headers("", "a"), "headers"},
		{"own header", tcp, headers("encapsulated", "null-body=0"), "headers"},
		{"preview header", tcp, headers("Preview", "0"), "headers"},
		{"long headers", tcp, headers("X", strings.Repeat("a", maxFields)), "headers"},
		{"tls", tcp, func(c *Config) { c.TLS = true }, ""},
		{"tls over unix", "unix:/s", func(c *Config) { c.TLS = true }, "server_name"},
		{"tls over unix with a name", "unix:/s", func(c *Config) { c.TLS, c.ServerName = true, "x" }, ""},
		{"ca without tls", tcp, func(c *Config) { c.CA = "/x" }, "ca"},
		{"no verification without tls", tcp, func(c *Config) { c.InsecureSkipVerify = true }, "insecure_skip_verify"},
		{"no ca", tcp, func(c *Config) { c.TLS, c.CA = true, "/nonexistent.pem" }, "ca"},
		{"ca not PEM", tcp, func(c *Config) { c.TLS, c.CA = true, notPEM }, "ca"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConfig().(*Config)
			tt.set(c)
			b, err := c.Open(tt.address)
			switch {
			case tt.want == "" && (err != nil || b == nil):
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || b != nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want something about %q", err, tt.want)
			}
		})
	}
}

// TestNothingInjected: whatever the configuration lets through, a request has the
// lines that it has to have and no others.
func TestNothingInjected(t *testing.T) {
	b := open(t, "tcp:127.0.0.1:1344", func(c *Config) { c.Headers = map[string]string{"X-A": "b: c"} })
	q, err := b.newRequest(options{preview: -1}, backendtest.Bytes(t, []byte("\r\n\r\nOPTIONS icap://x/y ICAP/1.0\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(q.head, "\r\n"); n != 7+3+4 || strings.Count(q.head, "\n") != n {
		t.Errorf("%d lines in %q", n, q.head)
	}
}
