package kav

import (
	"encoding/binary"
	"io"
	"regexp"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/line"
	"polyclam/backends/internal/line/linetest"
)

func openAs(t *testing.T, address, protocol string) backends.Backend {
	t.Helper()
	config := NewConfig().(*Config)
	config.Protocol = protocol
	b, err := config.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.(io.Closer).Close() })
	return b
}

func openAve(t *testing.T, address string) backends.Backend {
	return openAs(t, address, protocolAveserver)
}
func openDaemon(t *testing.T, address string) backends.Backend {
	return openAs(t, address, protocolKavdaemon)
}

const greeting = "220 aveserver ready\r\n"

var aveserver = linetest.Engine{
	Open:  openAve,
	Hello: backendtest.Script{backendtest.Send(backendtest.Composed(greeting))},
	Request: func(path string) backendtest.Step {
		return backendtest.Want(backendtest.Composed("SCAN bPQRSTUW " + path + "\r\n"))
	},
}

const (
	hit  = "322-EICAR-Test-File PATH\r\n"
	done = "230 done\r\n"
)

var aveCases = []linetest.Case{
	linetest.Says(done, backends.OK, 230),
	linetest.Says("200\r\n", backends.OK, 200),
	linetest.Says(hit+done, backends.Virus, 322, "EICAR-Test-File"),
	linetest.Says("322 VNAME PATH\r\n"+done, backends.Virus, 322, "VNAME"),
	linetest.Says("322-A PATH/x y\r\n322 B PATH/z\r\n"+done, backends.Virus, 322, "A", "B"),
	linetest.Says("322 X\r\n"+done, backends.Virus, 322, "X"),
	linetest.Says("322\r\n"+done, backends.Virus, 322),
	linetest.Says(hit+"550 error\r\n", backends.Virus, 322, "EICAR-Test-File"),
	linetest.Says(hit, backends.Virus, 322, "EICAR-Test-File"),
	linetest.Fails("550 no such file\r\n", backends.SWErr),
	linetest.Fails("501\r\n", backends.SWErr),
	linetest.Fails("322 X /etc/passwd\r\n"+done, backends.SWErr),
	linetest.Fails("321 X PATH\r\n"+done, backends.SWErr),
	linetest.Fails("323 X PATH\r\n"+done, backends.SWErr),
	linetest.Fails("421 busy\r\n", backends.SWErr),
	linetest.Fails("2300 done\r\n", backends.SWErr),
	linetest.Fails("done\r\n", backends.SWErr),
	linetest.Fails("\r\n"+done, backends.SWErr),
	linetest.Fails("\x16\x03\x01\x02\x00", backends.SWErr),
	linetest.Fails("230 "+strings.Repeat("A", 70<<10)+"\r\n", backends.SWErr),
	linetest.Fails("", backends.CannotExecute),
	linetest.Trails(done + done),
	linetest.Trails(done + hit + done),
}

func TestAveAnswers(t *testing.T) { linetest.Answers(t, aveserver, aveCases) }

func TestAveBreaks(t *testing.T) { linetest.Breaks(t, aveserver, done, hit+done) }

func TestAveSilence(t *testing.T) {
	linetest.Silence(t, aveserver, "")
	linetest.Silence(t, aveserver, "230")
}

func TestAveReuses(t *testing.T) { linetest.Reuses(t, aveserver, done, 3) }

func TestAveGreeting(t *testing.T) {
	for _, text := range []string{"500 no licence\r\n", "HELLO\r\n", "220", "\r\n"} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Send(backendtest.Composed(text)), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := openAve(t, d.Address()).Scan(t.Context(), backendtest.CleanContent(t)); err == nil {
			t.Errorf("%q: %+v", text, r)
		}
	}
}

func TestAveConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return openAve(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve(greeting, '\n', func(command string, _ io.Reader) (string, bool) {
			path := strings.TrimPrefix(command, "SCAN bPQRSTUW ")
			category, ok := linetest.Marked(path)
			switch {
			case command == "quit":
				return "221 bye\r\n", true
			case !ok || category == backends.SWErr:
				return "550 cannot scan\r\n", false
			case category == backends.Virus:
				return strings.ReplaceAll(hit, "PATH", path) + done, false
			}
			return done, false
		})}).Address())
	}, backendtest.Options{Dial: openAve, Greeting: greeting, Half: []backendtest.Words{backendtest.Composed("230 done")}})
}

// daemonRequest is what kavdaemon is sent.
var daemonRequest = regexp.MustCompile(`^<0>\d\d [A-Z][a-z][a-z] \d\d:\d\d:\d\d:(/\S+)\x00$`)

var kavdaemon = linetest.Engine{
	Open: openDaemon, Binary: true,
	Request: func(path string) backendtest.Step {
		return backendtest.WantUntil(0, 1000, func(s string) bool {
			m := daemonRequest.FindStringSubmatch(s)
			return m != nil && m[1] == path
		})
	},
}

// report is an answer with a code and a report.
func report(code byte, text string) string {
	return string([]byte{code, 1}) + string(binary.NativeEndian.AppendUint32(nil, uint32(len(text)))) + text
}

// claims is a report of a length that it does not have.
func claims(code byte, n uint32, text string) string {
	return string([]byte{code, 1}) + string(binary.NativeEndian.AppendUint32(nil, n)) + text
}

