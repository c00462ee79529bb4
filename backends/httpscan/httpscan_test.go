package httpscan

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
	"polyclam/backends/testfile"
)

func open(tb testing.TB, address string, change func(*Config)) *Backend {
	tb.Helper()
	return backendtest.Open(tb, NewConfig, address, change).(*Backend)
}

func api(c *Config) { c.Flavour = flavourRestAPI }

func raw(c *Config) { c.Request = requestRaw }

// custom configures a service of flavour "custom".
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
		t.Run(name, func(t *testing.T) {
			backendtest.CheckMarked(t, b, nil)
			r, err := b.Scan(backendtest.Context(t), backendtest.Bytes(t, testfile.EICAR()))
			if err != nil || len(r.Findings) != 1 || r.Findings[0].Name != names[backends.Virus] {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestEarly checks that an answer before the end of the object counts only if it found
// something or refuses the object.
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
			r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), backendtest.LargeObject(t, 16<<20))
			tt.check(t, r, err)
		})
	}
}

// TestAnswerEndsAtEveryByte checks that an answer cut off after any byte is a failure.
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
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(tt.text[:n]), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), tt.change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
			if err == nil || d.Connections() != 1 {
				t.Errorf("%q: got %+v, %v", tt.text[:n], r, err)
			}
		}
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), backendtest.SendSplit(backendtest.Composed(tt.text), 1), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := open(t, d.Address(), tt.change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x"))); err != nil || r.Category != backends.OK {
			t.Errorf("byte by byte: %+v, %v", r, err)
		}
	}
}

// TestUnmeasured checks that an answer whose length was not announced is never clean, since
// it may be cut off.
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
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(tt.answer), backendtest.CloseWrite(), backendtest.Drain()})
		r, err := open(t, d.Address(), tt.change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
		if r.Category != tt.want || (err == nil) != (tt.want == backends.Virus) {
			t.Errorf("%q: got %+v, %v", tt.answer, r, err)
		}
	}
}

// TestRedirect checks that a redirect is reported and not followed.
func TestRedirect(t *testing.T) {
	other := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer(200, clean))})
	to := "http://" + strings.TrimPrefix(other.Address(), "tcp:") + "/v2/scan"
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say("HTTP/1.1 307 Temporary Redirect\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n"), backendtest.Drain()})
	r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
	if backends.CategoryOf(err) != backends.SWErr || err == nil || !strings.Contains(err.Error(), to) || other.Connections() != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestProxyEnvironment checks that a proxy in the environment is not used.
func TestProxyEnvironment(t *testing.T) {
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	if r, err := open(t, start(t, "tcp", rest(t)), nil).Scan(backendtest.Context(t), backendtest.CleanObject(t)); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestRequests checks every byte of requests.
func TestRequests(t *testing.T) {
	send := func(change func(*Config)) (host, got string) {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer(200, clean)), backendtest.Drain()})
		if _, err := open(t, d.Address(), change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("abc"))); err != nil {
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
		t.Error("two requests have the same boundary")
	}
}

// TestNames checks the escaped name of the file in a request.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, form, header string }{
		{"/srv/in/report.pdf", `filename="report.pdf"`, "X-Filename: report.pdf\r\n"},
		{`a" b` + "\r\nX: y.exe", `filename="a%22 b__X: y.exe"`, "X-Filename: a%22%20b__X:%20y.exe\r\n"},
		{"ä.zip", `filename="ä.zip"`, "X-Filename: %C3%A4.zip\r\n"},
		{"", `filename="object"`, "X-Filename: object\r\n"},
	} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer(200, clean)), backendtest.Drain()})
		b := open(t, d.Address(), func(c *Config) { c.FileNameHeader = "X-Filename" })
		if _, err := b.Scan(backendtest.Context(t), backendtest.WithName(backendtest.CleanObject(t), tt.name)); err != nil {
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
		v, err := b.Version(backendtest.Context(t))
		if err != nil || v.Text != "ClamAV 1.4.2/27500/Mon Nov 23 08:00:00 2026" || v.Engine != "ClamAV 1.4.2" || v.Database != "27500" || !v.DatabaseTime.Equal(made) {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
	}
	for body, want := range map[string]string{
		`{ "Clamav": "0.103.8" }`: "ClamAV 0.103.8", `{}`: "", `{"Op":"dial"}`: "", `not json`: "", `{"Clamav":["1","2"]}`: "", `{"Clamav":""}`: "",
		`{"Clamav":"` + strings.Repeat("1", 300) + `"}`: "",
	} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer(200, body)), backendtest.Drain()})
		if v, err := open(t, d.Address(), nil).Version(backendtest.Context(t)); v.Text != want || (err == nil) != (want != "") {
			t.Errorf("%.50q: got %+v, %v", body, v, err)
		}
	}
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer(200, " Scanner 7 \n")), backendtest.Drain()})
	plain := open(t, d.Address(), func(c *Config) { custom(c); c.VersionPath = "/about" })
	if v, err := plain.Version(backendtest.Context(t)); err != nil || v.Text != "Scanner 7" {
		t.Errorf("got %+v, %v", v, err)
	}
	if v, err := open(t, d.Address(), custom).Version(backendtest.Context(t)); err == nil {
		t.Errorf("without version_path: got %+v", v)
	}
	d = backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer(500, "x")), backendtest.Drain()})
	if v, err := open(t, d.Address(), nil).Version(backendtest.Context(t)); err == nil {
		t.Errorf("got %+v", v)
	}
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "tcp:127.0.0.1:9000", "9000", map[string]func(*Config){
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
	})
}

// TestTables checks the built-in tables, and that a configuration does not change them.
func TestTables(t *testing.T) {
	before := maps.Clone(restStatuses)
	open(t, "tcp:127.0.0.1:1", func(c *Config) { c.Statuses = map[string]string{"200": "ok", "299": "virus"} })
	if !maps.Equal(before, restStatuses) {
		t.Errorf("changed to %v", restStatuses)
	}
	for name, s := range flavours {
		for status, meaning := range s.statuses {
			if meaning != fromBody && !backends.Category(meaning).Valid() {
				t.Errorf("%s: %d is %q", name, status, meaning)
			}
		}
	}
}
