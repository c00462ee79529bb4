package fsecure

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

const greeting = "DBVERSION\t2017-07-08_08\n"

// settings are the commands on a new connection.
var settings = []string{
	"PROTOCOL\t9", "CONFIGURE\tSTOPONFIRST\t0", "CONFIGURE\tARCHIVE\t1", "CONFIGURE\tMAXARCH\t5",
	"CONFIGURE\tMIME\t1", "CONFIGURE\tRISKWARE\t1", "CONFIGURE\tFILTER\t0", "CONFIGURE\tTIMEOUT\t60",
}

func open(t *testing.T, address string) backends.Backend {
	t.Helper()
	return backendtest.Open(t, NewConfig, address, func(c *Config) {
		c.Encrypted, c.Partial = []string{"File is encrypted"}, []string{"Corrupted archive"}
	})
}

// hello plays a new connection, with noise before each answer.
func hello(greeting, noise string) backendtest.Script {
	s := backendtest.Script{backendtest.Send(backendtest.Composed(greeting))}
	for _, command := range settings {
		s = append(s, backendtest.Want(backendtest.Composed(command+"\n")), backendtest.Send(backendtest.Composed(noise+"OK\tdone\n")))
	}
	return s
}

var engine = linetest.Engine{
	Open:  open,
	Hello: hello(greeting, ""),
	Request: func(path string) backendtest.Step {
		return backendtest.Want(backendtest.Composed("SCAN\t" + path + "\n"))
	},
}

const (
	end   = "OK\tScan ok.\n"
	clean = "CLEAN\tPATH\n"
	into  = "OPEN_ARCHIVE\tPATH\n"
	out   = "CLOSE_ARCHIVE\tPATH\n"
	virus = "ARCHIVE_INFECTED\tPATH/eicar.com\tEICAR_Test_File\tFSE\t0\t0\t0\t0\n"
)

// fault returns an answer with one failure.
func fault(text string) string { return "SCAN_FAILURE\tPATH\t0x12\t" + text + " [FSE]\n" + end }

