package kav

import (
	"encoding/binary"
	"io"
	"regexp"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

func openDaemon(t *testing.T, address string) backends.Backend {
	return openAs(t, address, protocolKavdaemon)
}

// daemonRequest matches a request to kavdaemon.
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

// report returns an answer with a code and a report.
func report(code byte, text string) string {
	return string([]byte{code, 1}) + string(binary.NativeEndian.AppendUint32(nil, uint32(len(text)))) + text
}

// claims returns an answer with a report of another length than announced.
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

// daemon plays a kavdaemon that answers by the markers in files.
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
