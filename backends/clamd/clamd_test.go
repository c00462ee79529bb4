package clamd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
)

// open makes a backend for address with one transport.
func open(tb testing.TB, address, transport string) *Backend {
	tb.Helper()
	config := NewConfig().(*Config)
	config.Transport = transport
	b, err := config.Open(address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.(io.Closer).Close() })
	return b.(*Backend)
}

func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

const (
	session  = "zIDSESSION\x00"
	instream = "zINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00"
)

var (
	say  = func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	said = func(s string) backendtest.Step { return backendtest.Send(backendtest.Recorded("clamd 1.4.6", s)) }
	want = func(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
)

// x is a content of one byte.
func x(tb testing.TB) *backendtest.Object { return backendtest.Bytes(tb, []byte("x")) }

// TestAnswers is the whole answer table, as it comes over the wire.
func TestAnswers(t *testing.T) {
	virus := func(name string, c backends.Category) backends.Result {
		return backends.Result{Category: c, Code: 1, Findings: []backends.Finding{{Name: name, Category: c}}}
	}
	partial := func(text string) backends.Result {
		return backends.Result{Category: backends.Partial, Code: backends.NoCode, Detail: text}
	}
	tests := []struct {
		reply    string
		result   backends.Result
		category backends.Category // of the error, if there is one
	}{
		{"1: stream: OK\x00", backends.Clean(0), ""},
		{"1: stream: Eicar-Test-Signature FOUND\x00", virus("Eicar-Test-Signature", backends.Virus), ""},
		{"1: stream: X.UNOFFICIAL FOUND\x00", virus("X.UNOFFICIAL", backends.Virus), ""},
		{"1: stream: X(44d88612fea8a8f36de82e1278abb02f:68) FOUND\x00", virus("X", backends.Virus), ""},
		{"1: stream: Heuristics.Encrypted.Zip FOUND\x00", virus("Heuristics.Encrypted.Zip", backends.Encrypted), ""},
		{"1: stream: Heuristics.Limits.Exceeded.MaxFiles FOUND\x00", virus("Heuristics.Limits.Exceeded.MaxFiles", backends.Partial), ""},
		{"1: stream: Heuristics.OLE2.ContainsMacros.VBA FOUND\x00", virus("Heuristics.OLE2.ContainsMacros.VBA", backends.Suspicious), ""},
		{"1: stream: (null) FOUND\x00", backends.Result{Category: backends.Partial, Code: 1, Detail: noNameText}, ""},
		{"1: stream: Heuristics.Limits.Exceeded FOUND\x00", virus("Heuristics.Limits.Exceeded", backends.Partial), ""},
		// What only looks like the heuristics above is a virus.
		{"1: stream: Heuristics.Encrypted.Zip.UNOFFICIAL FOUND\x00", virus("Heuristics.Encrypted.Zip.UNOFFICIAL", backends.Virus), ""},
		{"1: stream: Heuristics.Limits.Exceeded.UNOFFICIAL FOUND\x00", virus("Heuristics.Limits.Exceeded.UNOFFICIAL", backends.Virus), ""},
		{"1: stream: Heuristics.Limits.ExceededX FOUND\x00", virus("Heuristics.Limits.ExceededX", backends.Virus), ""},
		{"1: stream: Heuristics.Encrypter FOUND\x00", virus("Heuristics.Encrypter", backends.Virus), ""},
		{"1: stream: Win.Ransom.FileEncrypted.Zip FOUND\x00", virus("Win.Ransom.FileEncrypted.Zip", backends.Virus), ""},
		{"1: stream: Trojan.Password-Protected FOUND\x00", virus("Trojan.Password-Protected", backends.Virus), ""},
		{"1: stream: (null).A FOUND\x00", virus("(null).A", backends.Virus), ""},
		{"1: INSTREAM size limit exceeded. ERROR\x00", partial("INSTREAM size limit exceeded."), ""},
		{"INSTREAM size limit exceeded. ERROR\x00", backends.Result{}, backends.SWErr}, // no id: not ours
		{"1: stream: Bad format or broken data ERROR\x00", partial("Bad format or broken data"), ""},
		{"1: stream: Can't parse data ERROR\x00", partial("Can't parse data"), ""},
		{"1: stream: Can't unpack some data ERROR\x00", partial("Can't unpack some data"), ""},
		{"1: stream: CL_EMAXREC ERROR\x00", partial("CL_EMAXREC"), ""},
		{"1: stream: Can't parse data, the database is broken ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Malformed database ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Can't read file ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Exceeded max scan size ERROR\x00", partial("Exceeded max scan size"), ""},
		{"1: stream: Exceeded max scan files ERROR\x00", partial("Exceeded max scan files"), ""},
		{"1: stream: Exceeded max recursion depth ERROR\x00", partial("Exceeded max recursion depth"), ""},
		{"1: stream: Exceeded time limit ERROR\x00", backends.Result{}, backends.Interrupted},
		{"COMMAND READ TIMED OUT\n", backends.Result{}, backends.Interrupted},
		{"1: read timeout ERROR\x00", backends.Result{}, backends.Interrupted},
		{"1: stream: Can't allocate memory ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Can't create temporary file ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: Error writing to temporary file ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Something quite new ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: UNKNOWN COMMAND\x00", backends.Result{}, backends.SWErr},
		{"UNKNOWN COMMAND\x00", backends.Result{}, backends.SWErr},
		{"1: COMMAND UNAVAILABLE\x00", backends.Result{}, backends.SWErr},
		{"1: Command invalid inside IDSESSION. ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Excluded\x00", backends.Result{}, backends.SWErr},
		{"1: stream: code=2/category=encrypted/action=ok OK\x00", backends.Result{}, backends.SWErr},
		{"1: stream: OK\n", backends.Result{}, backends.SWErr},
		{"1: stream: OK", backends.Result{}, backends.SWErr},
		{"1: stream: OK\x001: stream: OK\x00", backends.Result{}, backends.SWErr},
		{"1: stream: OK\x00x", backends.Result{}, backends.SWErr},
		{"1: stream: Not supported file type ERROR\x001: stream: OK\x00", backends.Result{}, backends.SWErr},
		{"1: stream: ok\x00", backends.Result{}, backends.SWErr},
		{"1: stream: OK \x00", backends.Result{}, backends.SWErr},
		{"1: OK\x00", backends.Result{}, backends.SWErr},
		{"2: stream: OK\x00", backends.Result{}, backends.SWErr},
		{"stream: OK\x00", backends.Result{}, backends.SWErr},
		{"1: /etc/passwd: OK\x00", backends.Result{}, backends.SWErr},
		{"1: fd[3]: OK\x00", backends.Result{}, backends.SWErr},
		{"1: PONG\x00", backends.Result{}, backends.SWErr},
		{"\x00", backends.Result{}, backends.SWErr},
		{"\x16\x03\x01\x02\x00", backends.Result{}, backends.SWErr},
		{strings.Repeat("A", 1<<20), backends.Result{}, backends.SWErr},
		{"", backends.Result{}, backends.CannotExecute},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.60q", tt.reply), func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + instream), say(tt.reply), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), transportStream).Scan(testContext(t), x(t))
			if !reflect.DeepEqual(r, tt.result) {
				t.Errorf("got %+v, want %+v", r, tt.result)
			}
			if (err != nil) != (tt.category != "") || err != nil && backends.CategoryOf(err) != tt.category {
				t.Errorf("got %v, want %q", err, tt.category)
			}
		})
	}
}

