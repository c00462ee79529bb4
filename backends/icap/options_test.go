package icap

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestOptionsTTL checks that OPTIONS are requested once, and again when they have expired
// or the service has disappeared.
func TestOptionsTTL(t *testing.T) {
	var gone atomic.Bool
	f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
		if gone.Load() {
			return says(recorded404)(nc, q)
		}
		return marked(nc, q)
	}})
	b := open(t, f.address())
	var clock atomic.Int64
	start := time.Now()
	b.now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
	scan := func(want backends.Category) {
		t.Helper()
		if got := checked(t, b, backendtest.Bytes(t, []byte(hello))); got.category != want {
			t.Fatal(got)
		}
	}
	wantAsked := func(n int) {
		t.Helper()
		if got := f.count("OPTIONS"); got != n {
			t.Fatalf("%d OPTIONS requests, want %d", got, n)
		}
	}
	for range 3 {
		scan(backends.OK)
	}
	wantAsked(1)
	clock.Store(int64(3599 * time.Second))
	scan(backends.OK)
	wantAsked(1)
	clock.Store(int64(3600 * time.Second))
	scan(backends.OK)
	scan(backends.OK)
	wantAsked(2)
	gone.Store(true)
	scan(backends.SWErr)
	gone.Store(false)
	scan(backends.OK)
	wantAsked(3)
}

func TestVersion(t *testing.T) {
	var answer atomic.Value
	answer.Store(strings.Replace(recordedOptions, "Allow:", "Max-Connections: 100\r\nAllow:", 1))
	f := startFake(t, map[string]service{"options": func(nc io.Writer, q *received) bool {
		return says(answer.Load().(string))(nc, q)
	}})
	b := open(t, f.address())
	if n := b.MaxConnections(); n != 0 {
		t.Errorf("%d connections before OPTIONS", n)
	}
	for _, tt := range []struct{ answer, text, database string }{
		{answer.Load().(string), "C-ICAP/0.5.10 server - Antivirus service", "CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA"},
		{"ICAP/1.0 200 OK\r\nserver: ESET\r\nistag: W3E4\r\n\r\n", "ESET", "W3E4"},
		{"ICAP/1.0 200 OK\r\n\r\n", "", ""},
		{"ICAP/1.0 200 OK\r\nService: " + strings.Repeat("x", 1000) + "\r\n\r\n", strings.Repeat("x", maxText), ""},
	} {
		answer.Store(tt.answer)
		v, err := b.Version(backendtest.Context(t))
		if err != nil || v.Text != tt.text || v.Database != tt.database {
			t.Errorf("%.200q: got %+v, %v", tt.answer, v, err)
		}
		if tt.database != "" && tt.database != "W3E4" && b.MaxConnections() != 100 {
			t.Errorf("%d connections", b.MaxConnections())
		}
	}
}

// TestOptionsAnswers checks a scan after each answer to OPTIONS.
func TestOptionsAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, options string
		method        string // of the following scan; empty: there is none
		want          backends.Category
	}{
		{"respmod first", recordedOptions, "RESPMOD", backends.OK},
		{"reqmod only", strings.Replace(recordedOptions, "RESPMOD, REQMOD", "reqmod", 1), "REQMOD", backends.OK},
		{"neither", strings.Replace(recordedOptions, "RESPMOD, REQMOD", "FOO", 1), "", backends.SWErr},
		{"no fields", "ICAP/1.0 200 OK\r\n\r\n", "RESPMOD", backends.OK},
		{"204", "ICAP/1.0 204 OK\r\nMethods: REQMOD\r\n\r\n", "REQMOD", backends.OK},
		{"with a body", "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nEncapsulated: opt-body=0\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "RESPMOD", backends.OK},
		{"closes", "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nConnection: close\r\n\r\n", "RESPMOD", backends.OK},
		{"not allowed", "ICAP/1.0 405 Method not allowed\r\n\r\n", "RESPMOD", backends.OK},
		{"not implemented", "ICAP/1.0 501 Not implemented\r\nConnection: close\r\n\r\n", "RESPMOD", backends.OK},
		{"nonsense", "ICAP/1.0 200 OK\r\nPreview: -5\r\nOptions-TTL: never\r\nMax-Connections: 1e9\r\n\r\n", "RESPMOD", backends.OK},
		{"no service", recorded404, "", backends.SWErr},
		{"busy", "ICAP/1.0 503 Busy\r\nConnection: close\r\n\r\n", "", backends.CannotExecute},
		{"too large", "ICAP/1.0 413 Too large\r\n\r\n", "", backends.SWErr},
		{"timeout", "ICAP/1.0 408 Timeout\r\nConnection: close\r\n\r\n", "", backends.Interrupted},
		{"continue", "ICAP/1.0 100 Continue\r\n\r\n", "", backends.SWErr},
		{"redirect", "ICAP/1.0 302 Found\r\n\r\n", "", backends.SWErr},
		{"garbage", "stream: OK\x00\r\n\r\n", "", backends.SWErr},
		{"partial", "ICAP/1.0 200 OK\r\nConnection: close\r\n", "", backends.SWErr},
		{"nothing", "", "", backends.CannotExecute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			options := says(tt.options)
			if tt.options == "" {
				options = func(io.Writer, *received) bool { return false }
			}
			f := startFake(t, map[string]service{"options": options, "avscan": marked})
			if got := checked(t, open(t, f.address()), backendtest.Bytes(t, []byte(hello))); got.category != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for _, method := range []string{"RESPMOD", "REQMOD"} {
				if n := f.count(method); (n > 0) != (method == tt.method) {
					t.Errorf("%d times %s", n, method)
				}
			}
		})
	}
}

func TestParseOptionsLimits(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        options
	}{
		{"options-ttl", "0", options{preview: -1, ttl: minTTL}},
		{"options-ttl", "2147483647", options{preview: -1, ttl: maxTTL}},
		{"options-ttl", "99999999999", options{preview: -1, ttl: defaultTTL}},
		{"preview", "9223372036854775807", options{preview: maxPreview, ttl: defaultTTL}},
		{"preview", "0", options{preview: 0, ttl: defaultTTL}},
		{"max-connections", "-1", options{preview: -1, ttl: defaultTTL}},
		{"max-connections", "7", options{preview: -1, ttl: defaultTTL, maxConnections: 7}},
	} {
		got := parseOptions(&head{fields: []field{{tt.name, tt.value}}})
		if got.preview != tt.want.preview || got.ttl != tt.want.ttl || got.maxConnections != tt.want.maxConnections {
			t.Errorf("%s: %s: got %+v", tt.name, tt.value, got)
		}
	}
}