const found = "/q/x.zip/eicar.com infected: EICAR-Test-File \n"

var daemonCases = []linetest.Case{
	linetest.Says("\x00\x00", backends.OK, 0),
	linetest.Says("\x30\x00", backends.OK, 0), // the high bits are not the code
	linetest.Says(report(0, ""), backends.OK, 0),
	linetest.Says(report(0, "all is well\n"), backends.OK, 0),
	linetest.Says("\x04\x00", backends.Virus, 4),
	linetest.Says(report(4, found), backends.Virus, 4, "EICAR-Test-File"),
	linetest.Says(report(4, found+"\n/q/y infected: B\r\n/q/z suspicion: C"), backends.Virus, 4, "EICAR-Test-File", "B", "C"),
	linetest.Says(report(2, found), backends.Virus, 2, "EICAR-Test-File"),
	linetest.Says(report(2, ""), backends.Virus, 2),
	linetest.Says("\x05\x00", backends.Virus, 5),
	linetest.Says("\x06\x00", backends.Virus, 6),
	linetest.Says("\x03\x00", backends.Suspicious, 3),
	linetest.Says(report(3, "/q/x suspicion: Type_Win32\x00"), backends.Suspicious, 3, "Type_Win32"),
	linetest.Says("\x08\x00", backends.Partial, 8),
	linetest.Says(report(0, found), backends.Virus, 0, "EICAR-Test-File"), // the names count
	linetest.Says(report(8, found), backends.Virus, 8, "EICAR-Test-File"),
	linetest.Fails("\x01\x00", backends.Interrupted),
	linetest.Fails("\x07\x00", backends.SWErr),
	linetest.Fails("\x09\x00", backends.SWErr),
	linetest.Fails("\x0f\x00", backends.SWErr),
	linetest.Fails("\x00\x02", backends.SWErr),
	linetest.Fails("OK\n", backends.SWErr),
	linetest.Fails("\x00", backends.SWErr),
	linetest.Fails("\x00\x01", backends.SWErr),
	linetest.Fails(claims(0, 1, ""), backends.SWErr),
	linetest.Fails(claims(0, 1<<32-1, found), backends.SWErr),
	linetest.Fails(claims(0, maxReport+1, found), backends.SWErr),
	linetest.Fails(claims(3, 100, "x"), backends.SWErr),
	linetest.Fails(report(0, strings.Repeat("A", 70<<10)), backends.SWErr),
	linetest.Says(claims(4, 1<<32-1, found), backends.Virus, 4), // it stands
	linetest.Says(claims(4, 1000, found), backends.Virus, 4, "EICAR-Test-File"),
	linetest.Fails("", backends.CannotExecute),
	linetest.Trails("\x00\x00x"),
	linetest.Trails("\x00\x00\x00\x00"),
	linetest.Trails(report(0, "") + "x"),
}

func TestDaemonAnswers(t *testing.T) { linetest.Answers(t, kavdaemon, daemonCases) }

func TestDaemonBreaks(t *testing.T) {
	linetest.Breaks(t, kavdaemon, "\x00\x00", report(0, "well\n"), report(3, "x suspicion: X\n"), report(4, found))
}

func TestDaemonSilence(t *testing.T) {
	linetest.Silence(t, kavdaemon, "\x00")
	linetest.Silence(t, kavdaemon, claims(0, 100, "x"))
}

func TestDaemonConformance(t *testing.T) {
	codes := map[backends.Category]string{
		backends.OK: "\x00\x00", backends.Virus: report(4, found), backends.Suspicious: "\x03\x00",
		backends.Encrypted: "\x00\x00", backends.Partial: "\x08\x00", backends.SWErr: "\x01\x00",
	}
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return openDaemon(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve("", 0, func(command string, _ io.Reader) (string, bool) {
			m := daemonRequest.FindStringSubmatch(command + "\x00")
			if m == nil {
				return "\x07\x00", true
			}
			category, ok := linetest.Marked(m[1])
			if !ok {
				return "\x01\x00", true
			}
			return codes[category], true
		})}).Address())
	}, backendtest.Options{Dial: openDaemon, Half: []backendtest.Words{backendtest.Composed("\x00")}})
}

func TestConfig(t *testing.T) {
	for want, c := range map[string]Config{
		"protocol":        {Protocol: "x", ConnectTimeout: 1},
		"connect_timeout": {Protocol: protocolAveserver},
	} {
		if _, err := c.Open("unix:/s"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
	for protocol, want := range map[string]string{protocolAveserver: "aveserver", protocolKavdaemon: "AvpCtl"} {
		if _, err := (&Config{Protocol: protocol, ConnectTimeout: 1}).Open(""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", protocol, err)
		}
	}
}

func FuzzParseAve(f *testing.F) {
	for _, c := range aveCases {
		if len(c.Reply) < 1000 {
			for _, l := range strings.Split(c.Reply, "\r\n") {
				f.Add(strings.ReplaceAll(l, "PATH", "/p"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var tally line.Tally
		final, err := parseAve(text, "/p", &tally)
		if err != nil && (final || tally.Category() != "") {
			t.Errorf("%q: %q and %v", text, tally.Category(), err)
		}
		if tally.Category() == backends.OK && (!final || text[0] != '2') {
			t.Errorf("%q is ok", text)
		}
	})
}