// TestAnswerEndsAtEveryByte: no beginning of a reply is a reply, and the content
// is not sent again once a byte of it has come.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	const reply = "1: stream: OK\x00"
	for n := range len(reply) {
		for _, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(session + instream), say(reply[:n]), end})
			r, err := open(t, d.Address(), transportStream).Scan(testContext(t), x(t))
			if err == nil || !reflect.DeepEqual(r, backends.Result{}) {
				t.Errorf("%d bytes: got %+v, %v", n, r, err)
			}
			if got := d.Connections(); got != 1 {
				t.Errorf("%d bytes: %d connections", n, got)
			}
		}
	}
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(session + instream), backendtest.SendSplit(backendtest.Composed(reply), 1), backendtest.Drain()})
	if r, err := open(t, d.Address(), transportStream).Scan(testContext(t), x(t)); err != nil || r.Category != backends.OK {
		t.Errorf("byte by byte: got %+v, %v", r, err)
	}
}

// TestSizeLimitWhileWriting: clamd says so, closes and resets, and we are still
// sending.
func TestSizeLimitWhileWriting(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{
		want(session + "zINSTREAM\x00"), backendtest.Discard(4), said("1: INSTREAM size limit exceeded. ERROR\x00"), backendtest.CloseWrite(), backendtest.Close(),
	})
	b := open(t, d.Address(), transportStream)
	r, err := b.Scan(testContext(t), backendtest.LargeObject(t, 16<<20))
	if err == nil && r.Category != backends.Partial || err != nil && !errors.Is(err, protocol.ErrNoReply) {
		t.Errorf("got %+v, %v", r, err)
	}
	if b.pool.Len() > 0 {
		t.Error("the session is kept")
	}
}