var cases = []linetest.Case{
	linetest.Says(clean+end, backends.OK, 0),
	linetest.Says(end, backends.OK, 0),
	linetest.Fails("OK\n", backends.SWErr), // may answer a setting
	linetest.Fails("OK\tdone\n", backends.SWErr),
	linetest.Fails(clean+"OK\tdone\n", backends.SWErr),
	linetest.Says(into+out+end, backends.OK, 0),
	linetest.Says("PING\nPING\n"+clean+"PING\n"+end, backends.OK, 0),
	linetest.Says(clean+end+"PING\n", backends.OK, 0),
	linetest.Says(clean+end+"PING\nPI", backends.OK, 0),
	linetest.Says(into+virus+out+end, backends.Virus, 1, "EICAR_Test_File"),
	linetest.Says("INFECTED\tPATH\tEICAR_Test_File\tFSE\n"+end, backends.Virus, 1, "EICAR_Test_File"),
	linetest.Says("INFECTED\tPATH\n"+end, backends.Virus, 1),
	linetest.Says("MIME_INFECTED\tPATH\tX\tLibra\t0\t0\t0\t0\n"+end, backends.Virus, 1, "X"),
	linetest.Says("ARCHIVE_INFECTED\t[1] SWIFTMT103.exe\tTrojan.GenericKD.40336677\tAquarius\t0\t0\t0\t0\n"+end, backends.Virus, 1, "Trojan.GenericKD.40336677"),
	linetest.Says("INFECTED\tPATH\tA\tFSE\nINFECTED\tPATH\tB\tLibra\n"+end, backends.Virus, 1, "A", "B"),
	linetest.Says("SUSPECTED\tPATH\tX\tFSE\n"+end, backends.Suspicious, 1, "X"),
	linetest.Says("ARCHIVE_SUSPECTED\tx\tX\tFSE\n"+end, backends.Suspicious, 1, "X"),
	linetest.Says("MIME_SUSPECTED\tx\tX\tFSE\n"+end, backends.Suspicious, 1, "X"),
	linetest.Says("RISKWARE\tPATH\tX\tFSE\n"+end, backends.Suspicious, 1, "X"),
	linetest.Says("ARCHIVE_RISKWARE\tx\tX\tFSE\n"+end, backends.Suspicious, 1, "X"),
	linetest.Says("MIME_RISKWARE\tx\tX\tFSE\n"+end, backends.Suspicious, 1, "X"),
	linetest.Both("RISKWARE\tPATH\tY\tFSE\n"+virus+fault("Encrypted"), backends.SWErr, backends.Virus, 1, "Y", "EICAR_Test_File"),
	linetest.Says(fault("File is encrypted"), backends.Encrypted, 0x12),
	linetest.Says(clean+fault("File is encrypted"), backends.Encrypted, 0x12),
	linetest.Says(fault("Corrupted archive"), backends.Partial, 0x12),
	linetest.Says("SCAN_FAILURE\tPATH\tx\tFile is encrypted\n"+end, backends.Encrypted, backends.NoCode),
	linetest.Both("SCAN_FAILURE\tPATH/a\t0x12\tFile is encrypted [FSE]\n"+fault("Scan timed out"), backends.SWErr, backends.Encrypted, 0x12),
	linetest.Both("SCAN_FAILURE\tPATH/a\t0x12\tCorrupted archive [FSE]\n"+fault("Internal error"), backends.SWErr, backends.Partial, 0x12),
	// Words prove nothing.
	linetest.Fails(fault("out of memory limit"), backends.SWErr),
	linetest.Fails(fault("file is encrypted"), backends.SWErr),
	linetest.Fails(fault("File is encrypted!"), backends.SWErr),
	linetest.Fails(fault("x: File is encrypted"), backends.SWErr),
	linetest.Fails(fault("Password protected"), backends.SWErr),
	linetest.Fails(fault("Archive bomb"), backends.SWErr),
	linetest.Fails(fault("Limit exceeded"), backends.SWErr),
	linetest.Fails(fault("Unsupported format"), backends.SWErr),
	linetest.Fails(fault("Scan timed out"), backends.SWErr),
	linetest.Fails(fault("Cannot open file"), backends.SWErr),
	linetest.Fails(fault("Permission denied: limit"), backends.SWErr),
	linetest.Fails(fault("License expired, password"), backends.SWErr),
	linetest.Fails("SCAN_FAILURE\n"+end, backends.SWErr),
	linetest.Fails("SCAN_FAILURE\tPATH\n"+end, backends.SWErr),
	// Not in the table.
	linetest.Fails("ERROR\tno such file\n", backends.SWErr),
	linetest.Fails(clean+"ERROR\tbroken\n", backends.SWErr),
	linetest.Fails("CLEAN\t/etc/passwd\n"+end, backends.SWErr),
	linetest.Fails("CLEAN\n"+end, backends.SWErr),
	linetest.Fails("CLEAN\tPATHx\n"+end, backends.SWErr),
	linetest.Fails("CLEAN\tPATH\tx\n"+end, backends.SWErr),
	linetest.Fails("CLEAN\tPATH/x\n"+end, backends.SWErr),
	linetest.Fails("CLEAN PATH\n"+end, backends.SWErr),
	linetest.Fails("INFECTED\t/etc/passwd\tX\n"+end, backends.SWErr),
	linetest.Fails("infected\tPATH\tX\n"+end, backends.SWErr),
	linetest.Fails("MAYBE\tPATH\n"+end, backends.SWErr),
	linetest.Fails("OKAY\n", backends.SWErr),
	linetest.Fails("DBVERSION\t1\n"+end, backends.SWErr),
	linetest.Fails("\n"+end, backends.SWErr),
	linetest.Fails("\x16\x03\x01\x02\x00", backends.SWErr),
	linetest.Fails(strings.Repeat("A", 70<<10)+"\n"+end, backends.SWErr),
	linetest.Fails(strings.Repeat("PING\n", 100_001)+end, backends.SWErr),
	linetest.Fails("", backends.CannotExecute),
	linetest.Trails(clean + end + end),
	linetest.Trails(end + virus + end), // although the connection is not kept
	linetest.Trails(clean + end + "PONG\n"),
	linetest.Trails(clean + end + "PING\n" + virus),
	linetest.Both(virus+end+clean+end, backends.SWErr, backends.Virus, 1, "EICAR_Test_File").Together(),
	linetest.Both(virus+"ERROR\tbroken\n", backends.SWErr, backends.Virus, 1, "EICAR_Test_File"),
	// The name of a member contains a line feed.
	linetest.Both("ARCHIVE_INFECTED\tPATH/a\nOK\tScan ok.\n\tX\tFSE\n", backends.SWErr, backends.Virus, 1).Together(),
}

