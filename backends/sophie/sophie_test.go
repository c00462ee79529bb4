package sophie

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/backends/internal/texts"
)

func open(tb testing.TB, address, transport string) *Backend {
	tb.Helper()
	return backendtest.Open(tb, NewConfig, address, func(c *Config) {
		c.Transport, c.Partial = transport, []string{"Listed"}
	}).(*Backend)
}

var (
	say  = func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	want = func(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
	path = backendtest.WantUntil('\n', 1000, func(line string) bool { return line[0] == '/' })
	x    = func(tb testing.TB) *backendtest.Object { return backendtest.Bytes(tb, []byte("x")) }
)

func TestConformance(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, c := range []struct {
		name, network, transport string
		fake                     fake
	}{
		{"path, bare", "unix", transportAuto, fake{}},
		{"path, bare and kept", "unix", transportAuto, fake{keep: true}},
		{"path, LF", "unix", transportPath, fake{end: "\n"}},
		{"path, NUL and kept", "unix", transportPath, fake{end: "\x00", keep: true}},
		{"path over TCP", "tcp", transportPath, fake{end: "\r\n"}},
		{"stream", "tcp", transportAuto, fake{end: "\r\n", keep: true}},
		{"stream on Unix", "unix", transportStream, fake{end: "\n"}},
	} {
		g.Run(c.name, func(t *testing.T) {
			options := backendtest.Options{
				Encrypted: true, Large: 4 << 20, Network: c.network,
				Dial: func(t *testing.T, address string) backends.Backend { return open(t, address, c.transport) },
				Half: []backendtest.Words{backendtest.Composed("-"), backendtest.Composed("-1"), backendtest.Composed("-1:Fi"), backendtest.Composed("O"), backendtest.Composed("OK\r\n")},
			}
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				return open(t, c.fake.start(t, c.network), c.transport)
			}, options)
		})
	}
}