func TestEarlyOK(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{
		want(session + "zINSTREAM\x00"), say("1: stream: OK\x00"), backendtest.CloseWrite(), backendtest.Close(),
	})
	if r, err := open(t, d.Address(), transportStream).Scan(testContext(t), backendtest.LargeObject(t, 16<<20)); err == nil {
		t.Errorf("an OK for half a stream: %+v", r)
	}
}

func TestKeptSession(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{
		want(session + instream), say("1: stream: OK\x00"),
		want(instream), say("2: stream: X FOUND\x00"),
		want(instream), say("3: stream: OK\x00"),
		want("zEND\x00"), backendtest.Drain(),
	})
	b, ctx := open(t, d.Address(), transportStream), testContext(t)
	for i, want := range []backends.Category{backends.OK, backends.Virus, backends.OK} {
		if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != want {
			t.Fatalf("%d: got %+v, %v", i+1, r, err)
		}
	}
	b.Close()
	if n := d.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestDeadSession: a kept session that is dead is replaced, once, whether that is
// seen before (closed) or after (gone at the request) the next scan begins.
func TestDeadSession(t *testing.T) {
	ends := map[string]backendtest.Script{
		"closed at once":      {backendtest.Close()},
		"closed when asked":   {backendtest.Discard(1), backendtest.Close()},
		"reset when asked":    {backendtest.Discard(1), backendtest.Reset()},
		"timed out":           {said("COMMAND READ TIMED OUT\n"), backendtest.Close()},
		"timed out, asked":    {backendtest.Discard(1), said("COMMAND READ TIMED OUT\n"), backendtest.CloseWrite(), backendtest.Drain()},
		"closed after asking": {want(instream), backendtest.Close()},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			idle := make(chan struct{})
			first := backendtest.Script{want(session + instream), say("1: stream: OK\x00"), backendtest.Wait(idle)}
			d := backendtest.StartDaemon(t, "tcp", append(first, end...),
				backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), backendtest.Drain()})
			b, ctx := open(t, d.Address(), transportStream), testContext(t)
			if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != backends.OK {
				t.Fatalf("first: got %+v, %v", r, err)
			}
			close(idle)
			if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != backends.Virus {
				t.Errorf("second: got %+v, %v", r, err)
			}
		})
	}
}

// TestStrayReply: a session in which something came unasked is not used again.
func TestStrayReply(t *testing.T) {
	for _, stray := range []string{"1: stream: OK\x00", "2: stream: OK\x00", "x"} {
		idle, sent := make(chan struct{}), make(chan struct{})
		d := backendtest.StartDaemon(t, "tcp",
			backendtest.Script{
				want(session + instream), say("1: stream: OK\x00"), backendtest.Wait(idle), say(stray),
				func(*backendtest.Session) error { close(sent); return nil }, backendtest.Drain(),
			},
			backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), backendtest.Drain()})
		b, ctx := open(t, d.Address(), transportStream), testContext(t)
		if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != backends.OK {
			t.Fatalf("first: got %+v, %v", r, err)
		}
		close(idle)
		<-sent
		if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != backends.Virus {
			t.Errorf("%q: got %+v, %v", stray, r, err)
		}
	}
}

