package kse

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
)

func open(tb testing.TB, address string, change func(*Config)) *Backend {
	tb.Helper()
	return backendtest.Open(tb, NewConfig, address, change).(*Backend)
}

func three(c *Config) { c.Protocol = 3 }

func say(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }

// plain returns an answer with a body.
func plain(body string) string {
	return fmt.Sprintf("HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nServer: KAVHTTPD/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// until returns an answer whose body ends with the connection.
func until(body string) string { return "HTTP/1.0 200 OK\r\nServer: KAVHTTPD\r\n\r\n" + body }

func TestConformance(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, tt := range []struct {
		name, network string
		change        func(*Config)
	}{
		{"1 tcp", "tcp", nil},
		{"1 unix", "unix", nil},
		{"3 tcp", "tcp", three},
		{"3 unix", "unix", three},
		{"1 file", "tcp", func(c *Config) { c.Transport = transportFile }},
		{"3 file", "unix", func(c *Config) { c.Protocol, c.Transport = 3, transportFile }},
	} {
		g.Run(tt.name, func(t *testing.T) {
			address := start(t, tt.network)
			o := backendtest.Options{
				Encrypted: true, Parallel: 20, Network: tt.network,
				Half: []backendtest.Words{
					backendtest.Composed("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nCLEAN\r"),
					backendtest.Composed("HTTP/1.0 200 OK\r\n\r\nCLEAN"),
					backendtest.Composed("HTTP/1.0 200 OK\r\n"),
					backendtest.Composed(`HTTP/1.0 200 OK` + "\r\n\r\n" + `{"object": "memory", "scanResult": "CLEAN"`),
				},
			}
			if strings.HasPrefix(tt.name, "3") {
				o.Large = 4 << 20 // base64 and JSON are slow in the fake
			}
			if !strings.Contains(tt.name, "file") { // with a file the object is not sent
				o.Dial = func(t *testing.T, address string) backends.Backend { return open(t, address, tt.change) }
			} else {
				o.Large = 1 << 20
			}
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, address, tt.change) }, o)
		})
	}
}

// TestMarked checks every category with both protocols.
func TestMarked(t *testing.T) {
	for _, change := range []func(*Config){nil, three} {
		backendtest.CheckMarked(t, open(t, start(t, "tcp"), change), nil)
	}
}

// TestAnswerEndsAtEveryByte checks that an answer cut off after any byte is never OK.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	for _, tt := range []struct {
		answer string
		change func(*Config)
	}{
		{plain("CLEAN\r\n"), nil},
		{until("CLEAN\n"), nil},
		{until("CLEAN AND CONTAINS OFFICE MACRO\r\n"), nil},
		{plain(`{"object":"memory","scanResult":"CLEAN"}`), three},
	} {
		for n := range len(tt.answer) {
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(tt.answer[:n]), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), tt.change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
			if err == nil && r.Category != backends.Suspicious || d.Connections() != 1 {
				t.Errorf("%q: got %+v, %v", tt.answer[:n], r, err)
			}
		}
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), backendtest.SendSplit(backendtest.Composed(tt.answer), 1), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := open(t, d.Address(), tt.change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x"))); err != nil {
			t.Errorf("byte by byte: %+v, %v", r, err)
		}
	}
}

