package sophie

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/backends/internal/texts"
)

func open(tb testing.TB, address, transport string) *Backend {
	tb.Helper()
	config := NewConfig().(*Config)
	config.Transport = transport
	config.Partial = []string{"Vouched for"}
	b, err := config.Open(address)
	if err != nil {
		tb.Fatal(err)
	}
	return b.(*Backend)
}

func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
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

// transcript is an answer without its end.
type transcript struct {
	reply    string
	result   backends.Result
	category backends.Category // of the error, if there is one
}

func transcripts() []transcript {
	none := backends.Result{}
	no := func(category backends.Category, detail string) backends.Result {
		return backends.Result{Category: category, Code: -1, Detail: detail}
	}
	return []transcript{
		{"0", backends.Clean(0), ""},
		{"0:", backends.Clean(0), ""},
		{"1:EICAR-AV-Test", backends.Found(1, "EICAR-AV-Test"), ""},
		{"1:W32/Klez H", backends.Found(1, "W32/Klez H"), ""},
		{"1:a:b", backends.Found(1, "a:b"), ""},
		{"1", backends.Found(1), ""},
		{"1:", backends.Found(1), ""},
		{"1:Heuristics.Encrypted.Zip", backends.Found(1, "Heuristics.Encrypted.Zip"), ""},
		{"1:\x1b[2J\xff", backends.Found(1, "\x1b[2J\xff"), ""},
		{"1:" + strings.Repeat("a", 60_000), backends.Found(1, strings.Repeat("a", 1024)), ""},
		{"-1:File was encrypted", no(backends.Encrypted, "File was encrypted"), ""},
		{"-1:Vouched for", no(backends.Partial, "Vouched for"), ""},
		// Words in other texts prove nothing.
		{"-1:virus data is corrupt", none, backends.SWErr},
		{"-1:virus data is encrypted", none, backends.SWErr},
		{"-1:file was encrypted", none, backends.SWErr},
		{"-1:File was encrypted.", none, backends.SWErr},
		{"-1: File was encrypted", none, backends.SWErr},
		{"-1:x: File was encrypted", none, backends.SWErr},
		{"-1:PASSWORD protected file", none, backends.SWErr},
		{"-1:File is corrupt", none, backends.SWErr},
		{"-1:Not supported", none, backends.SWErr},
		{"-1:File was compressed", none, backends.SWErr},
		{"-1:vouched for", none, backends.SWErr},
		{"-1:Could not open item", none, backends.SWErr},
		{"-1:Sweep failure", none, backends.SWErr},
		{"-1:", none, backends.SWErr},
		{"-1", none, backends.SWErr},
		{"", none, backends.SWErr},
		{"00", none, backends.SWErr},
		{"0:x", none, backends.SWErr},
		{"0 ", none, backends.SWErr},
		{" 0", none, backends.SWErr},
		{"0\r\r", none, backends.SWErr},
		{"+0", none, backends.SWErr},
		{"-0", none, backends.SWErr},
		{"10", none, backends.SWErr},
		{"10:x", none, backends.SWErr},
		{"-10:File was encrypted", none, backends.SWErr},
		{"2:x", none, backends.SWErr},
		{"1 x", none, backends.SWErr},
		{"OK", none, backends.SWErr},
		{"\xff garbage", none, backends.SWErr},
		{strings.Repeat("0", 1<<17), none, backends.SWErr},
	}
}

func (tr transcript) check(t *testing.T, script ...backendtest.Step) {
	t.Helper()
	d := backendtest.StartDaemon(t, "unix", append(backendtest.Script{path}, script...))
	r, err := open(t, d.Address(), transportAuto).Scan(testContext(t), x(t))
	if !reflect.DeepEqual(r, tr.result) {
		t.Errorf("got %.300v, want %.300v", r, tr.result)
	}
	if (err != nil) != (tr.category != "") || err != nil && backends.CategoryOf(err) != tr.category {
		t.Errorf("got %v, want %q", err, tr.category)
	}
	if err == nil && backendtest.Check(r) != "" {
		t.Error(backendtest.Check(r))
	}
}

func TestTranscripts(t *testing.T) {
	for _, tr := range transcripts() {
		for _, end := range []string{"\n", "\r\n", "\x00", "\n\x00", ""} {
			t.Run(fmt.Sprintf("%.40q", tr.reply+end), func(t *testing.T) {
				t.Parallel()
				tr := tr
				if tr.reply+end == "" {
					tr.category = backends.CannotExecute
				}
				tr.check(t, say(tr.reply+end), backendtest.Close())
				tr.check(t, say(tr.reply+end), backendtest.CloseWrite(), backendtest.Drain())
				if tr.reply+end == "" {
					return
				}
				tr.check(t, say(tr.reply+end), backendtest.Drain()) // kept until we have gone
				if len(tr.reply) < 100 {
					tr.check(t, backendtest.SendSplit(backendtest.Composed(tr.reply+end), 1), backendtest.Drain())
				}
			})
		}
	}
}

// TestAnswerEndsAtEveryByte: a beginning of "1:NAME" or "-1:text" is never clean.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	for _, reply := range []string{"1:EICAR-AV-Test\n", "-1:File was encrypted\n", "-1:Sweep failure\n"} {
		for n := range len(reply) {
			for _, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
				d := backendtest.StartDaemon(t, "tcp", backendtest.Script{path, say(reply[:n]), end})
				r, err := open(t, d.Address(), transportPath).Scan(testContext(t), x(t))
				if err == nil && r.Category == backends.OK || err != nil && r.Category != "" {
					t.Errorf("%q: got %+v, %v", reply[:n], r, err)
				}
				if n == 0 && backends.CategoryOf(err) != backends.CannotExecute {
					t.Errorf("nothing: %v", err)
				}
			}
		}
	}
}

