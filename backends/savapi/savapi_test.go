package savapi

import (
	"io"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/ascii"
	"polyclam/backends/internal/engineconn/linetest"
)

const greeting = "100 SAVAPI:4.0\n"

func open(t *testing.T, address string) backends.Backend {
	t.Helper()
	return backendtest.Open(t, NewConfig, address, func(c *Config) {
		c.Product = "10776"
		c.Encrypted, c.Partial = []string{"file is encrypted"}, []string{"archive is damaged"}
		c.Harmless = []string{"x", "office", "nothing to see"}
	})
}

func want(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
func say(s string) backendtest.Step  { return backendtest.Send(backendtest.Composed(s)) }

var hello = backendtest.Script{
	say(greeting), want("SET PRODUCT 10776\n"), say("100 PRODUCT:10776\n"),
	want("SET ARCHIVE_SCAN 1\n"), say("100 ARCHIVE_SCAN:1\n"),
}

var engine = linetest.Engine{
	Open: open, Hello: hello,
	Request: func(path string) backendtest.Step { return want("SCAN " + path + "\n") },
}

const (
	alert = "310 Eicar-Test-Signature ; virus ; Contains signature of Eicar\n"
	inner = "310 a.tar --> b/c d <<< LINUX/X.gen ; virus ; Contains detection pattern\n"
	final = "319 OK\n"
)

var cases = []linetest.Case{
	linetest.Says("200 OK\n", backends.OK, 200),
	linetest.Says("210 OK\n", backends.OK, 210),
	linetest.Says("200\n", backends.OK, 200),
	linetest.Says(alert+final, backends.Virus, 310, "Eicar-Test-Signature"),
	linetest.Says("310 PATH <<< Eicar-Test-Signature ; virus ; text\n"+final, backends.Virus, 310, "Eicar-Test-Signature"),
	linetest.Says(alert+inner+alert+final, backends.Virus, 310, "Eicar-Test-Signature", "LINUX/X.gen", "Eicar-Test-Signature"),
	linetest.Says("420 X ; virus ; repairable\n"+alert+final, backends.Virus, 420, "X", "Eicar-Test-Signature"),
	linetest.Says(final, backends.Virus, 319),
	linetest.Says("310\n"+final, backends.Virus, 310),
	linetest.Says("310 X\n"+final, backends.Virus, 310, "X"),
	linetest.Says(alert+"200 OK\n", backends.Virus, 310, "Eicar-Test-Signature"),
	linetest.Both(alert+"350 error\n", backends.SWErr, backends.Virus, 310, "Eicar-Test-Signature"),
	linetest.Says("310 X ; heuristic ; text\n"+"200 OK\n", backends.Suspicious, 310, "X"),
	linetest.Says("310 X ; pua ; text\n"+"210 OK\n", backends.Suspicious, 310, "X"),
	linetest.Says("310 X ; ADWARE ; text\n"+"210 OK\n", backends.Suspicious, 310, "X"),
	linetest.Says("310 X ; trojan ; heuristic\n"+final, backends.Virus, 310, "X"),
	linetest.Says("310 heuristic ; virus ; pua\n"+final, backends.Virus, 310, "heuristic"),
	linetest.Says("310 X ; heuristic ; text\n"+final, backends.Suspicious, 310, "X"),
	linetest.Says("310 X ; heuristic ; text\n"+alert+final, backends.Virus, 310, "X", "Eicar-Test-Signature"),
	linetest.Says("422 macros\n"+final, backends.Virus, 319),
	linetest.Says("421 office\n200 OK\n", backends.OK, 200),
	linetest.Says("422 macros\n200 OK\n", backends.Suspicious, 422),
	linetest.Says("401 x\n423 x\n430 http://x\n450 x\n499 x\n210 OK\n", backends.OK, 210),
	linetest.Says("499 file is encrypted\n210 OK\n", backends.Encrypted, 499),
	linetest.Says("499 archive is damaged\n210 OK\n", backends.Partial, 499),
	linetest.Says("350 file is encrypted\n", backends.Encrypted, 350),
	linetest.Says("352 archive is damaged\n", backends.Partial, 352),
	linetest.Says("499 nothing to see\n210 OK\n", backends.OK, 210),
	linetest.Both("499 file is encrypted\n220 timeout\n", backends.Interrupted, backends.Encrypted, 499),
	linetest.Both("499 file is encrypted\n351 internal error\n", backends.SWErr, backends.Encrypted, 499),
	linetest.Both("499 file is encrypted\n499 archive is damaged\n500 error\n", backends.SWErr, backends.Encrypted, 499),
	linetest.Both("310 X ; pua ; text\n350 read error\n", backends.SWErr, backends.Suspicious, 310, "X"),
	// Only whole texts that the site lists are harmless.
	linetest.Says("499 x\n430 https://www.avira.com/a?b=c\n210 OK\n", backends.OK, 210),
	linetest.Fails("499 scan aborted: timeout\n210 OK\n", backends.SWErr),
	linetest.Fails("499 maximum recursion depth exceeded\n210 OK\n", backends.SWErr),
	linetest.Fails("499 unable to open member a.exe\n210 OK\n", backends.SWErr),
	linetest.Fails("499 nothing to see here\n210 OK\n", backends.SWErr),
	linetest.Fails("499\n210 OK\n", backends.SWErr),
	linetest.Fails("401 archive encrypted\n210 OK\n", backends.SWErr),
	linetest.Says("401 file is encrypted\n210 OK\n", backends.Encrypted, 401),
	linetest.Fails("421 not scanned\n210 OK\n", backends.SWErr),
	linetest.Fails("423 y\n210 OK\n", backends.SWErr),
	linetest.Fails("430 http://a b\n210 OK\n", backends.SWErr),
	linetest.Fails("450 http://a\n210 OK\n", backends.SWErr),
	linetest.Fails("450 plugin failed to load\n210 OK\n", backends.SWErr),
	linetest.Fails("350 x\n", backends.SWErr),
	linetest.Both("499 y\n"+alert+final, backends.SWErr, backends.Virus, 310, "Eicar-Test-Signature"),
	linetest.Fails("499 archive limit reached\n210 OK\n", backends.SWErr),
	linetest.Fails("499 File is encrypted\n210 OK\n", backends.SWErr),
	linetest.Fails("499 x: file is encrypted\n210 OK\n", backends.SWErr),
	// Words in a text prove nothing: it may contain the name of a member.
	linetest.Fails("350 password list.txt: read error\n", backends.SWErr),
	linetest.Fails("351 internal error, thread limit reached\n", backends.SWErr),
	linetest.Fails("350 File is encrypted\n", backends.SWErr),
	linetest.Fails("352 password protected\n", backends.SWErr),
	linetest.Fails("350 damaged archive\n", backends.SWErr),
	linetest.Fails("350 unsupported\n", backends.SWErr),
	linetest.Fails("350 license limit\n", backends.SWErr),
	// Another file.
	linetest.Fails("310 /etc/passwd <<< X ; virus ; text\n"+final, backends.SWErr),
	linetest.Fails("310 PATHx --> a <<< X ; virus ; text\n"+final, backends.SWErr),
	linetest.Says("310 PATH --> a <<< X ; virus ; text\n"+final, backends.Virus, 310, "X"),
	linetest.Fails("350 cannot open file\n", backends.SWErr),
	linetest.Fails("359\n", backends.SWErr),
	linetest.Fails("220 timeout\n", backends.Interrupted),
	linetest.Fails("440 iframe\n", backends.SWErr),
	linetest.Fails("500 error\n", backends.SWErr),
	linetest.Fails("530 license\n", backends.SWErr),
	// Not in the table.
	linetest.Fails("100 SAVAPI:4.0\n", backends.SWErr),
	linetest.Fails("100 X:1\n200 OK\n", backends.SWErr),
	linetest.Fails("199 pong\n", backends.SWErr),
	linetest.Fails("201 OK\n", backends.SWErr),
	linetest.Fails("2000 OK\n", backends.SWErr),
	linetest.Fails("200-OK\n", backends.SWErr),
	linetest.Fails(" 200 OK\n", backends.SWErr),
	linetest.Fails("OK\n", backends.SWErr),
	linetest.Fails("\n200 OK\n", backends.SWErr),
	linetest.Fails("\x16\x03\x01\x02\x00", backends.SWErr),
	linetest.Fails("430 "+strings.Repeat("A", 70<<10)+"\n200 OK\n", backends.SWErr),
	linetest.Fails("430 x\n", backends.SWErr),
	linetest.Fails("", backends.CannotExecute),
	linetest.Both(alert, backends.SWErr, backends.Virus, 310, "Eicar-Test-Signature"), // the virus still counts
	linetest.Trails("200 OK\n200 OK\n"),
	linetest.Trails("200 OK\n" + alert + final),
}

func TestAnswers(t *testing.T) { linetest.Answers(t, engine, cases) }

func TestBreaks(t *testing.T) { linetest.Breaks(t, engine, "200 OK\n", "430 x\n210 OK\n", alert+final) }

func TestSilence(t *testing.T) {
	linetest.Silence(t, engine, "")
	linetest.Silence(t, engine, "430 x\n")
}

func TestReuses(t *testing.T) { linetest.Reuses(t, engine, "200 OK\n", 3) }

// TestEmptyLine plays a service that waits for an empty line after each alert.
func TestEmptyLine(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", append(append(backendtest.Script{}, hello...),
		backendtest.WantUntil('\n', 1000, nil), say(alert), want("\n"), say(inner), want("\n"), say(final), want("QUIT\n"), backendtest.Drain()))
	r, err := open(t, d.Address()).Scan(t.Context(), backendtest.Bytes(t, []byte("x")))
	if err != nil || r.Category != backends.Virus || len(r.Findings) != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestHello(t *testing.T) {
	for name, script := range map[string]backendtest.Script{
		"another service":  {say("220 mail ESMTP\r\n")},
		"refuses":          {say("500 busy\n")},
		"product":          {say(greeting), want("SET PRODUCT 10776\n"), say("520 not licensed\n")},
		"another value":    {say(greeting), want("SET PRODUCT 10776\n"), say("100 PRODUCT:1\n")},
		"another key":      {say(greeting), want("SET PRODUCT 10776\n"), say("100 PRODUCTS:10776\n")},
		"a pong":           {say(greeting), want("SET PRODUCT 10776\n"), say("199 PRODUCT:10776\n")},
		"closes":           {say(greeting), want("SET PRODUCT 10776\n"), backendtest.Close()},
		"partial greeting": {say("100 SAVAPI")},
	} {
		d := backendtest.StartDaemon(t, "unix", append(script, backendtest.CloseWrite(), backendtest.Drain()))
		r, err := open(t, d.Address()).Scan(t.Context(), backendtest.Bytes(t, []byte("x")))
		if err == nil || name == "product" && !strings.Contains(err.Error(), "see key product") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestVersion(t *testing.T) {
	for reply, want := range map[string]backends.Version{
		"100 VDF:8.19.1.2\n": {Text: "Avira SAVAPI 4.0/8.19.1.2", Engine: "Avira SAVAPI 4.0", Database: "8.19.1.2"},
		"500 unknown\n":      {},
		"100 VDF:\n":         {},
		"":                   {},
	} {
		d := backendtest.StartDaemon(t, "unix", append(append(backendtest.Script{}, hello...),
			backendtest.Want(backendtest.Composed("GET SAVAPI\n")), say("100 SAVAPI:4.0\n"),
			backendtest.Want(backendtest.Composed("GET VDF\n")), say(reply), backendtest.CloseWrite(), backendtest.Drain()))
		got, err := open(t, d.Address()).(backends.Versioner).Version(t.Context())
		if got != want || (err == nil) != (want.Text != "") {
			t.Errorf("%q: %+v, %v", reply, got, err)
		}
	}
}

func fake(command string, _ io.Reader) (string, bool) {
	switch {
	case command == "QUIT":
		return "", true
	case command == "":
		return "", false
	case strings.HasPrefix(command, "SET "):
		return "100 " + strings.Replace(command[4:], " ", ":", 1) + "\n", false
	}
	category, ok := linetest.Marked(strings.TrimPrefix(command, "SCAN "))
	if !ok {
		return "350 cannot open file\n", false
	}
	return map[backends.Category]string{
		backends.OK:         "200 OK\n",
		backends.Virus:      alert + final,
		backends.Suspicious: "310 X ; pua ; text\n210 OK\n",
		backends.Encrypted:  "350 file is encrypted\n",
		backends.Partial:    "350 archive is damaged\n",
		backends.SWErr:      "350 internal error\n",
	}[category], false
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return open(t, backendtest.StartDaemon(t, "tcp", backendtest.Script{linetest.Serve(greeting, '\n', fake)}).Address())
	}, backendtest.Options{
		Encrypted: true, Dial: open, Network: "tcp", Greeting: greeting,
		Half: []backendtest.Words{backendtest.Composed("100 PRODUCT:10776\n"), backendtest.Composed("200 OK")},
	})
}

