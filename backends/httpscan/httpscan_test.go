package httpscan

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func open(tb testing.TB, address string, change func(*Config)) *Backend {
	tb.Helper()
	config := NewConfig().(*Config)
	if change != nil {
		change(config)
	}
	b, err := config.Open(address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.(io.Closer).Close() })
	return b.(*Backend)
}

func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

func api(c *Config) { c.Flavour = flavourRestAPI }

func raw(c *Config) { c.Request = requestRaw }

// custom is a service that is all configuration.
func custom(c *Config) {
	c.Flavour, c.Method, c.Path, c.Request = flavourCustom, "PUT", "/x?y=z", requestRaw
	c.Statuses = map[string]string{"200": "ok", "250": "body", "403": "virus", "410": "suspicious", "411": "encrypted", "412": "partial", "500": "swerr", "503": "cannot-execute", "504": "interrupted"}
	c.AnswerRegex, c.Answers = `^result=(\w+)`, map[string]string{"clean": "ok", "bad": "virus", "locked": "encrypted", "broken": "swerr"}
	c.NameRegex = `name=([^;\n]+)`
}

func say(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }

func answer(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func TestConformance(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, tt := range []struct {
		name, network string
		change        func(*Config)
	}{
		{"clamav-rest", "tcp", nil},
		{"clamav-rest raw", "unix", raw},
		{"clamav-rest-api", "unix", api},
		{"kept", "tcp", func(c *Config) { c.KeepAlive = true }},
	} {
		g.Run(tt.name, func(t *testing.T) {
			h := rest(t)
			if tt.name == "clamav-rest-api" {
				h = restAPI(t)
			}
			address := start(t, tt.network, h)
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, address, tt.change) }, backendtest.Options{
				Encrypted: true, Parallel: 30, Network: tt.network,
				Dial: func(t *testing.T, address string) backends.Backend { return open(t, address, tt.change) },
				Half: []backendtest.Words{
					backendtest.Composed("HTTP/1.1 200 OK\r\n"),
					backendtest.Composed("HTTP/1.1 200 OK\r\n\r\n"),
					backendtest.Composed("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + `[{"Status":"OK"`),
				},
			})
		})
	}
}

func TestMarked(t *testing.T) {
	for name, b := range map[string]*Backend{
		"rest": open(t, start(t, "tcp", rest(t)), nil), "raw": open(t, start(t, "tcp", rest(t)), raw), "api": open(t, start(t, "tcp", restAPI(t)), api),
	} {
		for mark, want := range map[string]backends.Category{
			"nothing": backends.OK, string(backendtest.EICAR()): backends.Virus, backendtest.MarkSuspicious: backends.Suspicious,
			backendtest.MarkEncrypted: backends.Encrypted, backendtest.MarkPartial: backends.Partial, backendtest.MarkError: backends.SWErr,
		} {
			r, err := b.Scan(testContext(t), backendtest.Bytes(t, []byte("some "+mark+" bytes")))
			if err != nil {
				r.Category = backends.CategoryOf(err)
			}
			if n := names[want]; r.Category != want || n != "" && (len(r.Findings) != 1 || r.Findings[0].Name != n) {
				t.Errorf("%s, %s: %+v, %v", name, mark, r, err)
			}
		}
	}
}

// TestEarly: what is said before the whole content is there counts only if it found
// something, or if it refuses the content.
func TestEarly(t *testing.T) {
	for _, tt := range []outcome{
		{200, clean, backends.SWErr, ""},
		{406, `[{"Status":"FOUND","Description":"A"}]`, backends.Virus, "A"},
		{406, `[{"Status":"FOUND","Description":"Heuristics.Encrypted.Zip"}]`, backends.SWErr, ""},
		{413, ``, backends.Partial, ""},
		{412, `[{"Description":"INSTREAM size limit exceeded. ERROR"}]`, backends.Partial, ""},
		{400, ``, backends.SWErr, ""},
	} {
		t.Run(fmt.Sprint(tt.status, tt.body), func(t *testing.T) {
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Discard(1), say(answer(tt.status, tt.body)), backendtest.Hang()})
			r, err := open(t, d.Address(), nil).Scan(testContext(t), backendtest.LargeObject(t, 16<<20))
			tt.check(t, r, err)
		})
	}
}

// TestAnswerEndsAtEveryByte: no beginning of an answer is an ok.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	for _, tt := range []struct {
		text   string
		change func(*Config)
	}{
		{answer(200, clean), nil},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{O\r\n8\r\nK   200}\r\n0\r\n\r\n", raw},
		{answer(200, apiClean), api},
		{answer(250, "result=clean"), custom},
	} {
		for n := range len(tt.text) {
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(tt.text[:n]), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), tt.change).Scan(testContext(t), backendtest.Bytes(t, []byte("x")))
			if err == nil || d.Connections() != 1 {
				t.Errorf("%q: got %+v, %v", tt.text[:n], r, err)
			}
		}
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), backendtest.SendSplit(backendtest.Composed(tt.text), 1), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := open(t, d.Address(), tt.change).Scan(testContext(t), backendtest.Bytes(t, []byte("x"))); err != nil || r.Category != backends.OK {
			t.Errorf("byte by byte: %+v, %v", r, err)
		}
	}
}