// TestMoreThanAnAnswer: who says 0 and something else has not said 0.
func TestMoreThanAnAnswer(t *testing.T) {
	for _, reply := range []string{"0\n1:EICAR-AV-Test\n", "0\x001", "0\n0\n", "0\n x", "0\n-1:x\n"} {
		transcript{category: backends.SWErr}.check(t, say(reply), backendtest.Drain())
	}
	for range 20 { // a second answer a moment later: one byte that ends nothing yet
		transcript{category: backends.SWErr}.check(t, say("0\n"), backendtest.Sleep(time.Millisecond), say("1:A\n"), backendtest.Drain())
	}
	transcript{result: backends.Found(1, "A")}.check(t, say("1:A\n0\n"), backendtest.Drain())
	// A daemon that says nothing more and does not go either.
	transcript{result: backends.Clean(0)}.check(t, say("0\n"), backendtest.Hang())
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
		{"encrypted, unseen", x(t), backendtest.Script{want("stream/1\r\n"), say("-1:File was encrypted\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"clean at once", x(t), backendtest.Script{want("stream/1\r\n"), say("0\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"virus at once", x(t), backendtest.Script{want("stream/1\r\n"), say("1\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"not OK", x(t), backendtest.Script{want("stream/1\r\n"), say("OKAY\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"gone at once", x(t), backendtest.Script{want("stream/1\r\n"), backendtest.Close()}, backends.Result{}, backends.CannotExecute},
		{"half an OK", x(t), backendtest.Script{want("stream/1\r\n"), say("O"), backendtest.CloseWrite(), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"gone after OK", x(t), backendtest.Script{want("stream/1\r\n"), say("OK\r\n"), want("x"), backendtest.Close()}, backends.Result{}, backends.SWErr},
		{"early clean", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("0\n"), backendtest.Hang()}, backends.Result{}, backends.SWErr},
		{"early clean, gone", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("0\n"), backendtest.Close()}, backends.Result{}, ""},
		{"early clean, reads on", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("0\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"early encrypted", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("-1:File was encrypted\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"early partial", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("-1:Vouched for\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
		{"early virus", large, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Discard(9), say("1:A\n"), backendtest.Hang()}, virus, ""},
		{"shorter than it says", shrunk{large}, backendtest.Script{backendtest.Discard(16), say("OK\r\n"), backendtest.Drain()}, backends.Result{}, backends.SWErr},
	} {
		t.Run(c.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "tcp", c.script)
			r, err := open(t, d.Address(), transportAuto).Scan(testContext(t), c.object)
			if !reflect.DeepEqual(r, c.result) || (err == nil) != (c.result.Category != "") || c.want != "" && backends.CategoryOf(err) != c.want {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// shrunk is a content that has become shorter than it says.
type shrunk struct{ *backendtest.Object }

func (s shrunk) Size() int64 { return s.Object.Size() + 1 }

// named is a content with a path of its own.
type named struct {
	*backendtest.Object
	path string
}

func (n named) Path() (string, error) {
	if n.path == "" {
		return "", os.ErrNotExist
	}
	return n.path, nil
}

// TestHostilePath: a name that the protocol cannot carry is not sent.
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
		r, err := b.Scan(testContext(t), named{x(t), path})
		if backends.CategoryOf(err) != backends.SWErr || r.Category != "" {
			t.Errorf("%q: got %+v, %v", path, r, err)
		}
	}
	if r, err := b.Scan(testContext(t), shrunk{x(t)}); err == nil {
		t.Errorf("got %+v", r)
	}
	if d.Connections() != 0 {
		t.Errorf("%d connections", d.Connections())
	}
}

// TestContextEnds: at whatever point the daemon falls silent.
func TestContextEnds(t *testing.T) {
	steps := backendtest.Script{want("stream/1\r\n"), say("O"), say("K\r\n"), want("x"), say("-1:File was"), say(" encrypted")}
	for n := range len(steps) + 1 {
		silent := make(chan struct{})
		script := append(append(backendtest.Script{}, steps[:n]...), func(*backendtest.Session) error { close(silent); return nil }, backendtest.Hang())
		d := backendtest.StartDaemon(t, "tcp", script)
		broken := errors.New("broken off")
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

// TestRepeated: a daemon that repeats every answer, and keeps the connection.
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
		{"all wrong", "sophie", Config{}, false, []string{`address: "sophie"`, `transport: ""`, `connect_timeout: must be positive`}},
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

// FuzzAnswer: whatever comes, there is a result or an error, and OK is said only of a
// zero.
func FuzzAnswer(f *testing.F) {
	for _, tr := range transcripts() {
		if len(tr.reply) < 300 {
			f.Add([]byte(tr.reply + "\n"))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a backends.Answer
		b := &Backend{texts: texts.Keys{Partial: []string{"Vouched for"}}}
		a.Fail(b.readAnswer(engineconn.NewConn(linetest.Deaf(string(data))), &a))
		r, err := a.Result()
		if err != nil {
			if r.Category == backends.OK || !backends.CategoryOf(err).IsFailure() {
				t.Fatalf("%+v and %v", r, err)
			}
			return
		}
		if problem := backendtest.Check(r); problem != "" {
			t.Fatalf("%+v: %s", r, problem)
		}
		if clean := strings.TrimRight(string(data), "\r\n\x00"); r.Category == backends.OK && clean != "0" && clean != "0:" {
			t.Fatalf("OK for %q", data)
		}
	})
}
