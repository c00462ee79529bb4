package avast

import (
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/backends/internal/texts"
)

const hello = "220 DAEMON\r\n"

func open(t *testing.T, address string) backends.Backend {
	t.Helper()
	return backendtest.Open(t, NewConfig, address, func(c *Config) { c.Partial = []string{"Listed text"} })
}

var engine = linetest.Engine{
	Open:  open,
	Hello: backendtest.Script{backendtest.Send(backendtest.Composed(hello))},
	Request: func(path string) backendtest.Step {
		return backendtest.Want(backendtest.Composed("SCAN " + path + "\r\n"))
	},
}

const (
	begin = "210 SCAN DATA\r\n"
	clean = "SCAN PATH\t[+]0.0\r\n"
	end   = "200 SCAN OK\r\n"

	virus     = "SCAN PATH|>eicar.com\t[L]1.0\t0 EICAR\\ Test-NOT\\ virus!!!\r\n"
	encrypted = "SCAN PATH|>x\t[E]1.0\tError 42056 Archive\\ is\\ password\\ protected\r\n"
	bomb      = "SCAN PATH\t[E]3.0\tError 41120 The\\ file\\ is\\ a\\ decompression\\ bomb\r\n"
	denied    = "SCAN PATH\t[E]0.0\tError 13 Permission\\ denied\r\n"
)

// fault returns an answer with one error.
func fault(text string) string { return begin + "SCAN PATH\t[E]0.0\t" + text + "\r\n" + end }

