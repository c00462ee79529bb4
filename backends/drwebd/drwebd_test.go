package drwebd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func open(tb testing.TB, address string, change func(*Config)) *Backend {
	tb.Helper()
	return backendtest.Open(tb, NewConfig, address, change).(*Backend)
}

func byPath(c *Config) { c.Transport = transportPath }

func say(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }

func want(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }

// request is the request to scan an object of one byte.
const request = "\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01x"

func x(tb testing.TB) backends.Object { return backendtest.Bytes(tb, []byte("x")) }

func TestConformance(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, network := range []string{"tcp", "unix"} {
		g.Run(network, func(t *testing.T) {
			address := start(t, network)
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, address, nil) }, backendtest.Options{
				Network: network,
				Dial:    func(t *testing.T, address string) backends.Backend { return open(t, address, nil) },
				Half:    []backendtest.Words{backendtest.Composed(reply(0)[:7]), backendtest.Composed(reply(0)[:4]), backendtest.Composed(reply(0x20, "A")[:12])},
			})
		})
	}
	g.Run("path", func(t *testing.T) {
		address := start(t, "unix")
		backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, address, byPath) }, backendtest.Options{Large: 1 << 20})
	})
}

// TestMarked checks every category with both transports.
func TestMarked(t *testing.T) {
	for _, change := range []func(*Config){nil, byPath} {
		backendtest.CheckMarked(t, open(t, start(t, "tcp"), change), map[backends.Category]backends.Category{backends.Encrypted: backends.Partial})
	}
}

// TestAnswerEndsAtEveryByte checks that an answer cut off after any byte is a failure.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	for _, answer := range []string{reply(0), reply(0x20, infected+"A\x00", "B")} {
		for n := range len(answer) {
			for _, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
				d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(request), say(answer[:n]), end})
				r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), x(t))
				if err == nil || r.Category != "" && (len(r.Findings) != 1 || r.Findings[0].Name != "A") || n == 0 && !errors.Is(err, backends.ErrNoReply) || d.Connections() != 1 {
					t.Errorf("%q: got %+v, %v", answer[:n], r, err)
				}
			}
		}
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(request), backendtest.SendSplit(backendtest.Composed(answer), 1), backendtest.Drain()})
		if r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), x(t)); err != nil {
			t.Errorf("byte by byte: %+v, %v", r, err)
		}
	}
}

// TestEarly checks that an answer before the end of the object is never OK.
func TestEarly(t *testing.T) {
	for _, tt := range []outcome{
		fails(reply(0), backends.SWErr),
		fails(reply(0x2000), backends.SWErr),
		{reply(0x20, infected+"A"), backends.Virus, 0x20, "A", ""},
		{reply(0x40), backends.Suspicious, 0x40, "", ""},
	} {
		t.Run(fmt.Sprintf("%q", tt.reply), func(t *testing.T) {
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Discard(20), say(tt.reply), backendtest.Hang()})
			r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), backendtest.LargeObject(t, 16<<20))
			tt.check(t, r, err)
		})
	}
}

func TestRules(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for name, change := range map[string]func(*Config){"stream": nil, "path": byPath} {
		g.Run(name, func(t *testing.T) {
			backendtest.RunRules(t, backendtest.Rules{
				Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					return open(t, startWith(t, "unix", m), change)
				},
				NoStream: name == "path",
				Masked: map[string]string{
					"skipped": reply(0x1000 | 0x4), "timeout": reply(0x1000 | 0x200), "too big": reply(0x2000 | 0x1), "virus": reply(0x20 | 0x10),
					"licence": reply(0x1000 | 0x200000), "unknown": reply(0x1000 | 0x8000000),
				},
				Failures: map[string]string{"memory": reply(0x4), "clean and failed": reply(0x100000 | 0x2), "cut": reply(0x1000)[:6], "more": reply(0) + "password"},
				Blocked:  map[string]string{"stealer": reply(0x20, "Trojan.PasswordStealer"), "limit": reply(0x40 | 0x4)},
			})
		})
	}
}