func TestDeadTwice(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{want(session + instream), say("1: stream: OK\x00"), backendtest.Discard(1), backendtest.Close()},
		backendtest.Script{want(session + instream), backendtest.Close()})
	b, ctx := open(t, d.Address(), transportStream), testContext(t)
	if _, err := b.Scan(ctx, x(t)); err != nil {
		t.Fatal(err)
	}
	r, err := b.Scan(ctx, x(t))
	if err == nil || backends.CategoryOf(err) != backends.CannotExecute || !errors.Is(err, backends.ErrNoReply) {
		t.Errorf("got %+v, %v", r, err)
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestSilence: the end of the context ends the scan and the session, with END.
func TestSilence(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + instream), want("zEND\x00"), backendtest.Drain()})
	b := open(t, d.Address(), transportStream)
	cause := errors.New("the verdict is settled")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(50*time.Millisecond, func() { cancel(cause) }).Stop()
	r, err := b.Scan(ctx, x(t))
	if !errors.Is(err, cause) || backends.CategoryOf(err) != backends.Interrupted {
		t.Errorf("got %+v, %v", r, err)
	}
	if b.pool.Len() > 0 {
		t.Error("the session is kept")
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	ended := make(chan struct{})
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{
		want(session + instream), say("1: stream: OK\x00"), want("zEND\x00"),
		func(*backendtest.Session) error { close(ended); return nil },
	})
	b := open(t, d.Address(), transportStream)
	if _, err := b.Scan(testContext(t), x(t)); err != nil {
		t.Fatal(err)
	}
	b.pool.Reap(time.Now().Add(maxIdle - time.Second))
	if b.pool.Len() != 1 {
		t.Fatal("reaped too early")
	}
	b.pool.Reap(time.Now().Add(maxIdle))
	if b.pool.Len() != 0 {
		t.Error("not reaped")
	}
	<-ended
}

// TestSessionsOff: one connection a scan, no IDSESSION.
func TestSessionsOff(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(instream), say("stream: OK\x00"), backendtest.CloseWrite(), backendtest.Drain()})
	config := NewConfig().(*Config)
	config.Sessions, config.Transport = false, transportStream
	b, err := config.Open(d.Address())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r, err := b.Scan(testContext(t), x(t)); err != nil || r.Category != backends.OK {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// withoutFile has no descriptor, withoutPath no path, short fewer bytes than it says.
type withoutFile struct{ *backendtest.Object }

func (withoutFile) File() (*os.File, error) { return nil, os.ErrNotExist }
func (withoutFile) Path() (string, error)   { return "", os.ErrNotExist }

type short struct{ *backendtest.Object }

func (s short) Size() int64             { return s.Object.Size() + 1 }
func (s short) File() (*os.File, error) { return nil, os.ErrNotExist }

type linked struct {
	*backendtest.Object
	path string
}

func (l linked) Path() (string, error) { return l.path, nil }

func TestAutoWithoutDescriptor(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + instream), say("1: stream: OK\x00"), backendtest.Drain()})
	if r, err := open(t, d.Address(), transportAuto).Scan(testContext(t), withoutFile{x(t)}); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
	_, err := open(t, d.Address(), transportFildes).Scan(testContext(t), withoutFile{x(t)})
	if err == nil || backends.CategoryOf(err) != backends.SWErr {
		t.Errorf("fildes: got %v", err)
	}
}

// TestDescriptorDoesNotArrive: auto turns to the stream, and stays there.
func TestDescriptorDoesNotArrive(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{want(session + "zFILDES\x00\x00"), said("1: No file descriptor received. ERROR\x00"), backendtest.CloseWrite(), backendtest.Drain()},
		backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), want(instream), say("2: stream: OK\x00"), backendtest.Drain()})
	b := open(t, d.Address(), transportAuto)
	for _, want := range []backends.Category{backends.Virus, backends.OK} {
		if r, err := b.Scan(testContext(t), x(t)); err != nil || r.Category != want {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

func TestShortObject(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Drain()})
	for _, transport := range []string{transportStream, transportAuto, transportPath} {
		r, err := open(t, d.Address(), transport).Scan(testContext(t), short{x(t)})
		if err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%s: got %+v, %v", transport, r, err)
		}
	}
	for i := range d.Connections() {
		if got := string(d.Received(i)); strings.Contains(got, "\x00\x00\x00\x00") {
			t.Errorf("the stream was ended: %q", got)
		}
	}
}