// TestUnmeasured: an answer whose length was not announced may be cut off, and is
// never ok, encrypted or partial.
func TestUnmeasured(t *testing.T) {
	for _, tt := range []struct {
		answer string
		change func(*Config)
		want   backends.Category // empty: none
	}{
		{"HTTP/1.0 200 OK\r\n\r\nCle", custom, ""},
		{"HTTP/1.0 200 OK\n\n" + clean, nil, ""},
		{"HTTP/1.0 250 X\r\n\r\nresult=clean\n", custom, ""},
		{"HTTP/1.0 411 X\r\n\r\nx", custom, backends.Encrypted},
		{"HTTP/1.0 406 X\r\n\r\n" + `[{"Status":"FOUND","Description":"A"}]`, nil, backends.Virus},
	} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(tt.answer), backendtest.CloseWrite(), backendtest.Drain()})
		r, err := open(t, d.Address(), tt.change).Scan(testContext(t), backendtest.Bytes(t, []byte("x")))
		if r.Category != tt.want || (err == nil) != (tt.want == backends.Virus) {
			t.Errorf("%q: got %+v, %v", tt.answer, r, err)
		}
	}
}

// TestRedirect: a redirect is not followed, and said.
func TestRedirect(t *testing.T) {
	other := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(answer(200, clean))})
	to := "http://" + strings.TrimPrefix(other.Address(), "tcp:") + "/v2/scan"
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say("HTTP/1.1 307 Temporary Redirect\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n"), backendtest.Drain()})
	r, err := open(t, d.Address(), nil).Scan(testContext(t), backendtest.Bytes(t, []byte("x")))
	if backends.CategoryOf(err) != backends.SWErr || err == nil || !strings.Contains(err.Error(), to) || other.Connections() != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestProxyEnvironment: a proxy of the environment is not asked.
func TestProxyEnvironment(t *testing.T) {
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	if r, err := open(t, start(t, "tcp", rest(t)), nil).Scan(testContext(t), backendtest.CleanObject(t)); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestRequests are the requests, byte for byte.
func TestRequests(t *testing.T) {
	send := func(change func(*Config)) (host, got string) {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(answer(200, clean)), backendtest.Drain()})
		if _, err := open(t, d.Address(), change).Scan(testContext(t), backendtest.Bytes(t, []byte("abc"))); err != nil {
			t.Error(err)
		}
		return strings.TrimPrefix(d.Address(), "tcp:"), string(d.Received(0))
	}
	host, got := send(custom)
	if want := "PUT /x?y=z HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	host, got = send(func(c *Config) {
		c.Headers = map[string]string{"X-Api-Key": "k"}
		c.Field, c.FileName, c.ContentType = "upload[]", "mail.eml", "message/rfc822"
	})
	_, rest, _ := strings.Cut(got, "boundary=")
	boundary, _, _ := strings.Cut(rest, "\r\n")
	body := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"upload[]\"; filename=\"mail.eml\"\r\nContent-Type: message/rfc822\r\n\r\nabc\r\n--" + boundary + "--\r\n"
	want := "POST /v2/scan HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=" + boundary + "\r\nX-Api-Key: k\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
	if got != want || len(boundary) < 30 {
		t.Errorf("sent %q, want %q", got, want)
	}
	if _, again := send(nil); strings.Contains(again, boundary) {
		t.Error("the same boundary again")
	}
}

// named is an object with the name of a file.
type named struct {
	backends.Object
	name string
}

func (n named) Name() string { return n.name }

// TestNames: the request carries the name of the file, escaped.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, form, header string }{
		{"/srv/in/report.pdf", `filename="report.pdf"`, "X-Filename: report.pdf\r\n"},
		{`a" b` + "\r\nX: y.exe", `filename="a%22 b__X: y.exe"`, "X-Filename: a%22%20b__X:%20y.exe\r\n"},
		{"ä.zip", `filename="ä.zip"`, "X-Filename: %C3%A4.zip\r\n"},
		{"", `filename="object"`, "X-Filename: object\r\n"},
	} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(answer(200, clean)), backendtest.Drain()})
		b := open(t, d.Address(), func(c *Config) { c.FileNameHeader = "X-Filename" })
		if _, err := b.Scan(testContext(t), named{backendtest.CleanObject(t), tt.name}); err != nil {
			t.Error(err)
		}
		if got := string(d.Received(0)); !strings.Contains(got, tt.form+"\r\n") || !strings.Contains(got, tt.header) {
			t.Errorf("%q: sent %q", tt.name, got)
		}
	}
}