// TestRequests checks requests with a path and with other flags.
func TestRequests(t *testing.T) {
	o := x(t)
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Discard(int64(len(path)) + 16), say(reply(0)), backendtest.Drain()})
	if _, err := open(t, d.Address(), byPath).Scan(backendtest.Context(t), o); err != nil {
		t.Fatal(err)
	}
	if got, want := string(d.Received(0)), numbers(1)+numbers(9)+numbers(uint32(len(path)))+path+numbers(0); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	d = backendtest.StartDaemon(t, "unix", backendtest.Script{want(numbers(1) + numbers(0x80001) + numbers(0) + numbers(0)), say(reply(0)), backendtest.Drain()})
	mail := open(t, d.Address(), func(c *Config) { c.Mail, c.Heuristics = true, false })
	if r, err := mail.Scan(backendtest.Context(t), backendtest.Bytes(t, nil)); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestOtherPath checks that a name for another file does not count.
func TestOtherPath(t *testing.T) {
	o := x(t)
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		path + " infected with A": "A", path + "/member x infected with A": "A", ">" + path + "/m infected with A": "A", "A": "A",
		path + "x infected with A": "", "/other infected with A": "", "/other" + path + " infected with A": "",
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Discard(int64(len(path)) + 16), say(reply(0, name)), backendtest.Drain()})
		r, err := open(t, d.Address(), byPath).Scan(backendtest.Context(t), o)
		if want == "" && (err == nil || r.Category != "") || want != "" && (err != nil || len(r.Findings) != 1 || r.Findings[0].Name != want) {
			t.Errorf("%q: %+v, %v", name, r, err)
		}
	}
}

// huge is an object of 2 GiB.
type huge struct{ backends.Object }

func (huge) Size() int64 { return 1 << 31 }

func TestOddObjects(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Drain()})
	b := open(t, d.Address(), nil)
	if r, err := b.Scan(backendtest.Context(t), huge{x(t)}); err != nil || r.Category != backends.Partial {
		t.Errorf("got %+v, %v", r, err)
	}
	b = open(t, d.Address(), byPath)
	for _, path := range []string{"/a b", "/a\x00b", "/a\nb", "relative", "", "/missing"} {
		if r, err := b.Scan(backendtest.Context(t), backendtest.AtPath(x(t), path)); backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%q: got %+v, %v", path, r, err)
		}
	}
	if n := d.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestVersion(t *testing.T) {
	v, err := open(t, start(t, "unix"), nil).Version(backendtest.Context(t))
	if want := "Dr.Web (R) daemon for Linux/2 bases, 200100 records"; err != nil || v.Text != want || v.Engine != "Dr.Web (R) daemon for Linux" || v.Database != "2 bases, 200100 records" {
		t.Errorf("got %+v, %v", v, err)
	}
	// Each request uses a new connection: 4, then 2 if that fails, then 3.
	version := func(scripts ...backendtest.Script) (backends.Version, error) {
		return open(t, backendtest.StartDaemon(t, "unix", scripts...).Address(), nil).Version(backendtest.Context(t))
	}
	id := backendtest.Script{want(numbers(4)), say(numbers(5) + "Dr.W\x00")}
	for name, scripts := range map[string][]backendtest.Script{
		"no bases":     {id, {want(numbers(3))}},
		"partial base": {id, {want(numbers(3)), say(numbers(1) + numbers(3) + "abc")}},
		"too many":     {id, {want(numbers(3)), say(numbers(1 << 30))}},
	} {
		if v, err := version(scripts...); err != nil || v.Text != "Dr.W" || v.Database != "" {
			t.Errorf("%s: got %+v, %v", name, v, err)
		}
	}
	for _, bad := range []string{"", numbers(0), numbers(1 << 30), numbers(300) + strings.Repeat("A", 300), numbers(2) + "\x00x"} {
		v, err := version(backendtest.Script{want(numbers(4)), say(bad)}, backendtest.Script{want(numbers(2)), say(numbers(433))}, backendtest.Script{want(numbers(3))})
		if err != nil || v.Text != "Dr.Web daemon 433" {
			t.Errorf("%.20q: got %+v, %v", bad, v, err)
		}
	}
	if v, err := version(backendtest.Script{backendtest.Close()}); err == nil {
		t.Errorf("got %+v", v)
	}
}

func TestConfig(t *testing.T) {
	backendtest.WantConfigErrors(t, NewConfig, "tcp:127.0.0.1:3000", "3000", map[string]func(*Config){
		`transport: "x"`:  func(c *Config) { c.Transport = "x" },
		"connect_timeout": func(c *Config) { c.ConnectTimeout = 0 },
	})
}