// TestRepeated plays a service that repeats everything up to 60 ms later, including its
// answers to settings.
func TestRepeated(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Repeats(linetest.Serve(greeting, '\n', fake))})
	t.Logf("%d of 300 with a verdict", linetest.Alternate(t, open(t, d.Address()), 10))
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "unix:/s", "4444", map[string]func(*Config){
		"product":               func(c *Config) {},
		`"1\n2"`:                func(c *Config) { c.Product = "1\n2" },
		`"X"`:                   func(c *Config) { c.Product, c.Settings = "1", []string{"X"} },
		`"X 1 2"`:               func(c *Config) { c.Product, c.Settings = "1", []string{"X 1 2"} },
		"connect_timeout":       func(c *Config) { c.Product, c.ConnectTimeout = "1", 0 },
		`harmless_texts: " "`:   func(c *Config) { c.Product, c.Harmless = "1", []string{" "} },
		`harmless_texts: "a\n"`: func(c *Config) { c.Product, c.Harmless = "1", []string{"a\n"} },
		`harmless_texts: "e" is in encrypted_texts`: func(c *Config) { c.Product, c.Harmless, c.Encrypted = "1", []string{"e"}, []string{"e"} },
	})
}

func FuzzParse(f *testing.F) {
	for _, c := range cases {
		if len(c.Reply) < 1000 {
			for _, l := range strings.Split(c.Reply, "\n") {
				f.Add(l)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, rest := ascii.Status(text, " ")
		if code == 0 {
			return
		}
		var a backends.Answer
		r := reading{Answer: &a, path: "/p"}
		final, err := r.add(code, rest)
		if final && a.Category() == "" && !a.Failed() || err != nil && a.Category() != "" {
			t.Errorf("%q: final %v, %q, %v", text, final, a.Category(), err)
		}
		switch c := a.Category(); {
		case c == backends.OK && code != 200 && code != 210:
			t.Errorf("%q is ok", text)
		case (c == backends.Encrypted || c == backends.Partial) && code != 310 && code != 420:
			t.Errorf("%q is %s", text, c)
		}
	})
}