// TestPath: the real path is asked, and only an answer about it counts.
func TestPath(t *testing.T) {
	o := x(t)
	real, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	real, err = filepath.EvalSymlinks(real)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link: OK")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		reply string
		want  backends.Category
	}{
		{"1: " + real + ": OK\x00", backends.OK},
		{"1: " + real + ": X FOUND\x00", backends.Virus},
		{"1: " + real + "/x: X FOUND\x00", backends.SWErr},
		{"1: " + link + ": OK\x00", backends.SWErr},
		{"1: /x: OK\x00", backends.SWErr},
		{"1: stream: OK\x00", backends.SWErr},
		{"1: " + real + ": File path check failure: No such file or directory. ERROR\x00", backends.SWErr},
		{"1: " + real + ": lstat() failed: No such file or directory. ERROR\x00", backends.SWErr},
		{"1: " + real + ": Access denied. ERROR\x00", backends.SWErr},
		{"1: " + real + ": Not supported file type ERROR\x001: " + real + ": OK\x00", backends.SWErr},
		{"1: " + real + ": Excluded\x00", backends.SWErr},
	}
	for _, tt := range tests {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + "zSCAN " + real + "\x00"), say(tt.reply), backendtest.Drain()})
		r, err := open(t, d.Address(), transportPath).Scan(testContext(t), linked{o, link})
		got := r.Category
		if err != nil {
			got = backends.CategoryOf(err)
		}
		if got != tt.want {
			t.Errorf("%q: got %+v, %v", tt.reply, r, err)
		}
		if strings.Contains(tt.reply, "Access denied") && !strings.Contains(err.Error(), `transport = "stream"`) {
			t.Errorf("no hint in %v", err)
		}
	}
}

func TestPathRefuses(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.Symlink(filepath.Join(dir, "missing"), broken); err != nil {
		t.Fatal(err)
	}
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Drain()})
	b := open(t, d.Address(), transportPath)
	for _, path := range []string{dir, broken, "/dev/null", "/proc/version", filepath.Join(dir, "missing"), "relative", ""} {
		r, err := b.Scan(testContext(t), linked{x(t), path})
		if err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%q: got %+v, %v", path, r, err)
		}
	}
	if n := d.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// categories lists the category of the result and that of the error.
func categories(r backends.Result, err error) string {
	all := []string{}
	if r.Category != "" {
		all = append(all, string(r.Category))
	}
	if err != nil {
		all = append(all, string(backends.CategoryOf(err)))
	}
	return strings.Join(all, " ")
}