func TestVersion(t *testing.T) {
	made := time.Date(2026, 11, 23, 8, 0, 0, 0, time.Local)
	for name, b := range map[string]*Backend{"rest": open(t, start(t, "tcp", rest(t)), nil), "api": open(t, start(t, "unix", restAPI(t)), api)} {
		v, err := b.Version(testContext(t))
		if err != nil || v.Text != "ClamAV 1.4.2/27500/Mon Nov 23 08:00:00 2026" || v.Engine != "ClamAV 1.4.2" || v.Database != "27500" || !v.DatabaseTime.Equal(made) {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
	}
	for body, want := range map[string]string{
		`{ "Clamav": "0.103.8" }`: "ClamAV 0.103.8", `{}`: "", `{"Op":"dial"}`: "", `not json`: "", `{"Clamav":["1","2"]}`: "", `{"Clamav":""}`: "",
		`{"Clamav":"` + strings.Repeat("1", 300) + `"}`: "",
	} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(answer(200, body)), backendtest.Drain()})
		if v, err := open(t, d.Address(), nil).Version(testContext(t)); v.Text != want || (err == nil) != (want != "") {
			t.Errorf("%.50q: got %+v, %v", body, v, err)
		}
	}
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(answer(200, " Scanner 7 \n")), backendtest.Drain()})
	plain := open(t, d.Address(), func(c *Config) { custom(c); c.VersionPath = "/about" })
	if v, err := plain.Version(testContext(t)); err != nil || v.Text != "Scanner 7" {
		t.Errorf("got %+v, %v", v, err)
	}
	if v, err := open(t, d.Address(), custom).Version(testContext(t)); err == nil {
		t.Errorf("nothing is configured: got %+v", v)
	}
	d = backendtest.StartDaemon(t, "tcp", backendtest.Script{request(), say(answer(500, "x")), backendtest.Drain()})
	if v, err := open(t, d.Address(), nil).Version(testContext(t)); err == nil {
		t.Errorf("got %+v", v)
	}
}

func TestConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"clamav-rest, clamav-rest-api, custom":            func(c *Config) { c.Flavour = "x" },
		`request: "x"`:                                    func(c *Config) { c.Request = "x" },
		`method: must be "POST" or "PUT", not "GET"`:      func(c *Config) { c.Method = "GET" },
		`method: must be "POST" or "PUT", not "POST\r\n"`: func(c *Config) { c.Method = "POST\r\n" },
		`path: "a b"`:                        func(c *Config) { c.Path = "a b" },
		`version_path`:                       func(c *Config) { c.VersionPath = "x" },
		`field: "a\"b"`:                      func(c *Config) { c.Field = `a"b` },
		`file_name: "a\r\nb"`:                func(c *Config) { c.FileName = "a\r\nb" },
		`content_type: "x"`:                  func(c *Config) { c.ContentType = "x" },
		`"99" is not`:                        func(c *Config) { c.Statuses = map[string]string{"99": "ok"} },
		`"2xx" is not`:                       func(c *Config) { c.Statuses = map[string]string{"2xx": "ok"} },
		`"100" is not`:                       func(c *Config) { c.Statuses = map[string]string{"100": "ok"} },
		`statuses.200: "fine"`:               func(c *Config) { c.Statuses = map[string]string{"200": "fine"} },
		`statuses.302: must not be "ok"`:     func(c *Config) { c.Statuses = map[string]string{"302": "ok"} },
		`statuses.400: must not be "ok"`:     func(c *Config) { c.Statuses = map[string]string{"400": "ok"} },
		`statuses.503: must not be "ok"`:     func(c *Config) { c.Statuses = map[string]string{"503": "ok"} },
		`file_name_header: "a b"`:            func(c *Config) { c.FileNameHeader = "a b" },
		`file_name_header: "Content-Length"`: func(c *Config) { c.FileNameHeader = "Content-Length" },
		"statuses: is missing":               func(c *Config) { c.Flavour = flavourCustom },
		`"body" needs answer_path`:           func(c *Config) { c.Flavour, c.Statuses = flavourCustom, map[string]string{"200": "body"} },
		`answers.A: "x"`:                     func(c *Config) { c.Answers = map[string]string{"A": "x"} },
		"answer_regex":                       func(c *Config) { c.AnswerRegex = "(" },
		"name_regex: only one of":            func(c *Config) { c.NamePath, c.NameRegex = "a", "b" },
	} {
		c := NewConfig().(*Config)
		change(c)
		if _, err := c.Open("tcp:127.0.0.1:9000"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if _, err := NewConfig().Open(""); err == nil {
		t.Error("no address")
	}
	// The tables of the package are nobody's to change.
	before := maps.Clone(restStatuses)
	open(t, "tcp:127.0.0.1:1", func(c *Config) { c.Statuses = map[string]string{"200": "ok", "299": "virus"} })
	if !maps.Equal(before, restStatuses) {
		t.Errorf("changed to %v", restStatuses)
	}
	for name, s := range flavours {
		for status, said := range s.statuses {
			if said != fromBody && !backends.Category(said).Valid() {
				t.Errorf("%s: %d is %q", name, status, said)
			}
		}
	}
}
