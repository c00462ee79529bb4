package fprot

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

const scan = "SCAN --scanlevel=2 --archive=2 --heurlevel=2 --adware --applications "

func open(t *testing.T, address string) backends.Backend { return openAs(t, address, Config{}) }

// openAs opens a backend with the values set in c instead of the defaults.
func openAs(t *testing.T, address string, c Config) backends.Backend {
	t.Helper()
	return backendtest.Open(t, NewConfig, address, func(config *Config) {
		if c.Protocol != "" {
			config.Protocol = c.Protocol
		}
		if c.Transport != "" {
			config.Transport = c.Transport
		}
		if c.Ports > 0 {
			config.Ports = c.Ports
		}
	})
}

var fpscand = linetest.Engine{
	Open: open,
	Request: func(path string) backendtest.Step {
		return backendtest.Want(backendtest.Composed(scan + "FILE " + path + "\n"))
	},
}

var cases = []linetest.Case{
	linetest.Says("0 <clean> PATH\n", backends.OK, 0),
	linetest.Says("1 <infected: EICAR_Test_File> PATH\n", backends.Virus, 1, "EICAR_Test_File"),
	linetest.Says("1 <contains infected objects: EICAR_Test_File> PATH->eicar.com\n", backends.Virus, 1, "EICAR_Test_File"),
	linetest.Says("1 <infected> PATH\n", backends.Virus, 1),
	linetest.Says("1 <infected: W32/X.gen (exact, not disinfectable)> PATH\n", backends.Virus, 1, "W32/X.gen (exact, not disinfectable)"),
	linetest.Says("128 <disinfected: X> PATH\n", backends.Virus, 128, "X"),
	linetest.Says("2 <suspicious: W32/Heur> PATH\n", backends.Suspicious, 2, "W32/Heur"),
	linetest.Says("64 <not scanned> PATH\n", backends.Encrypted, 64),
	linetest.Says("64 <unscannable: encrypted> PATH->a b.txt\n", backends.Encrypted, 64),
	linetest.Says("8 <restricted> PATH\n", backends.Partial, 8),
	linetest.Says("65 <infected: X> PATH->y\n", backends.Virus, 65, "X"),
	linetest.Says("66 <suspicious: X> PATH\n", backends.Suspicious, 66, "X"),
	linetest.Says("3 <infected: X> PATH\n", backends.Virus, 3, "X"),
	linetest.Both("255 <infected: X> PATH\n", backends.SWErr, backends.Virus, 255, "X"),
	linetest.Both("17 <infected: X> PATH\n", backends.SWErr, backends.Virus, 17, "X"),
	linetest.Both("6 <suspicious: X> PATH\n", backends.Interrupted, backends.Suspicious, 6, "X"),
	linetest.Says("72 <not scanned> PATH\n", backends.Encrypted, 72),
	linetest.Fails("4 <interrupted> PATH\n", backends.Interrupted),
	linetest.Both("12 <interrupted> PATH\n", backends.Interrupted, backends.Partial, 12),
	linetest.Fails("20 <interrupted> PATH\n", backends.SWErr),
	linetest.Fails("16 <I/O error> PATH\n", backends.SWErr),
	linetest.Fails("32 <internal error> PATH\n", backends.SWErr),
	linetest.Both("80 <not scanned> PATH\n", backends.SWErr, backends.Encrypted, 80),
	linetest.Both("96 <not scanned> PATH\n", backends.SWErr, backends.Encrypted, 96),
	// Not in the table.
	linetest.Fails("0 <ok> PATH\n", backends.SWErr),
	linetest.Fails("0 <not scanned> PATH\n", backends.SWErr),
	linetest.Fails("0 <infected: X> PATH\n", backends.SWErr),
	linetest.Fails("0 clean PATH\n", backends.SWErr),
	linetest.Fails("0 <clean>\n", backends.SWErr),
	linetest.Fails("0 <clean> /etc/passwd\n", backends.SWErr),
	linetest.Fails("0 <clean> PATHx\n", backends.SWErr),
	linetest.Fails("0 <clean> x PATH\n", backends.SWErr),
	linetest.Fails(" 0 <clean> PATH\n", backends.SWErr),
	linetest.Fails("-1 <infected: X> PATH\n", backends.SWErr),
	linetest.Fails("256 <clean> PATH\n", backends.SWErr),
	linetest.Fails("1000 <infected: X> PATH\n", backends.SWErr),
	linetest.Fails("8 <File not found>\n", backends.SWErr),
	linetest.Fails("1 <infected: X> /other\n", backends.SWErr),
	linetest.Fails("FPSCAND:6.7.10 ENGINE:4.6.5.141 PROTOCOL:1.0 SIGNATURE:201902092248 UPTIME:1234\n", backends.SWErr),
	linetest.Fails("\n", backends.SWErr),
	linetest.Fails("\x16\x03\x01\x02\x00", backends.SWErr),
	linetest.Fails("0 <clean> PATH", backends.SWErr),
	linetest.Fails("64 <not scanned> PATH->"+strings.Repeat("A", 70<<10)+"\n", backends.SWErr),
	linetest.Fails("", backends.CannotExecute),
	// Two answers, and a member whose name contains another answer.
	linetest.Trails("0 <clean> PATH\n0 <clean> PATH\n"),
	linetest.Trails("0 <clean> PATH\n1 <infected: X> PATH\n"),
	linetest.Both("64 <not scanned> PATH->a\n0 <clean> PATH\n", backends.SWErr, backends.Encrypted, 64).Together(),
	linetest.Both("1 <infected: X> PATH->a\n0 <clean> PATH\n", backends.SWErr, backends.Virus, 1, "X").Together(),
	linetest.Says("1 <infected: X> PATH->> PATH->y\n", backends.Virus, 1, "X"),
}