func TestStream(t *testing.T) {
	large := backendtest.LargeObject(t, 8<<20)
	clean, virus := backends.Clean(0), backends.Found(1, "A")
	for _, c := range []struct {
		name   string
		object backends.Object
		script backendtest.Script
		result backends.Result
		want   backends.Category
	}{
		{"clean", x(t), backendtest.Script{want("stream/1\r\n"), say("OK\r\n"), want("x"), say("0\n")}, clean, ""},
		{"virus", x(t), backendtest.Script{want("stream/1\r\n"), say("OK\n"), want("x"), say("1:A")}, virus, ""},
		{"split", x(t), backendtest.Script{want("stream/1\r\n"), backendtest.SendSplit(backendtest.Composed("OK\r\n"), 1), want("x"), backendtest.SendSplit(backendtest.Composed("1:A\r\n"), 1)}, virus, ""},
		{"empty", backendtest.Bytes(t, nil), backendtest.Script{want("stream/0\r\n"), say("OK\r\n"), say("0\n")}, clean, ""},
		{"refused", x(t), backendtest.Script{want("stream/1\r\n"), say("-1:x\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"encrypted, not sent", x(t), backendtest.Script{want("stream/1\r\n"), say("-1:File was encrypted\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"clean, not sent", x(t), backendtest.Script{want("stream/1\r\n"), say("0\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"virus, not sent", x(t), backendtest.Script{want("stream/1\r\n"), say("1\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"not OK", x(t), backendtest.Script{want("stream/1\r\n"), say("OKAY\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"closed immediately", x(t), backendtest.Script{want("stream/1\r\n"), backendtest.Close()}, backends.Result{}, backends.CannotExecute},
		{"partial OK", x(t), backendtest.Script{want("stream/1\r\n"), say("O"), backendtest.CloseWrite(), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"closed after OK", x(t), backendtest.Script{want("stream/1\r\n"), say("OK\r\n"), want("x"), backendtest.Close()}, backends.Result{}, backends.SWErr},
		{"early clean", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("0\n"), backendtest.Hang()}, backends.Result{}, backends.SWErr},
		{"early clean, closed", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("0\n"), backendtest.Close()}, backends.Result{}, ""},
		{"early clean, reads on", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("0\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"early encrypted", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("-1:File was encrypted\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"early partial", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("-1:Listed\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"early virus", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("1:A\n"), backendtest.Hang()}, virus, ""},
		{"short object", backendtest.Short(large), backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
	} {
		t.Run(c.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "tcp", c.script)
			r, err := open(t, d.Address(), transportAuto).Scan(backendtest.Context(t), c.object)
			if !reflect.DeepEqual(r, c.result) || (err == nil) != (c.result.Category != "") || c.want != "" && backends.CategoryOf(err) != c.want {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestHostilePath checks that a path is not sent if the protocol cannot carry it.
func TestHostilePath(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("0\n"), backendtest.Drain()})
	b := open(t, d.Address(), transportAuto)
	dir := t.TempDir()
	for _, name := range []string{"a b", "a\nb", "a\x00b", "é", "a\x7f", "missing", ".", ""} {
		path := dir + "/" + name
		if name == "" {
			path = ""
		}
		if name != "missing" && name != "" {
			os.WriteFile(path, []byte("x"), 0o600)
		}
		r, err := b.Scan(backendtest.Context(t), backendtest.AtPath(x(t), path))
		if backends.CategoryOf(err) != backends.SWErr || r.Category != "" {
			t.Errorf("%q: got %+v, %v", path, r, err)
		}
	}
	if r, err := b.Scan(backendtest.Context(t), backendtest.Short(x(t))); err == nil {
		t.Errorf("got %+v", r)
	}
	if d.Connections() != 0 {
		t.Errorf("%d connections", d.Connections())
	}
}

// TestContextEnds ends the context after the daemon has become silent at each step.
func TestContextEnds(t *testing.T) {
	steps := backendtest.Script{want("stream/1\r\n"), say("O"), say("K\r\n"), want("x"), say("-1:File was"), say(" encrypted")}
	for n := range len(steps) + 1 {
		silent := make(chan struct{})
		script := append(append(backendtest.Script{}, steps[:n]...), func(*backendtest.Session) error { close(silent); return nil }, backendtest.Hang())
		d := backendtest.StartDaemon(t, "tcp", script)
		broken := errors.New("cancelled by the test")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-silent
			cancel(broken)
		}()
		r, err := open(t, d.Address(), transportAuto).Scan(ctx, x(t))
		if backends.CategoryOf(err) != backends.Interrupted || !errors.Is(err, broken) || r.Category != "" {
			t.Errorf("step %d: got %+v, %v", n, r, err)
		}
		cancel(nil)
	}
}

func TestRules(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, transport := range []string{transportPath, transportStream} {
		g.Run(transport, func(t *testing.T) {
			backendtest.RunRules(t, backendtest.Rules{
				Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					return open(t, fake{end: "\n", Misbehaviour: m}.start(t, "unix"), transport)
				},
				NoStream: transport == transportPath,
				Failures: map[string]string{
					"corrupt data": "-1:virus data is corrupt\n", "password": "-1:password list.txt: read error\n", "limit": "-1:thread limit\n",
					"more": "-1:File was encrypted, Sweep failure\n", "two": "0\n-1:File was encrypted\n",
				},
				Blocked: map[string]string{"stealer": "1:Troj/PasswordStealer\n", "encrypted": "1:File was encrypted\n"},
			})
		})
	}
}

// TestRepeated plays a daemon that repeats every answer and keeps the connection.
func TestRepeated(t *testing.T) {
	for _, transport := range []string{transportPath, transportStream} {
		b := open(t, fake{end: "\n", keep: true, Misbehaviour: backendtest.Misbehaviour{Repeat: 20 * time.Millisecond}}.start(t, "unix"), transport)
		linetest.Alternate(t, b, 30)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		name, address string
		config        Config
		stream        bool
		want          []string
	}{
		{"unix", "unix:/var/run/sophie", *NewConfig().(*Config), false, nil},
		{"tcp", "tcp:127.0.0.1:4020", *NewConfig().(*Config), true, nil},
		{"path on tcp", "tcp:h:1", Config{Transport: "path", ConnectTimeout: 1}, false, nil},
		{"stream on unix", "unix:/s", Config{Transport: "stream", ConnectTimeout: 1}, true, nil},
		{"texts", "unix:/s", Config{Transport: "path", ConnectTimeout: 1, Keys: texts.Keys{Encrypted: []string{""}}}, false, []string{"encrypted_texts"}},
		{"no address", "", *NewConfig().(*Config), false, []string{"address: sophie needs one"}},
		{"everything wrong", "sophie", Config{}, false, []string{`address: "sophie"`, `transport: ""`, `connect_timeout: must be positive`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.config.Open(c.address)
			if (err == nil) != (c.want == nil) || err == nil && b.(*Backend).stream != c.stream {
				t.Fatalf("got %+v, %v", b, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}
