package polyclam

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/proxy"
)

func open(tb testing.TB, address, transport string) *Backend {
	tb.Helper()
	config := NewConfig().(*Config)
	config.Transport = transport
	b, err := config.Open(address)
	if err != nil {
		tb.Fatal(err)
	}
	return b.(*Backend)
}

func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func fails(c backends.Category, code int) backends.Backend {
	return backendtest.Fails(&backends.Failure{Category: c, Code: code, Text: "text of " + string(c)})
}

func finds(c backends.Category, code int, names ...string) backends.Backend {
	r := backends.Result{Category: c, Code: code, Detail: "detail of " + string(c)}
	for _, n := range names {
		r.Findings = append(r.Findings, backends.Finding{Name: n, Category: c})
	}
	return backendtest.Says(r)
}

func clean() backends.Backend { return backendtest.Says(backends.Clean(0)) }

// TestEveryCategory checks that the result of another polyclam's engine arrives unchanged,
// with its code, over each transport.
func TestEveryCategory(t *testing.T) {
	for _, c := range backends.Categories() {
		t.Run(string(c), func(t *testing.T) {
			backendtest.NoLeaks(t)
			b := finds(c, 42, "Name.Of."+string(c))
			switch {
			case c.IsFailure():
				b = fails(c, 42)
			case c == backends.OK:
				b = backendtest.Says(backends.Clean(42))
			}
			address := serve(t, nil, remoteEngine{name: "first", backend: clean()}, remoteEngine{name: "second", backend: b})
			for _, transport := range []string{transportFildes, transportStream, transportAuto} {
				r, err := open(t, address, transport).Scan(testContext(t), backendtest.CleanObject(t))
				if c.IsFailure() {
					var f *backends.Failure
					if !errors.As(err, &f) || f.Category != c || f.Code != 42 || f.Text != "second: text of "+string(c) {
						t.Errorf("%s: got %+v, %v", transport, r, err)
					}
					continue
				}
				want := backends.Result{Category: c, Code: 42, Detail: "detail of " + string(c), Findings: []backends.Finding{{Name: "Name.Of." + string(c), Category: c}}}
				if c == backends.OK {
					want = backends.Clean(0) // the first of equals
				}
				if err != nil || !reflect.DeepEqual(r, want) {
					t.Errorf("%s: got %+v, %v, want %+v", transport, r, err, want)
				}
			}
		})
	}
}

// TestChain scans through three polyclams in a row.
func TestChain(t *testing.T) {
	for _, c := range []backends.Category{backends.Encrypted, backends.Partial, backends.Suspicious, backends.Virus, backends.NotInstalled, backends.OK} {
		b := finds(c, 7, "A")
		if c.IsFailure() {
			b = fails(c, 7)
		}
		if c == backends.OK {
			b = clean()
		}
		first := serve(t, nil, remoteEngine{name: "engine", backend: b})
		second := serve(t, nil, remoteEngine{name: "first", backend: open(t, first, transportAuto)})
		r, err := open(t, second, transportStream).Scan(testContext(t), backendtest.LargeObject(t, 100<<10))
		got, code := r.Category, r.Code
		var f *backends.Failure
		if errors.As(err, &f) {
			got, code = f.Category, f.Code
		}
		if got != c || c != backends.OK && code != 7 {
			t.Errorf("%v: got %+v, %v", c, r, err)
		}
	}
}

// lazily is a backend that is set later.
type lazily struct{ atomic.Pointer[Backend] }

func (l *lazily) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return l.Load().Scan(ctx, o)
}

// TestLoop checks that a polyclam that asks itself answers after the first timeout.
func TestLoop(t *testing.T) {
	backendtest.NoLeaks(t)
	loop := new(lazily)
	address := serve(t, nil, remoteEngine{name: "engine", backend: clean()}, remoteEngine{name: "itself", backend: loop, timeout: 300 * time.Millisecond})
	loop.Store(open(t, address, transportAuto))
	r, err := open(t, address, transportAuto).Scan(testContext(t), backendtest.CleanObject(t))
	if err == nil || backends.CategoryOf(err) != backends.Interrupted {
		t.Errorf("got %+v, %v", r, err)
	}
	// The caller's deadline ends it too.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r, err := open(t, address, transportStream).Scan(ctx, backendtest.CleanObject(t)); backends.CategoryOf(err) != backends.Interrupted {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestAnswerEndsAtEveryByte checks that a truncated answer is never a result.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	const reply = okLine + okE + okS + end
	for n := range len(reply) {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Want(backendtest.Composed(request)), say(reply[:n]), backendtest.Close()})
		r, err := open(t, d.Address(), transportStream).Scan(testContext(t), backendtest.Bytes(t, []byte("x")))
		if err == nil || !reflect.DeepEqual(r, backends.Result{}) || d.Connections() != 1 {
			t.Errorf("%q: got %+v, %v", reply[:n], r, err)
		}
	}
}

