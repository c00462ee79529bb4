package clamd

import (
	"context"
	"errors"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func TestKeptSession(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{
		want(session + instream), say("1: stream: OK\x00"),
		want(instream), say("2: stream: X FOUND\x00"),
		want(instream), say("3: stream: OK\x00"),
		want("zEND\x00"), backendtest.Drain(),
	})
	b, ctx := open(t, d.Address(), transportStream), backendtest.Context(t)
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

// TestDeadSession checks that a dead kept session is replaced, once, no matter whether it
// died before or during the next request.
func TestDeadSession(t *testing.T) {
	ends := map[string]backendtest.Script{
		"closed while idle":    {backendtest.Close()},
		"closed when busy":     {backendtest.Discard(1), backendtest.Close()},
		"reset when busy":      {backendtest.Discard(1), backendtest.Reset()},
		"timed out while idle": {recorded("COMMAND READ TIMED OUT\n"), backendtest.Close()},
		"timed out when busy":  {backendtest.Discard(1), recorded("COMMAND READ TIMED OUT\n"), backendtest.CloseWrite(), backendtest.Drain()},
		"closed after request": {want(instream), backendtest.Close()},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			idle := make(chan struct{})
			first := backendtest.Script{want(session + instream), say("1: stream: OK\x00"), backendtest.Wait(idle)}
			d := backendtest.StartDaemon(t, "tcp", append(first, end...),
				backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), backendtest.Drain()})
			b, ctx := open(t, d.Address(), transportStream), backendtest.Context(t)
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

// TestStrayReply checks that a session with unexpected input is not used again.
func TestStrayReply(t *testing.T) {
	for _, stray := range []string{"1: stream: OK\x00", "2: stream: OK\x00", "x"} {
		idle, sent := make(chan struct{}), make(chan struct{})
		d := backendtest.StartDaemon(t, "tcp",
			backendtest.Script{
				want(session + instream), say("1: stream: OK\x00"), backendtest.Wait(idle), say(stray),
				func(*backendtest.Session) error { close(sent); return nil }, backendtest.Drain(),
			},
			backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), backendtest.Drain()})
		b, ctx := open(t, d.Address(), transportStream), backendtest.Context(t)
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
	b, ctx := open(t, d.Address(), transportStream), backendtest.Context(t)
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

// TestSilence checks that the end of the context ends the scan, and the session with END.
func TestSilence(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + instream), want("zEND\x00"), backendtest.Drain()})
	b := open(t, d.Address(), transportStream)
	cause := errors.New("cancelled by the test")
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
	if _, err := b.Scan(backendtest.Context(t), x(t)); err != nil {
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

// TestSessionsOff checks that every scan uses a new connection and no IDSESSION.
func TestSessionsOff(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(instream), say("stream: OK\x00"), backendtest.CloseWrite(), backendtest.Drain()})
	config := NewConfig().(*Config)
	config.Sessions, config.Transport = false, transportStream
	b, err := config.Open(d.Address())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r, err := b.Scan(backendtest.Context(t), x(t)); err != nil || r.Category != backends.OK {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}