var cases = []linetest.Case{
	linetest.Says(begin+clean+end, backends.OK, 0),
	linetest.Says(begin+"SCAN PATH\t[+]\r\n"+end, backends.OK, 0),
	linetest.Says(begin+clean+"SCAN PATH|>a\\ b\\\\c\t[+]1.0\r\n"+end, backends.OK, 0),
	linetest.Says(begin+virus+end, backends.Virus, 1, "EICAR Test-NOT virus!!!"),
	linetest.Says(begin+"SCAN PATH\t[L]0.0\t0 Win32:Trojan-gen\r\n"+clean+end, backends.Virus, 1, "Win32:Trojan-gen"),
	linetest.Says(begin+"SCAN PATH\t[L]0.0\r\n"+end, backends.Virus, 1),
	linetest.Both(begin+clean+virus+encrypted+denied+virus+end, backends.SWErr, backends.Virus, 1, "EICAR Test-NOT virus!!!", "EICAR Test-NOT virus!!!"),
	linetest.Says(begin+encrypted+end, backends.Encrypted, 42056),
	linetest.Says(begin+clean+encrypted+bomb+end, backends.Encrypted, 42056),
	linetest.Both(begin+encrypted+denied+end, backends.SWErr, backends.Encrypted, 42056),
	linetest.Says(begin+bomb+end, backends.Partial, 41120),
	linetest.Says(fault("Error 42110 The\\ file\\ is\\ a\\ decompression\\ bomb"), backends.Partial, 42110),
	linetest.Says(fault("Error 1 Archive\\ is\\ password\\ protected"), backends.Encrypted, 1),
	linetest.Says(fault("Error 42998 Listed\\ text"), backends.Partial, 42998),
	// Words and numbers of other errors prove nothing.
	linetest.Fails(fault("Error 42056 archive\\ is\\ password\\ protected"), backends.SWErr),
	linetest.Fails(fault("Error 42056 Archive\\ is\\ password\\ protected."), backends.SWErr),
	linetest.Fails(fault("Error 42056 x:\\ Archive\\ is\\ password\\ protected"), backends.SWErr),
	linetest.Fails(fault("Error 42056 Sandbox\\ state\\ is\\ corrupt"), backends.SWErr),
	linetest.Fails(fault("Error 42125 ZIP\\ archive\\ is\\ corrupted"), backends.SWErr),
	linetest.Fails(fault("Error 42999 Something\\ else"), backends.SWErr),
	linetest.Fails(fault("Error 41120 Something"), backends.SWErr),
	linetest.Fails(fault("Archive\\ is\\ password\\ protected"), backends.SWErr),
	linetest.Fails(fault("Error  Archive\\ is\\ password\\ protected"), backends.SWErr),
	linetest.Fails(begin+denied+end, backends.SWErr),
	linetest.Both(begin+bomb+denied+end, backends.SWErr, backends.Partial, 41120),
	linetest.Fails(fault("Error 41999 Something"), backends.SWErr),
	linetest.Fails(fault("Error 43000 Something"), backends.SWErr),
	linetest.Fails(fault("Error 7 Something"), backends.SWErr),
	linetest.Fails(fault(""), backends.SWErr),
	linetest.Fails(fault("Error"), backends.SWErr),
	linetest.Fails(fault("Error 9999999999 Something"), backends.SWErr),
	// An expired licence is never OK or partial.
	linetest.Fails(fault("Error 42000 The\\ license\\ has\\ expired"), backends.SWErr),
	linetest.Fails(fault("Error 42110 Invalid\\ license"), backends.SWErr),
	linetest.Fails(fault("Error 42056 License\\ file\\ is\\ encrypted"), backends.SWErr),
	linetest.Fails(fault("Error 42001 VPS\\ is\\ corrupted"), backends.SWErr),
	linetest.Fails("466 License error\r\n", backends.SWErr),
	linetest.Fails("501 Syntax error\r\n", backends.SWErr),
	linetest.Fails("451 SCAN Engine error 13 permission denied\r\n", backends.SWErr),
	linetest.Fails(begin+"451 SCAN Engine error 13 permission denied\r\n", backends.SWErr),
	linetest.Fails(begin+clean+"451 SCAN Engine error\r\n", backends.SWErr),
	linetest.Both(begin+encrypted+"451 SCAN Engine error\r\n", backends.SWErr, backends.Encrypted, 42056),
	linetest.Both(begin+virus+"451 SCAN Engine error\r\n", backends.SWErr, backends.Virus, 1, "EICAR Test-NOT virus!!!"),
	// Unexpected dialogues.
	linetest.Fails(begin+end, backends.SWErr),
	linetest.Fails(end, backends.SWErr),
	linetest.Fails(clean+end, backends.SWErr),
	linetest.Fails(begin+clean+"200 VPS OK\r\n", backends.SWErr),
	linetest.Fails(begin+clean+"200 SCAN OK \r\n", backends.SWErr),
	linetest.Fails(begin+begin+clean+end, backends.SWErr),
	linetest.Trails(begin + clean + end + end),
	linetest.Trails(begin + clean + end + begin + virus + end),
	linetest.Both(begin+virus+end+begin+clean+end, backends.SWErr, backends.Virus, 1, "EICAR Test-NOT virus!!!").Together(),
	linetest.Fails(begin+"SCAN /etc/passwd\t[+]0.0\r\n"+end, backends.SWErr),
	linetest.Fails(begin+clean+"SCAN PATHx\t[+]0.0\r\n"+end, backends.SWErr),
	linetest.Fails(begin+clean+"SCAN /etc/passwd\t[L]0.0\t0 X\r\n"+end, backends.SWErr),
	linetest.Fails(begin+"SCAN PATH [+]0.0\r\n"+end, backends.SWErr),
	linetest.Fails(begin+"SCAN PATH\t[?]0.0\r\n"+end, backends.SWErr),
	linetest.Fails(begin+"SCAN PATH\t[+]0.0\tX\r\n"+end, backends.SWErr),
	linetest.Fails(begin+"SCAN PATH\t[+]zero\r\n"+end, backends.SWErr),
	linetest.Fails(begin+"SCAN PATH\t[+\r\n"+end, backends.SWErr),
	linetest.Fails(begin+"PATH\t[+]0.0\r\n"+end, backends.SWErr),
	linetest.Fails(begin+"\r\n"+clean+end, backends.SWErr),
	// A member whose name contains the end of the answer.
	linetest.Fails(begin+"SCAN PATH|>x\r\n200 SCAN OK\r\n"+virus+end, backends.SWErr),
	linetest.Says(begin+"SCAN PATH|>x\t[+]0.0\r\n"+virus+end, backends.Virus, 1, "EICAR Test-NOT virus!!!"),
	linetest.Fails(begin+"SCAN PATH|>"+strings.Repeat("A", 70<<10)+"\t[+]1.0\r\n"+end, backends.SWErr),
	linetest.Fails("\x16\x03\x01\x02\x00", backends.SWErr),
	linetest.Fails("\r\n", backends.SWErr),
	linetest.Fails("", backends.CannotExecute),
}

