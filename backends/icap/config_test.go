package icap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
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
		{"space in the address", "tcp:a b:1344", func(c *Config) {}, "address"},
		{"line break in the address", "tcp:a\r\nX: y:1344", func(c *Config) {}, "address"},
		{"slash in the address", "tcp:a/b:1344", func(c *Config) {}, "address"},
		{"no service", tcp, on(""), "service"},
		{"space in the service", tcp, on("av scan"), "service"},
		{"line break in the service", tcp, on("avscan ICAP/1.0\r\nX: y"), "service"},
		{"line feed after the service", tcp, on("avscan\n"), "service"},
		{"fragment", tcp, on("avscan#x"), "service"},
		{"long service", tcp, on(strings.Repeat("a", 2000)), "service"},
		{"method", tcp, func(c *Config) { c.Method = "RESPMOD" }, "method"},
		{"echo_is", tcp, func(c *Config) { c.EchoIs = "clean" }, "echo_is"},
		{"content_type", tcp, func(c *Config) { c.ContentType = "a/b\r\nX: y" }, "content_type"},
		{"no content_type", tcp, func(c *Config) { c.ContentType = "" }, "content_type"},
		{"connect_timeout", tcp, func(c *Config) { c.ConnectTimeout = 0 }, "connect_timeout"},
		{"header", tcp, headers("X-Client-IP", "192.0.2.1"), ""},
		{"header with a line break", tcp, headers("X-Client-IP", "a\r\nAllow: 0"), "headers"},
		{"header with a line feed at its end", tcp, headers("X-Client-IP", "a\n"), "headers"},
		{"name with a colon", tcp, headers("X: y\r\nZ", "a"), "headers"},
		{"empty name", tcp, headers("", "a"), "headers"},
		{"reserved header", tcp, headers("encapsulated", "null-body=0"), "headers"},
		{"preview header", tcp, headers("Preview", "0"), "headers"},
		{"long headers", tcp, headers("X", strings.Repeat("a", maxFields)), "headers"},
		{"no certificate file", tcp, func(c *Config) { c.TLS.TLS, c.Certificate = true, "/nonexistent.pem" }, "certificate: needs key"},
		{"certificate without tls", tcp, func(c *Config) { c.Certificate = "/x.pem" }, "certificate"},
		{"statuses", tcp, func(c *Config) { c.Statuses = map[string]string{"500": "partial", "418": "suspicious"} }, ""},
		{"statuses: no category", tcp, func(c *Config) { c.Statuses = map[string]string{"500": "fine"} }, `statuses.500: "fine" is unknown; write one of virus`},
		{"statuses: ok", tcp, func(c *Config) { c.Statuses = map[string]string{"500": "ok"} }, "never says that an object is clean"},
		{"statuses: 204", tcp, func(c *Config) { c.Statuses = map[string]string{"204": "partial"} }, "cannot be mapped"},
		{"statuses: no status", tcp, func(c *Config) { c.Statuses = map[string]string{"5xx": "partial"} }, "is not a status"},
		{"http_statuses", tcp, func(c *Config) { c.HTTPStatuses = map[string]string{"451": "suspicious", "204": "partial"} }, ""},
		{"http_statuses: ok", tcp, func(c *Config) { c.HTTPStatuses = map[string]string{"204": "ok"} }, "never says that an object is clean"},
		{"http_statuses: 200", tcp, func(c *Config) { c.HTTPStatuses = map[string]string{"200": "partial"} }, "cannot be mapped"},
		{"error_codes", tcp, func(c *Config) { c.ErrorCodes = map[string]string{"-71": "partial", "decode_error": "suspicious"} }, ""},
		{"error_codes: ok", tcp, func(c *Config) { c.ErrorCodes = map[string]string{"decode_error": "ok"} }, "never says that an object is clean"},
		{"error_codes: no code", tcp, func(c *Config) { c.ErrorCodes = map[string]string{"Decode Error": "partial"} }, "is not an error code"},
		{"url", tcp, func(c *Config) { c.URL = "https://mail.example.org:8080/in/{name}?x=y" }, ""},
		{"url without a name", tcp, func(c *Config) { c.URL = "http://localhost/object" }, ""},
		{"url with a space", tcp, func(c *Config) { c.URL = "http://localhost/a b" }, "url"},
		{"url with a line break", tcp, func(c *Config) { c.URL = "http://localhost/a\r\nX: y" }, "url"},
		{"url with an unknown placeholder", tcp, func(c *Config) { c.URL = "http://localhost/{file}" }, "url"},
		{"url without a host", tcp, func(c *Config) { c.URL = "/{name}" }, "url"},
		{"file_name", tcp, func(c *Config) { c.FileName = "a/b" }, "file_name"},
		{"file_name_header", tcp, func(c *Config) { c.FileNameHeader = "X-scan-file-name" }, ""},
		{"file_name_header with a colon", tcp, func(c *Config) { c.FileNameHeader = "X:" }, "file_name_header"},
		{"reserved file_name_header", tcp, func(c *Config) { c.FileNameHeader = "encapsulated" }, "file_name_header"},
		{"Content-Disposition without HTTP", tcp, func(c *Config) { c.FileNameHeader, c.HTTPHeaders = "Content-Disposition", false }, "needs http_headers = true"},
		{"tls", tcp, func(c *Config) { c.TLS.TLS = true }, ""},
		{"tls over unix", "unix:/s", func(c *Config) { c.TLS.TLS = true }, "server_name"},
		{"tls over unix with a name", "unix:/s", func(c *Config) { c.TLS.TLS, c.ServerName = true, "x" }, ""},
		{"ca without tls", tcp, func(c *Config) { c.CA = "/x" }, "ca"},
		{"no verification without tls", tcp, func(c *Config) { c.InsecureSkipVerify = true }, "insecure_skip_verify"},
		{"no ca", tcp, func(c *Config) { c.TLS.TLS, c.CA = true, "/nonexistent.pem" }, "ca"},
		{"ca not PEM", tcp, func(c *Config) { c.TLS.TLS, c.CA = true, notPEM }, "ca"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConfig().(*Config)
			tt.set(c)
			b, err := c.Open(tt.address)
			switch {
			case tt.want == "" && (err != nil || b == nil):
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || b != nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

// TestNothingInjected checks that hostile names add no lines to a request.
func TestNothingInjected(t *testing.T) {
	b := open(t, "tcp:127.0.0.1:1344", func(c *Config) {
		c.Headers, c.FileNameHeader = map[string]string{"X-A": "b: c"}, "Content-Disposition"
	})
	for _, name := range []string{"", "a\r\nX: y\r\n\r\nOPTIONS icap://x/y ICAP/1.0\r\n", "a b\tc\x00.exe", strings.Repeat("\n", 1000)} {
		c := backendtest.WithName(backendtest.Bytes(t, []byte("\r\n\r\nOPTIONS icap://x/y ICAP/1.0\r\n\r\n")), name)
		q, err := b.newRequest(options{preview: -1}, c)
		if err != nil {
			t.Fatal(err)
		}
		// 7 lines of ICAP and one for the name, with Connection: close; 3 and 5 of HTTP.
		if n := strings.Count(q.head, "\r\n"); n != 8+3+5 || strings.Count(q.head, "\n") != n {
			t.Errorf("%q: %d lines in %q", name, n, q.head)
		}
	}
}

// TestNames checks each form of the file name in a request.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(c *Config)
		want string
	}{
		{"/in/report.pdf", func(c *Config) {}, "GET http://localhost/report.pdf HTTP/1.1\r\n"},
		{"", func(c *Config) {}, "GET http://localhost/object HTTP/1.1\r\n"},
		{"", func(c *Config) { c.FileName = "mail.eml" }, "GET http://localhost/mail.eml HTTP/1.1\r\n"},
		{"ä b?.exe", func(c *Config) {}, "GET http://localhost/%C3%A4%20b%3F.exe HTTP/1.1\r\n"},
		{"a.exe", func(c *Config) { c.URL = "http://mail.example.org/up/{name}?n={name}"; c.Method = methodReqmod },
			"POST http://mail.example.org/up/a.exe?n=a.exe HTTP/1.1\r\nHost: mail.example.org\r\n"},
		{"a.exe", func(c *Config) { c.FileNameHeader = "X-scan-file-name" }, "Allow: 204\r\nX-scan-file-name: a.exe\r\nEncapsulated:"},
		{"ä.exe", func(c *Config) { c.FileNameHeader = "X-scan-file-name" }, "X-scan-file-name: %C3%A4.exe\r\n"},
		{"a.exe", func(c *Config) { c.FileNameHeader = "Content-Disposition" },
			"octet-stream\r\nContent-Disposition: attachment; filename=\"a.exe\"\r\nContent-Length:"},
		{"ä.exe", func(c *Config) { c.FileNameHeader, c.Method = "content-disposition", methodReqmod },
			"content-disposition: attachment; filename=\"_.exe\"; filename*=UTF-8''%C3%A4.exe\r\n"},
	} {
		f := startFake(t, map[string]service{"avscan": marked})
		b := open(t, f.address(), tt.set)
		c := backendtest.WithName(backendtest.Bytes(t, []byte(hello)), tt.name)
		if got := checked(t, b, c); got.category != backends.OK {
			t.Fatal(got) // the fake has checked the offsets
		}
		q, err := b.newRequest(options{preview: -1}, c)
		if err != nil || !strings.Contains(q.head, tt.want) {
			t.Errorf("%q: %q, %v, want %q", tt.name, q.head, err, tt.want)
		}
	}
}