func TestScanAll(t *testing.T) {
	o := x(t)
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	p := path + ": "
	tests := []struct {
		name, reply string
		names       string
		want        string
	}{
		{"several", p + "A FOUND\x00" + p + "B FOUND\x00" + p + "A FOUND\x00" + p + "Heuristics.Encrypted.Zip FOUND\x00", "A B A Heuristics.Encrypted.Zip", "virus"},
		{"encrypted only", p + "Heuristics.Encrypted.Zip FOUND\x00", "Heuristics.Encrypted.Zip", "encrypted"},
		{"encrypted, and failed", p + "Heuristics.Encrypted.Zip FOUND\x00" + p + "Can't allocate memory ERROR\x00", "Heuristics.Encrypted.Zip", "encrypted swerr"},
		{"failed, and found", p + "Exceeded time limit ERROR\x00" + p + "A FOUND\x00", "A", "virus interrupted"},
		{"encrypted, and OK", p + "Heuristics.Encrypted.Zip FOUND\x00" + p + "OK\x00", "Heuristics.Encrypted.Zip", "encrypted swerr"},
		{"clean", p + "OK\x00", "", "ok"},
		{"two OK", p + "OK\x00" + p + "OK\x00", "", "swerr"},
		{"found, then broken off", p + "A FOUND\x00" + path, "A", "virus swerr"},
		{"another path", "/x: OK\x00", "", "swerr"},
		{"error and OK", p + "Not supported file type ERROR\x00" + p + "OK\x00", "", "swerr"},
		{"broken off", p + "OK", "", "swerr"},
		{"memory", p + "Can't allocate memory ERROR\x00", "", "swerr"},
		{"nothing", "", "", "cannot-execute"},
		{"too many", strings.Repeat(p+"A FOUND\x00", 1005), strings.TrimSpace(strings.Repeat("A ", 996)), "virus"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zALLMATCHSCAN " + path + "\x00"), say(tt.reply), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), transportStream).ScanAll(testContext(t), o)
			var names []string
			for _, f := range r.Findings {
				names = append(names, f.Name)
			}
			if got := categories(r, err); got != tt.want || strings.Join(names, " ") != tt.names {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestScanAllFallsBack: where clamd cannot look by path, Scan's finding it is.
func TestScanAllFallsBack(t *testing.T) {
	o := x(t)
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	scan := backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), backendtest.Drain()}
	for _, reply := range []string{
		path + ": File path check failure: No such file or directory. ERROR\x00",
		path + ": Access denied. ERROR\x00", path + ": " + textAllMatchDisabled + " ERROR\x00", "UNKNOWN COMMAND\x00",
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zALLMATCHSCAN " + path + "\x00"), say(reply), backendtest.CloseWrite(), backendtest.Drain()}, scan)
		r, err := open(t, d.Address(), transportStream).ScanAll(testContext(t), o)
		if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 {
			t.Errorf("%q: got %+v, %v", reply, r, err)
		}
	}
	d := backendtest.StartDaemon(t, "unix", scan)
	if r, err := open(t, d.Address(), transportStream).ScanAll(testContext(t), withoutFile{o}); err != nil || r.Category != backends.Virus {
		t.Errorf("without a path: got %+v, %v", r, err)
	}
}

// placed is a client's file of which there is no copy for clamd.
type placed struct {
	withoutFile
	places []func() (backends.Place, error) // the answers, one after the other
}

func (p *placed) Place() (backends.Place, error) {
	next := p.places[0]
	p.places = p.places[1:]
	return next()
}

// TestScanAllPlaced: what the file at the path of an object gives is a list of names, and
// only if nothing speaks against it; whether there is a find is what Scan says.
func TestScanAllPlaced(t *testing.T) {
	here := func() (backends.Place, error) { return backends.Place{Path: "/the/file", Inode: 1}, nil }
	other := func() (backends.Place, error) { return backends.Place{Path: "/the/file", Inode: 2}, nil }
	gone := func() (backends.Place, error) { return backends.Place{}, os.ErrNotExist }
	const both = "/the/file: A FOUND\x00/the/file: B FOUND\x00"
	tests := []struct {
		name   string
		scan   string // the answer to INSTREAM, after "1: stream: "
		list   string // the answer to ALLMATCHSCAN; empty: it must not be asked
		places []func() (backends.Place, error)
		want   string // the names
	}{
		{"all", "A FOUND", both, []func() (backends.Place, error){here, here}, "A B"},
		{"clean is clean, whatever the path would give", "OK", "", nil, ""},
		{"no path", "A FOUND", "", []func() (backends.Place, error){gone}, "A"},
		{"another file afterwards", "A FOUND", both, []func() (backends.Place, error){here, other}, "A"},
		{"gone afterwards", "A FOUND", both, []func() (backends.Place, error){here, gone}, "A"},
		{"clean at the path", "A FOUND", "/the/file: OK\x00", []func() (backends.Place, error){here, here}, "A"},
		{"something else at the path", "A FOUND", "/the/file: B FOUND\x00/the/file: C FOUND\x00", []func() (backends.Place, error){here, here}, "A"},
		{"not readable", "A FOUND", "/the/file: Access denied. ERROR\x00", []func() (backends.Place, error){here, here}, "A"},
		{"an error beside", "A FOUND", both + "/the/file: Can't allocate memory ERROR\x00", []func() (backends.Place, error){here, here}, "A"},
		{"switched off", "A FOUND", "/the/file: " + textAllMatchDisabled + " ERROR\x00", []func() (backends.Place, error){here, here}, "A"},
		{"no answer", "A FOUND", " ", []func() (backends.Place, error){here, here}, "A"},
		{"a virus beside what is encrypted", "Heuristics.Encrypted.Zip FOUND", "/the/file: Heuristics.Encrypted.Zip FOUND\x00/the/file: B FOUND\x00",
			[]func() (backends.Place, error){here, here}, "Heuristics.Encrypted.Zip B"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scripts := []backendtest.Script{{want(session + instream), say("1: stream: " + tt.scan + "\x00"), backendtest.Drain()}}
			if tt.list != "" {
				scripts = append(scripts, backendtest.Script{want("zALLMATCHSCAN /the/file\x00"), say(strings.TrimSpace(tt.list)), backendtest.CloseWrite(), backendtest.Drain()})
			}
			d := backendtest.StartDaemon(t, "unix", scripts...)
			c := &placed{withoutFile: withoutFile{x(t)}, places: tt.places}
			r, err := open(t, d.Address(), transportStream).ScanAll(testContext(t), c)
			var names []string
			for _, f := range r.Findings {
				names = append(names, f.Name)
			}
			if got := strings.Join(names, " "); err != nil || got != tt.want || (r.Category == backends.OK) != (tt.want == "") {
				t.Errorf("got %+v, %v, want %q", r, err, tt.want)
			}
			if len(c.places) > 0 {
				t.Errorf("the place was not looked at %d times", len(c.places))
			}
		})
	}
}

// TestScanAllPlacedOverTCP: the path means nothing on another host.
func TestScanAllPlacedOverTCP(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(session + instream), say("1: stream: A FOUND\x00"), backendtest.Drain()})
	r, err := open(t, d.Address(), transportStream).ScanAll(testContext(t), &placed{withoutFile: withoutFile{x(t)}})
	if err != nil || len(r.Findings) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestVersionAndReload(t *testing.T) {
	tests := []struct {
		reply string
		want  backends.Version
	}{
		{"ClamAV 1.4.6", backends.Version{Text: "ClamAV 1.4.6", Engine: "ClamAV 1.4.6"}},
		{"ClamAV 1.4.6/27123/Mon Nov 23 14:20:49 2026", backends.Version{
			Text: "ClamAV 1.4.6/27123/Mon Nov 23 14:20:49 2026", Engine: "ClamAV 1.4.6", Database: "27123",
			DatabaseTime: time.Date(2026, 11, 23, 14, 20, 49, 0, time.Local)}},
		{"ClamAV 1.4.6/27123/Mon Nov  2 04:20:49 2026", backends.Version{
			Text: "ClamAV 1.4.6/27123/Mon Nov  2 04:20:49 2026", Engine: "ClamAV 1.4.6", Database: "27123",
			DatabaseTime: time.Date(2026, 11, 2, 4, 20, 49, 0, time.Local)}},
	}
	for _, tt := range tests {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zVERSION\x00"), say(tt.reply + "\x00")},
			backendtest.Script{want("zRELOAD\x00"), said("RELOADING\x00")}, backendtest.Script{want("zRELOAD\x00"), say("COMMAND UNAVAILABLE\x00")})
		b, ctx := open(t, d.Address(), transportAuto), testContext(t)
		if v, err := b.Version(ctx); err != nil || v != tt.want {
			t.Errorf("got %+v, %v", v, err)
		}
		if err := b.Reload(ctx); err != nil {
			t.Error(err)
		}
		if err := b.Reload(ctx); err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("switched off: got %v", err)
		}
	}
}

