package fprot

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/engineconn/linetest"
)

const (
	header = "HTTP/1.0 200 Ok\r\nServer: fprotd 4.4.4\r\nContent-Type: text/xml\r\n\r\n"
	top    = `<?xml version="1.0"?>` + "\r\n" + `<fprot-results version="1.0" engine="3.16.14" program="4.6.6">` + "\r\n<filename>PATH</filename>\r\n"
	bottom = "</fprot-results>\r\n"
	found  = `<detected type="virus"><name>EICAR_Test_File</name><accuracy>0</accuracy><message num="1">is a test</message></detected>`
	query  = "?-dumb%20-archive%20-packed%20-remote-dtd HTTP/1.0\n\n"
)

// summary returns a whole answer with a code.
func summary(code int) string {
	return header + top + fmt.Sprintf(`<summary code="%d">text</summary>`, code) + bottom
}

var fprotd = linetest.Engine{
	Open: func(t *testing.T, address string) backends.Backend {
		return openAs(t, address, Config{Protocol: protocolFprotd, Ports: 1})
	},
	Request: func(path string) backendtest.Step {
		return backendtest.Want(backendtest.Composed("GET " + path + query))
	},
}

var oldCases = []linetest.Case{
	linetest.Says(summary(7), backends.OK, 7),
	linetest.Says(summary(9), backends.OK, 9),
	linetest.Says(summary(11), backends.Virus, 11),
	linetest.Says(summary(13), backends.Virus, 13),
	linetest.Says(summary(4), backends.Encrypted, 4),
	linetest.Says(summary(3), backends.Partial, 3),
	linetest.Fails(summary(0), backends.SWErr),
	linetest.Fails(summary(1), backends.SWErr),
	linetest.Fails(summary(2), backends.SWErr),
	linetest.Fails(summary(5), backends.Interrupted),
	linetest.Fails(summary(6), backends.SWErr),
	linetest.Fails(summary(8), backends.SWErr),
	linetest.Fails(summary(10), backends.SWErr),
	linetest.Fails(summary(12), backends.SWErr),
	linetest.Fails(summary(14), backends.SWErr),
	linetest.Fails(summary(-1), backends.SWErr),
	linetest.Says(header+top+found+`<summary code="11">infected</summary>`+bottom, backends.Virus, 11, "EICAR_Test_File"),
	linetest.Both(header+top+found+found+`<error>x</error><summary code="11"/>`+bottom, backends.SWErr, backends.Virus, 11, "EICAR_Test_File", "EICAR_Test_File"),
	linetest.Says(header+top+`<summary code="9"/><summary code="4">locked</summary><summary code="3"/>`+bottom, backends.Encrypted, 4),
	linetest.Both(header+top+`<summary code="4">locked</summary><summary code="1">I/O error</summary>`+bottom, backends.SWErr, backends.Encrypted, 4),
	linetest.Both(header+top+`<error>I/O error</error><summary code="4">locked</summary>`+bottom, backends.SWErr, backends.Encrypted, 4),
	linetest.Both(header+top+`<summary code="3"/><summary code="5"/><summary code="2"/><summary code="9"/>`+bottom, backends.SWErr, backends.Partial, 3),
	linetest.Both(header+top+found+`<summary code="11"/><summary code="1"/>`+bottom, backends.SWErr, backends.Virus, 11, "EICAR_Test_File"),
	linetest.Fails(header+strings.Replace(top, "PATH", "/etc/passwd", 1)+`<summary code="9"/>`+bottom, backends.SWErr),
	linetest.Fails(header+strings.Replace(top, "PATH", "PATHx", 1)+`<summary code="9"/>`+bottom, backends.SWErr),
	linetest.Fails(header+top+"<filename>/other</filename>"+`<summary code="9"/>`+bottom, backends.SWErr),
	linetest.Says(header+strings.Replace(top, "<filename>PATH</filename>", "", 1)+`<summary code="9"/>`+bottom, backends.OK, 9),
	linetest.Says(header+top+`<error></error><summary code="9"/>`+bottom, backends.OK, 9),
	linetest.Says(header+top+`<unknown><deep/></unknown><summary code="9"/>`+bottom, backends.OK, 9),
	linetest.Says(header+top+"<message>\xff\xfe</message>"+found+`<summary code="11"/>`+bottom, backends.Virus, 11, "EICAR_Test_File"),
	// Contradictions to a clean summary.
	linetest.Says(header+top+found+`<summary code="9">clean</summary>`+bottom, backends.Virus, 999, "EICAR_Test_File"),
	linetest.Says(header+top+`<detected/><summary code="9">clean</summary>`+bottom, backends.Virus, 999),
	linetest.Fails(header+top+`<error>cannot read</error><summary code="9"/>`+bottom, backends.SWErr),
	// Not in the table.
	linetest.Fails(header+top+bottom, backends.SWErr),
	linetest.Fails(header+top+`<summary>clean</summary>`+bottom, backends.SWErr),
	linetest.Fails(header+top+`<summary code="9x"/>`+bottom, backends.SWErr),
	linetest.Fails(header+top+`<summary code="9"/><summary code="99"/>`+bottom, backends.SWErr),
	linetest.Fails(header+strings.Replace(top, `s version="1.0"`, `s version="2.0"`, 1)+`<summary code="9"/>`+bottom, backends.SWErr),
	linetest.Fails(header+`<other version="1.0"><summary code="9"/></other>`, backends.SWErr),
	linetest.Fails(header+top+`<summary code="9"/>`+bottom+"x", backends.SWErr),
	linetest.Fails(summary(9)+summary(9), backends.SWErr),
	linetest.Fails(header+top+`<summary code="9"/>`, backends.SWErr),
	linetest.Fails(header+"clean", backends.SWErr),
	linetest.Fails(header, backends.SWErr),
	linetest.Fails(header+top+strings.Repeat("A", maxBody)+`<summary code="9"/>`+bottom, backends.SWErr),
	linetest.Fails("HTTP/1.0 200 Ok\r\n"+strings.Repeat("X: y\r\n", maxHeaders+1)+"\r\n", backends.SWErr),
	linetest.Fails("HTTP/1.0 404 Not found\r\n\r\n"+top+`<summary code="9"/>`+bottom, backends.SWErr),
	linetest.Fails(strings.Replace(summary(9), "fprotd", "Apache", 1), backends.SWErr),
	linetest.Fails("0 <clean> PATH\n", backends.SWErr),
	linetest.Fails("", backends.CannotExecute),
}

