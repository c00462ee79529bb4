package icap

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

// TestRequest compares requests with the recorded dialogues.
func TestRequest(t *testing.T) {
	f := startFake(t, map[string]service{"avscan": marked})
	for _, tt := range []struct {
		name string
		set  func(c *Config)
		want string
	}{
		{"respmod", func(c *Config) {}, "RESPMOD icap://HOST/avscan ICAP/1.0\r\nHost: HOST\r\nUser-Agent: polyclam\r\nConnection: close\r\nAllow: 204\r\n" +
			"Encapsulated: req-hdr=0, res-hdr=57, res-body=136\r\n\r\nGET http://localhost/object HTTP/1.1\r\nHost: localhost\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 39\r\n\r\n"},
		{"reqmod", func(c *Config) { c.Method = methodReqmod; c.ContentType = "text/plain" }, "REQMOD icap://HOST/avscan ICAP/1.0\r\nHost: HOST\r\nUser-Agent: polyclam\r\nConnection: close\r\nAllow: 204\r\n" +
			"Encapsulated: req-hdr=0, req-body=104\r\n\r\nPOST http://localhost/object HTTP/1.1\r\nHost: localhost\r\n" +
			"Content-Type: text/plain\r\nContent-Length: 39\r\n\r\n"},
		{"bare, headers", func(c *Config) {
			c.HTTPHeaders = false
			c.Headers = map[string]string{"X-Client-IP": "192.0.2.1", "Authorization": "Basic eDp5"}
		}, "RESPMOD icap://HOST/avscan ICAP/1.0\r\nHost: HOST\r\nUser-Agent: polyclam\r\nConnection: close\r\nAuthorization: Basic eDp5\r\nX-Client-IP: 192.0.2.1\r\nAllow: 204\r\n" +
			"Encapsulated: res-body=0\r\n\r\n"},
		{"preview, kept", func(c *Config) { c.Preview, c.KeepAlive = true, true }, "RESPMOD icap://HOST/avscan ICAP/1.0\r\nHost: HOST\r\nUser-Agent: polyclam\r\nAllow: 204\r\nPreview: 1024\r\n" +
			"Encapsulated: req-hdr=0, res-hdr=57, res-body=136\r\n\r\nGET http://localhost/object HTTP/1.1\r\nHost: localhost\r\n\r\n" +
			"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 39\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, f.address(), tt.set)
			// The fake has its own parser, which reads the request by its offsets.
			if got := checked(t, b, backendtest.Bytes(t, []byte(hello))); got.category != backends.OK {
				t.Fatal(got)
			}
			o, err := b.current(backendtest.Context(t))
			if err != nil {
				t.Fatal(err)
			}
			q, err := b.newRequest(o, backendtest.Bytes(t, []byte(hello)))
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.ReplaceAll(tt.want, "HOST", strings.TrimPrefix(f.address(), "tcp:")); q.head != want {
				t.Errorf("got\n%q, want\n%q", q.head, want)
			}
		})
	}
}

// TestObject sends objects of about the size of a chunk.
func TestObject(t *testing.T) {
	var body atomic.Pointer[[]byte]
	f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
		q.readBody()
		body.Store(&q.body)
		_, err := io.WriteString(nc, recorded204)
		return err == nil
	}})
	b := reuses(open(t, f.address(), keeps))
	for _, size := range []int{0, 1, 15, 16, 17, 64<<10 - 300, 64<<10 - 12, 64 << 10, 64<<10 + 1, 200_007, 1 << 20} {
		o := backendtest.LargeObject(t, size)
		if got := checked(t, b, o); got.category != backends.OK {
			t.Fatalf("%d bytes: %v", size, got)
		}
		if got := *body.Load(); string(got) != string(o.Data()) {
			t.Fatalf("%d bytes: received %d other bytes", size, len(got))
		}
	}
	if n := f.connections(); n != 1 {
		t.Errorf("%d connections for consecutive scans", n)
	}
}