func TestSelfCheck(t *testing.T) {
	tests := []struct {
		reply       string
		want        bool
		failed      bool
		unsupported bool
	}{
		{reply: "DBUPTODATE", want: true},
		{reply: "RELOADING"},
		{reply: "UNKNOWN COMMAND", failed: true, unsupported: true},
		{reply: "COMMAND UNAVAILABLE", failed: true, unsupported: true},
		{reply: "PONG", failed: true},
		{reply: "DBUPTODATE ERROR", failed: true},
	}
	for _, tt := range tests {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zSELFCHECK\x00"), say(tt.reply + "\x00")})
		got, err := open(t, d.Address(), transportAuto).SelfCheck(testContext(t))
		if got != tt.want || (err != nil) != tt.failed || errors.Is(err, errors.ErrUnsupported) != tt.unsupported {
			t.Errorf("%s: got %v, %v", tt.reply, got, err)
		}
	}
}

func TestConfig(t *testing.T) {
	tests := []struct {
		address, transport string
		timeout            time.Duration
		want               string // the transport to begin with, or
		err                string // a part of the error
	}{
		{"unix:/s", "auto", 1, "fildes", ""},
		{"tcp:127.0.0.1:3310", "auto", 1, "stream", ""},
		{"unix:/s", "path", 1, "path", ""},
		{"unix:/s", "fildes", 1, "fildes", ""},
		{"tcp:127.0.0.1:3310", "fildes", 1, "", "TCP"},
		{"unix:/s", "carrier pigeon", 1, "", "carrier pigeon"},
		{"unix:/s", "auto", 0, "", "connect_timeout"},
		{"", "auto", 1, "", "address"},
		{"/s", "auto", 1, "", "unix:"},
	}
	for _, tt := range tests {
		b, err := (&Config{Transport: tt.transport, ConnectTimeout: tt.timeout}).Open(tt.address)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v: got %v", tt, err)
			}
			continue
		}
		if err != nil || b.(*Backend).transport != tt.want {
			t.Errorf("%+v: got %+v, %v", tt, b, err)
		}
	}
	if b, err := NewConfig().Open("unix:/s"); err != nil || b.(*Backend).pool.Off {
		t.Errorf("the defaults: %+v, %v", b, err)
	}
}