func TestAnswers(t *testing.T) { linetest.Answers(t, engine, cases) }

func TestBreaks(t *testing.T) {
	linetest.Breaks(t, engine, clean+end[:2], into+out+fault("encrypted")[:40], virus+"OK")
}

func TestSilence(t *testing.T) {
	linetest.Silence(t, engine, "PING\n")
	linetest.Silence(t, engine, clean)
}

func TestReuses(t *testing.T) {
	linetest.Reuses(t, engine, clean+end, 1)
	linetest.Reuses(t, engine, end, 3) // does not name the path
}

// TestLateAnswer checks that a scan runs again after an answer that does not name the
// file, or names another one, on a kept connection.
func TestLateAnswer(t *testing.T) {
	for _, late := range []string{end, "ARCHIVE_INFECTED\t[1] x\tX\tFSE\n" + end, clean + end, into + virus + out + end, "OK\tdone\n"} {
		objects := []backends.Object{backendtest.Bytes(t, []byte("x")), backendtest.Bytes(t, []byte("y"))}
		ask := func(i int) backendtest.Step { return engine.Request(backendtest.RealPath(t, objects[i])) }
		say := func(s string, i int) backendtest.Step {
			return backendtest.Send(backendtest.Composed(strings.ReplaceAll(s, "PATH", backendtest.RealPath(t, objects[i]))))
		}
		first := append(append(backendtest.Script{}, engine.Hello...), ask(0), say(clean+end, 0), ask(1), say(late, 0), backendtest.Drain())
		second := append(append(backendtest.Script{}, engine.Hello...), ask(1), say(virus+end, 1), backendtest.Drain())
		d := backendtest.StartDaemon(t, "unix", first, second)
		b := open(t, d.Address())
		for i, want := range []backends.Category{backends.OK, backends.Virus} {
			if r, err := b.Scan(t.Context(), objects[i]); err != nil || r.Category != want || len(r.Findings) > 1 {
				t.Errorf("%q: got %+v, %v", late, r, err)
			}
		}
	}
}

// TestRepeated plays a daemon that repeats everything up to 60 ms later, including its
// answers to settings.
func TestRepeated(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Repeats(linetest.Serve(greeting, '\n', fake))})
	t.Logf("%d of 300 with a verdict, %d connections", linetest.Alternate(t, open(t, d.Address()), 10), d.Connections())
}

