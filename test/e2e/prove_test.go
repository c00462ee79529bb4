package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/protocol/extended"
	"polyclam/test/cicaptest"
	"polyclam/test/clamdtest"
)

// node is the NODE record of the only engine.
func node(t *testing.T, p *clamdtest.Polyclam) extended.Record {
	t.Helper()
	reply, err := ask("unix", p.Socket, "nXSTATUS\n")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(reply) {
		r, err := extended.Parse(strings.TrimSuffix(line, "\n"))
		if err == nil && r.Word == "NODE" {
			return r
		}
	}
	return extended.Record{}
}

// TestHeuristicScanPrecedence: a clamd with this option stops at an encrypted member
// and never sees the virus next to it. The client gets FOUND, as it does from clamd,
// and OK for a locked archive from an honest clamd, as the policy says.
func TestHeuristicScanPrecedence(t *testing.T) {
	tests := []struct {
		name          string
		conf          []string
		stops         string
		locked, mixed string
	}{
		{"honest", []string{"AlertEncrypted yes"}, "", "stream: OK\x00", "stream: Eicar-Test-Signature.UNOFFICIAL FOUND\x00"},
		{"first heuristic", []string{"AlertEncrypted yes", "HeuristicScanPrecedence yes"}, "true",
			"stream: Heuristics.Encrypted.Zip FOUND\x00", "stream: Heuristics.Encrypted.Zip FOUND\x00"},
		{"first limit", []string{"AlertExceedsMax yes", "HeuristicScanPrecedence yes"}, "true",
			"stream: OK\x00", "stream: Eicar-Test-Signature.UNOFFICIAL FOUND\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clamd := clamdtest.Start(t, clamdtest.Options{Conf: tt.conf})
			p := clamdtest.StartPolyclam(t, config(clamd.Socket, ""), clamdtest.Options{})
			poll(t, "the health check", func() bool { return node(t, p).Get("state") == "up" })
			if n := node(t, p); n.Get("heuristics_first") != tt.stops || n.Get("canary_clean") != "ok" {
				t.Errorf("%s", n)
			}
			for object, want := range map[string]string{
				string(testfile.Encrypted()):       tt.locked,
				string(testfile.LockedThenEICAR()): tt.mixed,
				"a text":                           "stream: OK\x00",
			} {
				if got, err := ask("unix", p.Socket, instream(object)); err != nil || got != want {
					t.Errorf("%.20q: %q, error %v, want %q", object, got, err, want)
				}
			}
			if tt.name == "first limit" {
				got, err := ask("unix", p.Socket, instream(string(testfile.DeepThenEICAR())))
				if want := "stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND\x00"; err != nil || got != want {
					t.Errorf("nested: %q, error %v, want %q", got, err, want)
				}
			}
		})
	}
}

// TestMaxFileSize: clamd says OK without scanning objects over MaxFileSize, unless
// AlertExceedsMax is on. The daemon finds that out, warns, and calls them partial.
func TestMaxFileSize(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name    string
		conf    []string
		limited bool
		scanned string
	}{
		{"large enough", nil, false, strconv.Itoa(20 * mib)},
		{"5M", []string{"MaxFileSize 5M"}, true, ""},
		{"5M with an alert", []string{"MaxFileSize 5M", "AlertExceedsMax yes"}, false, ""},
		{"scan size 10M", []string{"MaxScanSize 10M"}, true, ""},
	}
	for _, transport := range []string{"fildes", "stream"} {
		for _, tt := range tests {
			t.Run(transport+"/"+tt.name, func(t *testing.T) {
				clamd := clamdtest.Start(t, clamdtest.Options{Conf: tt.conf})
				p := clamdtest.StartPolyclam(t, config(clamd.Socket, "max_size = \"20MiB\"\ntransport = \""+transport+"\""), clamdtest.Options{})
				poll(t, "the size check", func() bool {
					n := node(t, p)
					if n.Get("state") == "up" && !tt.limited && tt.scanned == "" {
						return true // nothing shows that the object is over the limit
					}
					return n.Get("scanned") != ""
				})
				n := node(t, p)
				above, _ := strconv.ParseInt(n.Get("unscanned_above"), 10, 64)
				if (above != 0) != tt.limited || above > 10*mib || !tt.limited && n.Get("scanned") != tt.scanned {
					t.Errorf("%s", n)
				}
				if warned := strings.Contains(p.Log(), `"unscanned_above":`); warned != tt.limited {
					t.Errorf("warned %t, want %t", warned, tt.limited)
				}
				data, err := testfile.Large(12 * mib)
				if err != nil {
					t.Fatal(err)
				}
				object := make([]byte, data.Size())
				if _, err := data.ReadAt(object, 0); err != nil {
					t.Fatal(err)
				}
				got, err := ask("unix", p.Socket, strings.Replace(instream(string(object)), "zINSTREAM", "zXINSTREAM", 1))
				if err != nil {
					t.Fatal(err)
				}
				want := "category=virus"
				if len(tt.conf) > 0 {
					want = "category=partial"
				}
				if !strings.Contains(got, want) {
					t.Errorf("%.300q, want %s", got, want)
				}
			})
		}
	}
}