// TestKeepAlive checks that connections are reused, and replaced once if the server has
// closed them.
func TestKeepAlive(t *testing.T) {
	closesAfter := func(n int) service {
		return func(nc io.Writer, q *received) bool { return marked(nc, q) && q.nth < n }
	}
	silently := func(nc io.Writer, q *received) bool {
		// Closes at the second request.
		return q.nth < 2 && marked(nc, q)
	}
	for _, tt := range []struct {
		name    string
		service service
		set     func(c *Config)
		want    int // connections for OPTIONS and 5 scans
	}{
		{"kept", marked, func(c *Config) {}, 1},
		{"off", marked, func(c *Config) { c.KeepAlive = false }, 6},
		{"server closes after 2 requests", closesAfter(2), func(c *Config) {}, 3},
		{"server says close", says("ICAP/1.0 204 OK\r\nConnection: Close\r\n\r\n"), func(c *Config) {}, 5},
		{"wrong offsets", says(strings.Replace(recordedFound, "res-body=161", "res-body=160", 1)), func(c *Config) {}, 5},
		{"page with a virus is not read", says(recordedFound), func(c *Config) {}, 5},
		{"page without one is read", says(found("Heuristics.Encrypted.Zip")), func(c *Config) {}, 1},
		{"echo is read", says(echo("", whole)), func(c *Config) {}, 1},
		{"timeout on an old connection", func(nc io.Writer, q *received) bool {
			if q.nth > 2 {
				q.readBody()
				io.WriteString(nc, "ICAP/1.0 408 Request timeout\r\nConnection: close\r\n\r\n")
				return false
			}
			return marked(nc, q)
		}, func(c *Config) {}, 0},
		{"dead at reuse", silently, func(c *Config) {}, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			f := startFake(t, map[string]service{"avscan": tt.service})
			b := reuses(open(t, f.address(), keeps, tt.set))
			for range 5 {
				if got := checked(t, b, backendtest.Bytes(t, []byte(hello))); got.category.IsFailure() {
					t.Fatal(got)
				}
			}
			if n := f.connections(); tt.want != 0 && n != tt.want {
				t.Errorf("%d connections, want %d", n, tt.want)
			}
			b.Close()
			b.Close()
			if got := checked(t, b, backendtest.Bytes(t, []byte(hello))); got.category.IsFailure() {
				t.Errorf("after Close: %v", got)
			}
		})
	}
}

// TestReplacedOnce checks that a scan tries only one new connection.
func TestReplacedOnce(t *testing.T) {
	var scans atomic.Int32
	f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
		scans.Add(1)
		q.readBody()
		return false
	}})
	b := reuses(open(t, f.address(), keeps))
	if got := checked(t, b, backendtest.Bytes(t, []byte(hello))); got.category != backends.CannotExecute {
		t.Errorf("got %v", got)
	}
	if n := scans.Load(); n != 2 {
		t.Errorf("%d scans, want 2: on the connection of OPTIONS and on a new one", n)
	}
}

// without204 are the options of a server without 204.
var without204 = strings.Replace(recordedOptions, "Allow: 204\r\n", "", 1)

func TestEchoIsOK(t *testing.T) {
	services := map[string]service{"options": says(without204), "avscan": says(echo("", whole)), "redirect": says(page("", "302 Found", ""))}
	f := startFake(t, services)
	isOK := func(c *Config) { c.EchoIs = echoOK }
	b := open(t, f.address(), isOK)
	if got := checked(t, b, backendtest.Bytes(t, []byte(hello))); got.category != backends.OK {
		t.Errorf("got %v", got)
	}
	if got := checked(t, b, backendtest.Bytes(t, []byte(strings.ToUpper(hello)))); got.category != backends.Suspicious {
		t.Errorf("another object: got %v", got)
	}
	b = open(t, f.address(), on("redirect"), func(c *Config) { c.RedirectIsThreat = false })
	if got := checked(t, b, backendtest.Bytes(t, []byte(hello))); got.category != backends.SWErr {
		t.Errorf("redirect: got %v", got)
	}
	// A server that supports 204 but echoes has passed the object unscanned.
	services["options"] = says(recordedOptions)
	f = startFake(t, services)
	if got := checked(t, open(t, f.address(), isOK), backendtest.Bytes(t, []byte(hello))); got.category != backends.Partial {
		t.Errorf("a server with 204: got %v", got)
	}
}

// TestUnix scans over a Unix socket.
func TestUnix(t *testing.T) {
	f := serveFake(t, testkit.Listen(t, "unix"), map[string]service{"avscan": marked})
	b := open(t, f.address())
	if got := checked(t, b, backendtest.Bytes(t, testfile.EICAR())); got.category != backends.Virus {
		t.Errorf("got %v", got)
	}
}