func TestAnswers(t *testing.T) { linetest.Answers(t, engine, cases) }

func TestBreaks(t *testing.T) {
	linetest.Breaks(t, engine, begin+clean+end, begin+encrypted+clean+end, begin+virus+end)
}

func TestSilence(t *testing.T) {
	linetest.Silence(t, engine, "")
	linetest.Silence(t, engine, begin+encrypted)
}

func TestReuses(t *testing.T) { linetest.Reuses(t, engine, begin+clean+end, 1) }

// TestGreeting plays greetings of a daemon that is not ready, and of other servers.
func TestGreeting(t *testing.T) {
	for greeting, code := range map[string]int{
		"421 Service not available\r\n": 421, "466 License expired\r\n": 466, "HTTP/1.0 200 OK\r\n": 0, "210 SCAN DATA\r\n": 0, "\r\n": 0,
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Send(backendtest.Composed(greeting)), backendtest.CloseWrite(), backendtest.Drain()})
		_, err := open(t, d.Address()).Scan(t.Context(), backendtest.CleanObject(t))
		if err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%q: %v", greeting, err)
		}
		if code != 0 && !strings.Contains(err.Error(), greeting[:3]) {
			t.Errorf("%q: %v", greeting, err)
		}
	}
}

func TestHints(t *testing.T) {
	for text, want := range map[string]string{"Error 13 Permission denied": hintPath, "Error 1 No license": hintLicence} {
		var a backends.Answer
		addError(text, texts.Keys{}, &a)
		if _, err := a.Result(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: no hint in %v", text, err)
		}
	}
	if err := refused("466 no"); !strings.Contains(err.Error(), hintLicence) {
		t.Errorf("no hint in %v", err)
	}
}

func TestVersion(t *testing.T) {
	for reply, want := range map[string]backends.Version{
		"210 VPS DATA\r\nVPS 19051006\r\n200 VPS OK\r\n":   {Text: "Avast/19051006", Engine: "Avast", Database: "19051006", DatabaseTime: time.Date(2019, 5, 10, 0, 0, 0, 0, time.UTC)},
		"210 VPS DATA\r\nVPS 7\r\n200 VPS OK\r\n":          {Text: "Avast/7", Engine: "Avast", Database: "7"},
		"210 VPS DATA\r\n200 VPS OK\r\n":                   {},
		"210 VPS DATA\r\nVPS x\r\n200 VPS OK\r\n":          {},
		"210 VPS DATA\r\nVPS 1\r\nVPS 2\r\n200 VPS OK\r\n": {},
		"210 VPS DATA\r\nVPS 1\r\n":                        {},
		"501 \r\n":                                         {},
		"":                                                 {},
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{engine.Hello[0], backendtest.Want(backendtest.Composed("VPS\r\n")), backendtest.Send(backendtest.Composed(reply)), backendtest.CloseWrite(), backendtest.Drain()})
		got, err := open(t, d.Address()).(backends.Versioner).Version(t.Context())
		if got != want || (err == nil) != (want.Text != "") {
			t.Errorf("%q: %+v, %v", reply, got, err)
		}
	}
}

