package kav

import (
	"encoding/binary"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

func openAs(t *testing.T, address, protocol string) backends.Backend {
	t.Helper()
	config := NewConfig().(*Config)
	config.Protocol = protocol
	b, err := config.Open(address)
	if err != nil {
		t.Fatal(err)
	}
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
	linetest.Says(done+"221 bye\r\n", backends.OK, 230),
	linetest.Fails(done+"221 bye\r\n221 bye\r\n", backends.SWErr).Together(),
	linetest.Fails(done+"550 error\r\n", backends.SWErr),
	linetest.Fails(done+"22", backends.SWErr),
	linetest.Fails("230-done\r\n230 done\r\n", backends.SWErr),
	linetest.Fails("322 X PATHx\r\n"+done, backends.SWErr),
	linetest.Says(hit+done, backends.Virus, 322, "EICAR-Test-File"),
	linetest.Says("322 VNAME PATH\r\n"+done, backends.Virus, 322, "VNAME"),
	linetest.Says("322-A PATH/x y\r\n322 B PATH\r\n"+done, backends.Virus, 322, "A", "B"),
	linetest.Says("322 X\r\n"+done, backends.Virus, 322, "X"),
	linetest.Says("322\r\n"+done, backends.Virus, 322),
	linetest.Both(hit+"550 error\r\n", backends.SWErr, backends.Virus, 322, "EICAR-Test-File"),
	linetest.Both(hit, backends.SWErr, backends.Virus, 322, "EICAR-Test-File"),
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
	linetest.Fails(done+hit+done, backends.SWErr), // done was not its own
}

func TestAveAnswers(t *testing.T) { linetest.Answers(t, aveserver, aveCases) }

func TestAveBreaks(t *testing.T) { linetest.Breaks(t, aveserver, done, hit+done) }

func TestAveSilence(t *testing.T) {
	linetest.Silence(t, aveserver, done) // no answer to quit
	linetest.Silence(t, aveserver, "")
	linetest.Silence(t, aveserver, "230")
}

func TestAveReuses(t *testing.T) { linetest.Reuses(t, aveserver, done, 3) }

func TestAveGreeting(t *testing.T) {
	for _, text := range []string{"220-KAV\r\n", "220-KAV\r\n500 no licence\r\n", "220-KAV\r\nready\r\n", "500 no licence\r\n", "HELLO\r\n", "220", "\r\n"} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Send(backendtest.Composed(text)), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := openAve(t, d.Address()).Scan(t.Context(), backendtest.CleanObject(t)); err == nil {
			t.Errorf("%q: %+v", text, r)
		}
	}
}

// TestAveLines: a greeting of several lines, however late they come, is not the answer.
func TestAveLines(t *testing.T) {
	o := backendtest.Bytes(t, backendtest.EICAR())
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	found := strings.ReplaceAll(hit, "PATH", path) + done
	say := func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	scan := backendtest.WantUntil('\n', 1000, nil)
	for name, tt := range map[string]struct {
		script backendtest.Script
		want   backends.Category // empty: a failure
	}{
		"in one write":            {backendtest.Script{say("220-KAV\r\n220 ready\r\n"), scan, say(found)}, backends.Virus},
		"one after another":       {backendtest.Script{say("220-KAV\r\n"), backendtest.Sleep(5 * time.Millisecond), say("220-of\r\n220 ready\r\n"), scan, say(found)}, backends.Virus},
		"not marked":              {backendtest.Script{say("220 KAV\r\n220 ready\r\n"), scan, say(found)}, ""},
		"not marked, and late":    {backendtest.Script{say("220 KAV\r\n"), scan, say("220 ready\r\n" + found)}, ""},
		"not marked, and later":   {backendtest.Script{say("220 KAV\r\n"), scan, say("220 ready\r\n"), scan, say(found)}, ""},
		"a failure after the end": {backendtest.Script{say("220 KAV\r\n"), scan, say("220 ready\r\n"), scan, say("550 cannot scan\r\n")}, ""},
	} {
		d := backendtest.StartDaemon(t, "unix", append(tt.script, backendtest.CloseWrite(), backendtest.Drain()))
		r, err := openAve(t, d.Address()).Scan(t.Context(), o)
		if r.Category != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestAveRepeated: a server that repeats everything up to 60 ms later.
func TestAveRepeated(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Repeats(linetest.Serve(greeting, '\n', ave))})
	t.Logf("%d of 300 with a verdict", linetest.Alternate(t, openAve(t, d.Address()), 10))
}