func TestAnswers(t *testing.T) { linetest.Answers(t, fpscand, cases) }

func TestBreaks(t *testing.T) {
	linetest.Breaks(t, fpscand, "0 <clean> PATH\n", "64 <not scanned> PATH->x\n", "1 <infected: X> PATH\n")
}

func TestSilence(t *testing.T) {
	linetest.Silence(t, fpscand, "")
	linetest.Silence(t, fpscand, "0 <clean> PATH")
}

func TestReuses(t *testing.T) { linetest.Reuses(t, fpscand, "0 <clean> PATH\n", 1) }

// streamRequest matches a request of transport "stream".
var streamRequest = regexp.MustCompile(`^` + regexp.QuoteMeta(scan) + `STREAM (stream-\d+) SIZE (\d+)\n$`)

// TestStreamEarly checks that an answer before the end of the object counts only if it is
// a detection.
func TestStreamEarly(t *testing.T) {
	large := backendtest.LargeObject(t, 8<<20)
	for reply, want := range map[string]backends.Category{
		"0 <clean> stream-1\n":           backends.SWErr,
		"0 <clean> stream-2\n":           backends.SWErr,
		"8 <too large> stream-1\n":       backends.SWErr,
		"1 <infected: X> stream-1\n":     backends.Virus,
		"32 <no space left> stream-1\n":  backends.SWErr,
		"64 <not scanned> stream-1->a\n": backends.SWErr,
		"2 <suspicious: X> stream-1\n":   backends.Suspicious,
	} {
		for name, rest := range map[string]backendtest.Step{"hangs": backendtest.Hang(), "drains": backendtest.Drain()} {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{
				backendtest.WantUntil('\n', 200, streamRequest.MatchString), backendtest.Send(backendtest.Composed(reply)), rest})
			b := openAs(t, d.Address(), Config{Transport: transportStream})
			r, err := b.Scan(t.Context(), large)
			got := r.Category
			if err != nil {
				got = backends.CategoryOf(err)
			}
			if got != want {
				t.Errorf("%q, then %s: %+v, %v", reply, name, r, err)
			}
			b.(io.Closer).Close()
		}
	}
}

// TestStreamNames checks that the answer to another scan does not count, and that on a
// kept connection the scan runs again.
func TestStreamNames(t *testing.T) {
	ask := func(reply string) backendtest.Script {
		return backendtest.Script{backendtest.WantUntil('\n', 200, streamRequest.MatchString), backendtest.Discard(1), backendtest.Send(backendtest.Composed(reply))}
	}
	d := backendtest.StartDaemon(t, "unix",
		append(append(ask("0 <clean> stream-1\n"), ask("0 <clean> stream-1\n")...), backendtest.Drain()),
		append(ask("1 <infected: X> stream-3\n"), backendtest.Drain()),
		append(ask("0 <clean> stream-1\n"), backendtest.Drain()))
	b, o := openAs(t, d.Address(), Config{Transport: transportStream}), backendtest.Bytes(t, []byte("x"))
	for i, want := range []backends.Category{backends.OK, backends.Virus} {
		if r, err := b.Scan(t.Context(), o); err != nil || r.Category != want {
			t.Errorf("scan %d: %+v, %v", i, r, err)
		}
	}
	b.(io.Closer).Close()
	if r, err := b.Scan(t.Context(), o); err == nil {
		t.Errorf("on a new connection: %+v", r)
	}
}

// TestRepeated plays a daemon that repeats everything up to 60 ms later.
func TestRepeated(t *testing.T) {
	for _, transport := range []string{transportPath, transportStream} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Repeats(linetest.Serve("", '\n', fake))})
		b := openAs(t, d.Address(), Config{Transport: transport})
		t.Logf("%s: %d of 300 with a verdict, %d connections", transport, linetest.Alternate(t, b, 10), d.Connections())
	}
}