// fake answers by the markers in the file.
func fake(command string, _ io.Reader) (string, bool) {
	if command == "QUIT" {
		return "", true
	}
	path := strings.TrimPrefix(command, "SCAN ")
	category, ok := linetest.Marked(path)
	reply := map[backends.Category]string{
		backends.OK:         clean,
		backends.Virus:      virus,
		backends.Suspicious: virus,
		backends.Encrypted:  encrypted,
		backends.Partial:    bomb,
		backends.SWErr:      denied,
	}[category]
	if !ok {
		reply = denied
	}
	return begin + strings.ReplaceAll(reply, "PATH", path) + end, false
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return open(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve(hello, '\n', fake)}).Address())
	}, backendtest.Options{
		Encrypted: true, Dial: open, Greeting: hello,
		Half: []backendtest.Words{backendtest.Composed(begin), backendtest.Composed("200 SCAN OK")},
	})
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "unix:/s", "scan.sock", map[string]func(*Config){
		"connect_timeout": func(c *Config) { c.ConnectTimeout = 0 },
	})
}

// exact reports whether a line has exactly one of the known texts, or a name.
func exact(text string) bool {
	for known := range errorTexts {
		if strings.HasSuffix(unescape(text), " "+known) {
			return true
		}
	}
	return strings.Contains(text, "\t[L]")
}

// TestRepeated plays a daemon that repeats everything up to 60 ms later.
func TestRepeated(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Repeats(linetest.Serve(hello, '\n', fake))})
	t.Logf("%d of 300 with a verdict, %d connections", linetest.Alternate(t, open(t, d.Address()), 10), d.Connections())
}

// TestLateAnswer checks that a scan runs again after an answer about another file on a kept
// connection.
func TestLateAnswer(t *testing.T) {
	one, two := backendtest.Bytes(t, []byte("x")), backendtest.Bytes(t, []byte("y"))
	path := func(o *backendtest.Object) string { return backendtest.RealPath(t, o) }
	say := func(s, path string) backendtest.Step {
		return backendtest.Send(backendtest.Composed(strings.ReplaceAll(s, "PATH", path)))
	}
	for _, late := range []string{begin + clean + end, begin + virus + end, end, "220 DAEMON\r\n"} {
		d := backendtest.StartDaemon(t, "unix",
			backendtest.Script{engine.Hello[0], engine.Request(path(one)), say(begin+clean+end, path(one)), engine.Request(path(two)), say(late, path(one)), backendtest.Drain()},
			backendtest.Script{engine.Hello[0], engine.Request(path(two)), say(begin+encrypted+end, path(two)), engine.Request(path(one)), say(begin+virus+end, path(one)), backendtest.Drain()},
			backendtest.Script{engine.Hello[0], engine.Request(path(two)), say(begin+virus+end, path(two)), backendtest.Drain()})
		b := open(t, d.Address())
		for i, want := range []backends.Category{backends.OK, backends.Encrypted, backends.Virus} {
			if r, err := b.Scan(t.Context(), []backends.Object{one, two, one}[i]); err != nil || r.Category != want {
				t.Errorf("%q: scan %d: %+v, %v", late, i, r, err)
			}
		}
		// The second connection was used for this path before, so there must be a third.
		if r, err := b.Scan(t.Context(), two); err != nil || r.Category != backends.Virus || d.Connections() != 3 {
			t.Errorf("%q: %+v, %v, %d connections", late, r, err, d.Connections())
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range cases {
		for _, l := range strings.Split(c.Reply, "\r\n") {
			if len(l) < 1000 {
				f.Add(strings.ReplaceAll(l, "PATH", "/p"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a backends.Answer
		if err := parse(text, "/p", texts.Keys{}, &a); err != nil {
			if a.Category() != "" {
				t.Errorf("%q: %s and %v", text, a.Category(), err)
			}
			return
		}
		if c := a.Category(); (c == backends.Encrypted || c == backends.Partial) && !exact(text) {
			t.Errorf("%q is %s", text, c)
		}
		if a.Category() == backends.OK && (!strings.Contains(text, "\t[+") || !strings.HasPrefix(text, "SCAN ")) {
			t.Errorf("%q is ok", text)
		}
	})
}