// TestEarly checks that an answer before the end of the object is never OK.
func TestEarly(t *testing.T) {
	for body, want := range map[string]backends.Category{
		"CLEAN\r\n": backends.SWErr, "NON_SCANNED (PASSWORD PROTECTED)\r\n": backends.SWErr, "NON_SCANNED (CORRUPTED)\r\n": backends.SWErr,
		"DETECT A\r\n": backends.Virus, "CLEAN AND CONTAINS OFFICE MACRO\r\n": backends.Suspicious,
	} {
		t.Run(body, func(t *testing.T) {
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Discard(1), say(plain(body)), backendtest.Hang()})
			r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), backendtest.LargeObject(t, 16<<20))
			if err != nil && r.Category == "" {
				r.Category = backends.CategoryOf(err)
			}
			if r.Category != want {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestRequest checks the whole request of protocol 1.
func TestRequest(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(plain("CLEAN\r\n")), backendtest.Drain()})
	b := open(t, d.Address(), func(c *Config) {
		c.ScanTimeout = 5 * time.Second
		c.Headers = map[string]string{"Authorization": "Bearer t"}
	})
	if _, err := b.Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("abc"))); err != nil {
		t.Fatal(err)
	}
	want := "POST /scanmemory HTTP/1.0\r\nHost: " + strings.TrimPrefix(d.Address(), "tcp:") + "\r\nConnection: close\r\n" +
		"X-KAV-ProtocolVersion: 1\r\nX-KAV-Timeout: 5000\r\nAuthorization: Bearer t\r\nContent-Length: 3\r\n\r\nabc"
	if got := string(d.Received(0)); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func TestHostilePath(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Drain()})
	for _, protocol := range []int{1, 3} {
		b := open(t, d.Address(), func(c *Config) { c.Transport, c.Protocol = transportFile, protocol })
		for _, path := range []string{"/a b", "/a\"b", "/a\r\nb", "relative", "", "/missing"} {
			if r, err := b.Scan(backendtest.Context(t), backendtest.AtPath(backendtest.CleanObject(t), path)); backends.CategoryOf(err) != backends.SWErr {
				t.Errorf("%q: got %+v, %v", path, r, err)
			}
		}
	}
	if n := d.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestVersion(t *testing.T) {
	for _, tt := range []struct {
		change               func(*Config)
		text, engine, number string
		made                 time.Time
	}{
		{nil, "Kaspersky Scan Engine, KAV SDK 8.8.0.80/9.02.2014 15:03 GMT", "Kaspersky Scan Engine, KAV SDK 8.8.0.80", "9.02.2014 15:03 GMT", time.Date(2014, 2, 9, 15, 3, 0, 0, time.UTC)},
		{three, "Kaspersky Scan Engine, KAV SDK 8.8.2.58/30.01.2019 15:03 GMT", "Kaspersky Scan Engine, KAV SDK 8.8.2.58", "30.01.2019 15:03 GMT", time.Date(2019, 1, 30, 15, 3, 0, 0, time.UTC)},
	} {
		v, err := open(t, start(t, "tcp"), tt.change).Version(backendtest.Context(t))
		if err != nil || v.Text != tt.text || v.Engine != tt.engine || v.Database != tt.number || !v.DatabaseTime.Equal(tt.made) {
			t.Errorf("got %+v, %v", v, err)
		}
	}
	v, err := open(t, start(t, "tcp"), func(c *Config) { c.Protocol, c.API = 3, "v3.1" }).Version(backendtest.Context(t))
	if err == nil || !strings.Contains(err.Error(), "api") {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "tcp:127.0.0.1:9999", "tcp:127.0.0.1:9999", map[string]func(*Config){
		"protocol: must be 1 or 3, not 2": func(c *Config) { c.Protocol = 2 },
		`api: "v4"`:                       func(c *Config) { c.API = "v4" },
		`transport: "x"`:                  func(c *Config) { c.Transport = "x" },
		"scan_timeout":                    func(c *Config) { c.ScanTimeout = -1 },
		"connect_timeout":                 func(c *Config) { c.ConnectTimeout = 0 },
	})
	c := Config{}
	if d := c.timeout(context.Background()); d != time.Minute {
		t.Errorf("without a deadline: %v", d)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	if d := c.timeout(ctx); d != time.Millisecond {
		t.Errorf("past deadline: %v", d)
	}
}

// FuzzAnswer checks that every answer is a valid result or a failure, and that only CLEAN
// is OK.
func FuzzAnswer(f *testing.F) {
	for _, o := range append(texts(), objects()...) {
		f.Add(o.reply)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for name, parse := range map[string]func(*backends.Answer){
			"1": func(a *backends.Answer) { addText(a, body) },
			"3": func(a *backends.Answer) { addJSON(a, []byte(body), "memory") },
		} {
			var a backends.Answer
			parse(&a)
			r, err := a.Result()
			if err != nil && !backends.CategoryOf(err).IsFailure() {
				t.Errorf("%s %q: %v", name, body, err)
			}
			if r.Category == "" {
				if err == nil {
					t.Errorf("%s %q: neither a result nor a failure", name, body)
				}
				continue
			}
			if problem := backendtest.Check(r); problem != "" {
				t.Errorf("%s %q: %+v: %s", name, body, r, problem)
			}
			if r.Category == backends.OK && (err != nil || !strings.Contains(body, "CLEAN") && !strings.Contains(body, `\u`)) {
				t.Errorf("%s %q is ok, %v", name, body, err)
			}
		}
	})
}