func TestVersion(t *testing.T) {
	const help = "FPSCAND:6.7.10 ENGINE:4.6.5.141 PROTOCOL:1.0 SIGNATURE:201902092248 UPTIME:1234\n"
	for reply, want := range map[string]backends.Version{
		help:        {Text: "F-PROT 6.7.10 engine 4.6.5.141/201902092248", Engine: "F-PROT 6.7.10 engine 4.6.5.141", Database: "201902092248", DatabaseTime: time.Date(2019, 2, 9, 22, 48, 0, 0, time.UTC)},
		help + "\n": {Text: "F-PROT 6.7.10 engine 4.6.5.141/201902092248", Engine: "F-PROT 6.7.10 engine 4.6.5.141", Database: "201902092248", DatabaseTime: time.Date(2019, 2, 9, 22, 48, 0, 0, time.UTC)},
		"FPSCAND:6 ENGINE:4 PROTOCOL:1 SIGNATURE:x UPTIME:1\n": {Text: "F-PROT 6 engine 4/x", Engine: "F-PROT 6 engine 4", Database: "x"},
		"nonsense\n": {}, "": {}, "FPSCAND:6": {},
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Want(backendtest.Composed("HELP\n")), backendtest.Send(backendtest.Composed(reply)), backendtest.CloseWrite(), backendtest.Drain()})
		got, err := open(t, d.Address()).(backends.Versioner).Version(t.Context())
		if got != want || (err == nil) != (want.Text != "") {
			t.Errorf("%q: %+v, %v", reply, got, err)
		}
	}
}

// statuses are the answers of the fake.
var statuses = map[backends.Category]string{
	backends.OK:         "0 <clean> %s\n",
	backends.Virus:      "1 <infected: EICAR_Test_File> %s\n",
	backends.Suspicious: "2 <suspicious: X> %s\n",
	backends.Encrypted:  "64 <not scanned> %s\n",
	backends.Partial:    "8 <restricted> %s\n",
	backends.SWErr:      "32 <internal error> %s\n",
}

func fake(command string, body io.Reader) (string, bool) {
	if command == "QUIT" {
		return "", true
	}
	if m := streamRequest.FindStringSubmatch(command + "\n"); m != nil {
		n, _ := strconv.Atoi(m[2])
		data := make([]byte, n)
		if _, err := io.ReadFull(body, data); err != nil {
			return "", true
		}
		return fmt.Sprintf(statuses[backendtest.Marked(data)], m[1]), false
	}
	path := strings.TrimPrefix(command, scan+"FILE ")
	category, ok := linetest.Marked(path)
	if !ok {
		return "16 <Permission denied> " + path + "\n", false
	}
	return fmt.Sprintf(statuses[category], path), false
}

func TestConformance(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, transport := range []string{transportPath, transportStream} {
		g.Run(transport, func(t *testing.T) {
			dial := func(t *testing.T, address string) backends.Backend {
				return openAs(t, address, Config{Transport: transport})
			}
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				return dial(t, backendtest.StartDaemon(t, "tcp", backendtest.Script{linetest.Serve("", '\n', fake)}).Address())
			}, backendtest.Options{
				Encrypted: true, Dial: dial, Network: "tcp",
				Half: []backendtest.Words{backendtest.Composed("0 <clean"), backendtest.Composed("0 <clean> stream-1")},
			})
		})
	}
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "tcp:127.0.0.1:10200", "10200", map[string]func(*Config){
		"protocol":         func(c *Config) { c.Protocol = "x" },
		"transport":        func(c *Config) { c.Transport = "fildes" },
		"takes only paths": func(c *Config) { c.Protocol, c.Transport = protocolFprotd, transportStream },
		"ports":            func(c *Config) { c.Ports = 0 },
		"not 21":           func(c *Config) { c.Ports = 21 },
		"options":          func(c *Config) { c.Options = []string{"--a b"} },
		`"FILE"`:           func(c *Config) { c.Options = []string{"-a", "FILE"} },
		`"--x\n"`:          func(c *Config) { c.Options = []string{"--x\n"} },
		"connect_timeout":  func(c *Config) { c.ConnectTimeout = 0 },
	})
	b := backendtest.Open(t, NewConfig, "tcp:127.0.0.1:10200", func(c *Config) { c.Options = []string{} }).(*Backend)
	if b.request != "SCAN" {
		t.Errorf("without options: %q", b.request)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range cases {
		if len(c.Reply) < 1000 {
			f.Add(strings.ReplaceAll(strings.TrimRight(c.Reply, "\n"), "PATH", "/p"))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a backends.Answer
		err := parse(text, "/p", &a)
		if known := a.Category() != "" || a.Failed(); known == (err != nil) {
			t.Errorf("%q: %q and %v", text, a.Category(), err)
		}
		if a.Category() == backends.OK && !strings.HasSuffix(strings.Split(text, "->")[0], "0 <clean> /p") {
			t.Errorf("%q is ok", text)
		}
	})
}