func TestEarly(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Discard(11), say(okLine + okE + okS + end), backendtest.CloseWrite(), backendtest.Close()})
	if r, err := open(t, d.Address(), transportStream).Scan(testContext(t), backendtest.LargeObject(t, 16<<20)); err == nil {
		t.Errorf("ok for half a stream: %+v", r)
	}
}

// TestDescriptorLost checks that streams are used after a descriptor was lost, as by a
// relayed socket.
func TestDescriptorLost(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{backendtest.Want(backendtest.Composed("zXFILDES\x00\x00")), say("No file descriptor received. ERROR\x00"), backendtest.CloseWrite(), backendtest.Drain()},
		backendtest.Script{backendtest.Want(backendtest.Composed(request)), say(okLine + okE + okS + end), backendtest.CloseWrite(), backendtest.Drain()})
	b := open(t, d.Address(), transportAuto)
	for i := range 2 {
		if r, err := b.Scan(testContext(t), backendtest.Bytes(t, []byte("x"))); err != nil || r.Category != backends.OK {
			t.Fatalf("%d: got %+v, %v", i, r, err)
		}
	}
	if n := d.Connections(); n != 3 {
		t.Errorf("%d connections", n)
	}
	if _, err := open(t, d.Address(), transportFildes).Scan(testContext(t), noFile{backendtest.CleanObject(t)}); backends.CategoryOf(err) != backends.SWErr {
		t.Errorf("%v is %v", err, backends.CategoryOf(err))
	}
}

// noFile has no descriptor.
type noFile struct{ backends.Object }

func (noFile) File() (*os.File, error) { return nil, os.ErrNotExist }

func TestWithoutDescriptor(t *testing.T) {
	r, err := open(t, serve(t, nil, remoteEngine{name: "a", backend: backendtest.Engine()}), transportAuto).Scan(testContext(t), noFile{backendtest.Bytes(t, testfile.EICAR())})
	if err != nil || r.Category != backends.Virus {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestSizeLimit(t *testing.T) {
	address := serve(t, func(c *proxy.Config) { c.Limits.Stream = 1000 }, remoteEngine{name: "a", backend: clean()})
	r, err := open(t, address, transportStream).Scan(testContext(t), backendtest.LargeObject(t, 1<<20))
	if err != nil || r.Category != backends.Partial {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestVersionAndReload(t *testing.T) {
	address := serve(t, nil, remoteEngine{name: "a", backend: clean()})
	b := open(t, address, transportAuto)
	v, err := b.Version(testContext(t))
	if err != nil || v.Text == "" || v.Engine == "" {
		t.Errorf("got %+v, %v", v, err)
	}
	if err := b.Reload(testContext(t)); err != nil {
		t.Error(err)
	}
	refuses := serve(t, func(c *proxy.Config) { c.Listeners[0].ReloadCommand = false }, remoteEngine{name: "a", backend: clean()})
	if err := open(t, refuses, transportAuto).Reload(testContext(t)); err == nil || !strings.Contains(err.Error(), "reload_command") {
		t.Errorf("got %v", err)
	}
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Discard(1), say("ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026\x00"), backendtest.CloseWrite(), backendtest.Drain()})
	v, err = open(t, d.Address(), transportAuto).Version(testContext(t))
	if err != nil || v.Database != "27500" || !v.DatabaseTime.Equal(time.Date(2026, 11, 23, 8, 0, 0, 0, time.Local)) {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := open(t, backendtest.Missing(t), transportAuto).Version(testContext(t)); backends.CategoryOf(err) != backends.NotInstalled {
		t.Errorf("%v is %v", err, backends.CategoryOf(err))
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		address string
		change  func(*Config)
		want    string
	}{
		{"", nil, `unix:/run/polyclam/clamd.sock`},
		{"/s", nil, "unix:/path/of/socket"},
		{"tcp:h:1", func(c *Config) { c.Transport = transportFildes }, "TCP cannot pass a descriptor"},
		{"tcp:h:1", func(c *Config) { c.Transport = "path" }, `transport: "path"`},
		{"tcp:h:1", func(c *Config) { c.ConnectTimeout = 0 }, "connect_timeout"},
	} {
		c := NewConfig().(*Config)
		if tt.change != nil {
			tt.change(c)
		}
		if _, err := c.Open(tt.address); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q in it", tt.address, err, tt.want)
		}
	}
}

// TestEarlyAnswer checks that only a virus and the size limit count if an answer begins
// before the last bytes are sent.
func TestEarlyAnswer(t *testing.T) {
	for _, tt := range []struct{ answer, want string }{
		{okLine + okE + okS + end, "swerr"},
		{found + foundE + virusS, "virus"},
		{"stream: Heuristics.Encrypted.Zip FOUND\x00" + lockedE + strings.Replace(virusS, "virus", "encrypted", 1), "swerr"},
		{"INSTREAM size limit exceeded. ERROR\x00", "partial"},
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Discard(100), say(tt.answer), backendtest.Drain()})
		if r, err := open(t, d.Address(), transportStream).Scan(testContext(t), backendtest.LargeObject(t, 16<<20)); categories(r, err) != tt.want {
			t.Errorf("%q: got %+v, %v", tt.answer, r, err)
		}
	}
}