// ave is an aveserver that answers by what is in the files.
func ave(command string, _ io.Reader) (reply string, quit bool) {
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
}

func TestAveConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return openAve(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve(greeting, '\n', ave)}).Address())
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
	linetest.Fails("\x30\x00", backends.SWErr), // the high bits are undocumented
	linetest.Fails("\x10\x00", backends.SWErr),
	linetest.Both("\x84\x00", backends.SWErr, backends.Virus, 4),
	linetest.Both("\x18\x00", backends.SWErr, backends.Partial, 8),
	linetest.Says(report(0, ""), backends.OK, 0),
	linetest.Says(report(0, "ok\n\n"), backends.OK, 0),
	linetest.Fails(report(0, "all is well\n"), backends.SWErr),
	linetest.Fails(report(0, "/p/x.zip/a: I/O error\n"), backends.SWErr),
	linetest.Fails(report(0, "ok\n/p/x: password protected\n"), backends.SWErr),
	linetest.Fails(report(0, "virus bases are corrupt\n"), backends.SWErr),
	linetest.Fails(report(0, "infected:\n"), backends.SWErr),
	linetest.Fails(report(0, "/another/file ok\n"), backends.SWErr),
	linetest.Both(report(0, found+"I/O error\n"), backends.SWErr, backends.Virus, 0, "EICAR-Test-File"),
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
	linetest.Both(report(1, found), backends.Interrupted, backends.Virus, 1, "EICAR-Test-File"),
	linetest.Both(report(7, "x suspicion: S\n"), backends.SWErr, backends.Suspicious, 7, "S"),
	linetest.Fails(report(1, "well\n"), backends.Interrupted),
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
	linetest.Both(claims(3, 100, "x"), backends.SWErr, backends.Suspicious, 3),
	linetest.Fails(report(0, strings.Repeat("A", 70<<10)), backends.SWErr),
	linetest.Both(claims(4, 1<<32-1, found), backends.SWErr, backends.Virus, 4), // the virus still counts
	linetest.Both(claims(4, 1000, found), backends.SWErr, backends.Virus, 4, "EICAR-Test-File"),
	linetest.Fails("", backends.CannotExecute),
	linetest.Trails("\x00\x00x"),
	linetest.Trails("\x00\x00\x00\x00"),
	linetest.Trails(report(0, "") + "x"),
}

func TestHarmless(t *testing.T) {
	for line, want := range map[string]bool{
		"": true, "ok": true, "/p ok": true, "/p\tok.": true, "/p/a b ok": true, " /p  ok \r": true,
		"/p": false, "/px ok": false, "/p: cannot read ok": false, "/p/a: cannot read, ok": false, "/p not ok": false,
		"/p ok: skipped": false, "/pok": false, "virus bases ok": false, "OK": false, "/p/aok": false,
	} {
		if got := isHarmless(line, "/p"); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestDaemonAnswers(t *testing.T) { linetest.Answers(t, kavdaemon, daemonCases) }

func TestDaemonBreaks(t *testing.T) {
	linetest.Breaks(t, kavdaemon, "\x00\x00", report(0, "ok\n"), report(3, "x suspicion: X\n"), report(4, found))
}

func TestDaemonSilence(t *testing.T) {
	linetest.Silence(t, kavdaemon, "\x00")
	linetest.Silence(t, kavdaemon, claims(0, 100, "x"))
}

// daemon is a kavdaemon that answers by what is in the files.
func daemon(command string, _ io.Reader) (reply string, quit bool) {
	m := daemonRequest.FindStringSubmatch(command + "\x00")
	if m == nil {
		return "\x07\x00", true
	}
	category, ok := linetest.Marked(m[1])
	if !ok {
		return "\x01\x00", true
	}
	return map[backends.Category]string{
		backends.OK: "\x00\x00", backends.Virus: report(4, found), backends.Suspicious: "\x03\x00",
		backends.Encrypted: "\x00\x00", backends.Partial: "\x08\x00", backends.SWErr: "\x01\x00",
	}[category], true
}

func TestDaemonConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return openDaemon(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve("", 0, daemon)}).Address())
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
		var a backends.Answer
		final, err := parseAve(text, "/p", &a)
		if err != nil && (final || a.Category() != "") {
			t.Errorf("%q: %q and %v", text, a.Category(), err)
		}
		if a.Category() == backends.OK && (!final || text[0] != '2') {
			t.Errorf("%q is ok", text)
		}
	})
}