// TestLoop: a daemon whose engine is itself under another name notices, and no scan
// loops.
func TestLoop(t *testing.T) {
	for _, backend := range []string{"clamd", "polyclam"} {
		t.Run(backend, func(t *testing.T) {
			p := clamdtest.StartPolyclam(t, fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"
[[listener]]
address = "tcp:127.0.0.1:${PORT}"
[[engine]]
name = "me"
backend = %q
address = "tcp:localhost:${PORT}"
timeout = "5s"
`, backend), clamdtest.Options{})
			poll(t, "the loop", func() bool {
				return strings.Contains(node(t, p).Get("reason"), "asks polyclam itself, through the listener tcp:")
			})
			if n := node(t, p); n.Get("state") != "down" {
				t.Errorf("%s", n)
			}
			got, err := ask("unix", p.Socket, instream("a text"))
			if err != nil || !strings.HasSuffix(got, " ERROR\x00") {
				t.Errorf("%q, error %v", got, err)
			}
		})
	}
}

// TestLoopThroughOthers builds loops through real programs: c-icap with clamd_mod, and
// clamdscan with a descriptor, a path and a stream. The daemon has a second engine, as
// most have.
func TestLoopThroughOthers(t *testing.T) {
	clamdscan := clamdtest.RequireProgram(t, "clamdscan")
	const plain = `
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"
path_commands = true
[[engine]]
name = "inspect"
backend = "inspect"
[spool]
directory = "${DIR}/tmp"
path_mode = "0640"
`
	command := func(options ...string) func(t *testing.T, p *clamdtest.Polyclam) string {
		return func(t *testing.T, p *clamdtest.Polyclam) string {
			conf := filepath.Join(p.Dir, "c.conf") // readable for its account
			write(t, conf, "LocalSocket "+p.Socket+"\n", 0o644)
			argv := append([]string{clamdscan, "--config-file=" + conf, "--stdout", "--no-summary"}, options...)
			quoted, err := json.Marshal(append(argv, "{path}"))
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("backend = \"command\"\npreset = \"clamdscan\"\nargv = %s\n", quoted)
		}
	}
	engines := map[string]func(t *testing.T, p *clamdtest.Polyclam) string{
		"c-icap": func(t *testing.T, p *clamdtest.Polyclam) string {
			s := cicaptest.Start(t, p.Socket, cicaptest.Options{})
			return fmt.Sprintf("backend = \"icap\"\naddress = %q\nservice = %q\n", s.Address, cicaptest.AVScan)
		},
		"clamdscan --fdpass": command("--fdpass"),
		"clamdscan --stream": command("--stream"),
		"clamdscan":          command(),
	}
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			p := clamdtest.StartPolyclam(t, plain, clamdtest.Options{})
			looping := strings.ReplaceAll(plain, "${DIR}", p.Dir) + "[[engine]]\nname = \"loop\"\ntimeout = \"10s\"\n" + engine(t, p)
			write(t, p.Conf, looping, 0o644)
			begin := time.Now()
			if err := p.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			loop := func() extended.Record {
				reply, err := ask("unix", p.Socket, "nXSTATUS\n")
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(reply) {
					if r, err := extended.Parse(strings.TrimSuffix(line, "\n")); err == nil && r.Get("engine") == "loop" {
						return r
					}
				}
				return extended.Record{}
			}
			poll(t, "the loop", func() bool {
				return strings.Contains(loop().Get("reason"), "asks polyclam itself, through the listener unix:")
			})
			t.Logf("noticed after %v", time.Since(begin).Round(time.Millisecond))
			if s := loop().Get("state"); s != "down" {
				t.Errorf("state %s", s)
			}
			got, err := ask("unix", p.Socket, instream("a text"))
			if err != nil || got != "stream: loop scan failed ERROR\x00" {
				t.Errorf("%q, error %v", got, err)
			}
		})
	}
}