// TestHello plays new connections with and without a greeting and noise.
func TestHello(t *testing.T) {
	for name, tt := range map[string]struct {
		hello backendtest.Script
		want  backends.Category
	}{
		"old":     {hello("", ""), backends.OK},
		"noise":   {hello("PING\n"+greeting, "PING\n"), backends.OK},
		"refuses": {append(hello(greeting, "")[:2:2], backendtest.Send(backendtest.Composed("ERROR\tprotocol\n"))), backends.SWErr},
		"closes":  {append(hello(greeting, "")[:2:2], backendtest.Close()), backends.SWErr},
		"other":   {backendtest.Script{backendtest.Send(backendtest.Composed("220 hello\r\n"))}, backends.SWErr},
	} {
		e := engine
		e.Hello = tt.hello
		d := backendtest.StartDaemon(t, "unix", append(append(backendtest.Script{}, tt.hello...),
			backendtest.WantUntil('\n', 1000, nil), backendtest.Send(backendtest.Composed(end)), backendtest.Drain()))
		r, err := open(t, d.Address()).Scan(t.Context(), backendtest.Bytes(t, []byte("x")))
		if (err == nil) != (tt.want == backends.OK) || err == nil && r.Category != tt.want || err != nil && !backends.CategoryOf(err).IsFailure() {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]backends.Version{
		greeting:            {Text: "F-Secure fsavd/2017-07-08_08", Engine: "F-Secure fsavd", Database: "2017-07-08_08", DatabaseTime: time.Date(2017, 7, 8, 0, 0, 0, 0, time.UTC)},
		"DBVERSION\tx\n":    {Text: "F-Secure fsavd/x", Engine: "F-Secure fsavd", Database: "x"},
		"":                  {},
		"DBVERSION\n":       {},
		"DBVERSION\ta b\n":  {},
		"DBVERSION\t\x01\n": {},
		"nonsense\n":        {},
	} {
		d := backendtest.StartDaemon(t, "unix", append(hello(text, ""), backendtest.Drain()))
		got, err := open(t, d.Address()).(backends.Versioner).Version(t.Context())
		if got != want || (err == nil) != (want.Text != "") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func fake(command string, _ io.Reader) (string, bool) {
	path, ok := strings.CutPrefix(command, "SCAN\t")
	if !ok {
		return "OK\tdone\n", false
	}
	category, ok := linetest.Marked(path)
	reply := map[backends.Category]string{
		backends.OK:         clean + end,
		backends.Virus:      into + virus + out + end,
		backends.Suspicious: "RISKWARE\tPATH\tX\tFSE\t0\t0\t0\t0\n" + end,
		backends.Encrypted:  fault("File is encrypted"),
		backends.Partial:    fault("Corrupted archive"),
		backends.SWErr:      fault("Internal error"),
	}[category]
	if !ok {
		reply = fault("Permission denied")
	}
	return strings.ReplaceAll("PING\n"+reply, "PATH", path), false
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return open(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve(greeting, '\n', fake)}).Address())
	}, backendtest.Options{
		Encrypted: true, Dial: open, Greeting: greeting,
		Half: []backendtest.Words{backendtest.Composed("OK"), backendtest.Composed("OK\tdone\n")},
	})
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "unix:/s", ".fsav-0", map[string]func(*Config){
		"protocol":        func(c *Config) { c.Protocol = -1 },
		"at least one":    func(c *Config) { c.Protocol, c.Settings = 0, nil },
		`"A"`:             func(c *Config) { c.Settings = []string{"A"} },
		`"A\tB C"`:        func(c *Config) { c.Settings = []string{"A\tB C"} },
		`"A B\nSCAN"`:     func(c *Config) { c.Settings = []string{"A B\nSCAN"} },
		"connect_timeout": func(c *Config) { c.ConnectTimeout = 0 },
	})
	b := backendtest.Open(t, NewConfig, "unix:/s", func(c *Config) { c.Protocol = 0 }).(*Backend)
	if b.settings[0] != "CONFIGURE\tSTOPONFIRST\t0" {
		t.Errorf("without a protocol: %q", b.settings)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range cases {
		if len(c.Reply) < 1000 {
			for _, l := range strings.Split(c.Reply, "\n") {
				f.Add(strings.ReplaceAll(l, "PATH", "/p"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a backends.Answer
		kind, err := parse(text, "/p", texts.Keys{}, &a)
		if err != nil && (a.Category() != "" || kind != lineNoise) {
			t.Errorf("%q: %q, %v, %v", text, a.Category(), kind, err)
		}
		if c := a.Category(); c == backends.OK && text != "CLEAN\t/p" || (c == backends.Encrypted || c == backends.Partial) && !strings.Contains(text, "INFECTED") {
			t.Errorf("%q is %s", text, c)
		}
	})
}
