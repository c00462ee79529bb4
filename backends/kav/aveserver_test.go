package kav

import (
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/backends/testfile"
)

func openAve(t *testing.T, address string) backends.Backend {
	return openAs(t, address, protocolAveserver)
}

var aveserver = linetest.Engine{
	Open:  openAve,
	Hello: backendtest.Script{backendtest.Send(backendtest.Composed(greeting))},
	Request: func(path string) backendtest.Step {
		return backendtest.Want(backendtest.Composed("SCAN bPQRSTUW " + path + "\r\n"))
	},
}

const greeting = "220 aveserver ready\r\n"

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
	linetest.Fails(done+hit+done, backends.SWErr), // the first done was late
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

// TestAveLines checks that late lines of a greeting are not taken for the answer.
func TestAveLines(t *testing.T) {
	o := backendtest.Bytes(t, testfile.EICAR())
	found := strings.ReplaceAll(hit, "PATH", backendtest.RealPath(t, o)) + done
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

// TestAveRepeated plays a server that repeats everything up to 60 ms later.
func TestAveRepeated(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Repeats(linetest.Serve(greeting, '\n', ave))})
	t.Logf("%d of 300 with a verdict", linetest.Alternate(t, openAve(t, d.Address()), 10))
}

// ave plays an aveserver that answers by the markers in files.
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