func TestOldAnswers(t *testing.T) { linetest.Answers(t, fprotd, oldCases) }

func TestOldBreaks(t *testing.T) { linetest.Breaks(t, fprotd, strings.TrimSuffix(summary(9), "\r\n")) }

func TestOldSilence(t *testing.T) {
	linetest.Silence(t, fprotd, "")
	linetest.Silence(t, fprotd, summary(9)) // the connection stays open
}

func TestOldConformance(t *testing.T) {
	codes := map[backends.Category]int{
		backends.OK: 9, backends.Virus: 11, backends.Suspicious: 11, backends.Encrypted: 4, backends.Partial: 3, backends.SWErr: 0,
	}
	// For linetest, the empty line after the request is another command.
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return fprotd.Open(t, backendtest.StartDaemon(t, "tcp", backendtest.Script{func(s *backendtest.Session) error {
			var path string
			return linetest.Serve("", '\n', func(command string, _ io.Reader) (string, bool) {
				if command != "" {
					path = strings.TrimSuffix(strings.TrimPrefix(command, "GET "), strings.TrimRight(query, "\n"))
					return "", false
				}
				category, ok := linetest.Marked(path)
				answer := summary(codes[category])
				switch {
				case !ok:
					answer = summary(1)
				case category == backends.Virus:
					answer = header + top + found + `<summary code="11"/>` + bottom
				}
				return strings.ReplaceAll(answer, "PATH", path), true
			})(s)
		}}).Address())
	}, backendtest.Options{
		Encrypted: true, Dial: fprotd.Open, Network: "tcp",
		Half: []backendtest.Words{backendtest.Composed(header), backendtest.Composed(header + top + `<summary code="9"/>`)},
	})
}

// TestPorts checks that f-protd is found although the ports before refuse connections or
// belong to another server.
func TestPorts(t *testing.T) {
	o := backendtest.CleanObject(t)
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	answer := func(s string) backendtest.Script {
		s = strings.ReplaceAll(s, "PATH", path)
		return backendtest.Script{backendtest.WantUntil('\n', 1000, nil), backendtest.WantUntil('\n', 10, nil), backendtest.Send(backendtest.Composed(s)), backendtest.CloseWrite(), backendtest.Drain()}
	}
	b := &OldBackend{}
	for _, address := range []string{
		backendtest.Refusing(t, "tcp"),
		backendtest.StartDaemon(t, "tcp", answer("8 <error>\n")).Address(),
		backendtest.StartDaemon(t, "tcp", answer(summary(9))).Address(),
		backendtest.StartDaemon(t, "tcp", answer(summary(11))).Address(),
	} {
		one, err := engineconn.New("fprot", "", address, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		one.Open()
		b.clients = append(b.clients, one)
	}
	if r, err := b.Scan(t.Context(), o); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
	b.clients = b.clients[:2]
	if r, err := b.Scan(t.Context(), o); err == nil || backends.CategoryOf(err) != backends.CannotExecute {
		t.Errorf("without f-protd: %+v, %v", r, err)
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string][]string{
		"tcp:127.0.0.1:10200": {"tcp:127.0.0.1:10200", "tcp:127.0.0.1:10201", "tcp:127.0.0.1:10202"},
		"tcp:[::1]:10200":     {"tcp:[::1]:10200", "tcp:[::1]:10201", "tcp:[::1]:10202"},
		"tcp:h:65535":         {"tcp:h:65535"},
		"tcp:h:fprot":         {"tcp:h:fprot"},
		"unix:/s":             {"unix:/s"},
	} {
		if got := addresses(address, 3); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q", address, got)
		}
	}
	b := openAs(t, "tcp:127.0.0.1:10200", Config{Protocol: protocolFprotd}).(*OldBackend)
	if len(b.clients) != 5 {
		t.Errorf("%d ports", len(b.clients))
	}
}

func FuzzResults(f *testing.F) {
	for _, c := range oldCases {
		if body, ok := strings.CutPrefix(c.Reply, header); ok && len(body) < 2000 {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var a backends.Answer
		err := parseResults(body, "PATH", &a)
		if err == nil && a.Category() == "" && !a.Failed() {
			t.Errorf("%q: neither a result nor a failure", body)
		}
		if err == nil && a.Category() == backends.OK && !strings.Contains(string(body), "fprot-results") {
			t.Errorf("%q is ok", body)
		}
	})
}
