package clamd

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// TestDiesOfObject has clamd die while it scans an object on a kept session. It is not back
// yet when the object is sent again: that it refuses the connection must not hide that it
// died.
func TestDiesOfObject(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		l := testkit.Listen(t, network)
		testkit.ServeOn(t, l, func(nc net.Conn) {
			io.ReadFull(nc, make([]byte, len(session+instream)))
			io.WriteString(nc, "1: stream: OK\x00")
			io.ReadFull(nc, make([]byte, len(instream)))
			l.Close()
		})
		b, ctx := open(t, testkit.Address(l), transportStream), backendtest.Context(t)
		if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != backends.OK {
			t.Fatalf("first: got %+v, %v", r, err)
		}
		if r, err := b.Scan(ctx, x(t)); !backends.Died(err) {
			t.Errorf("%s: got %+v, %v", network, r, err)
		}
		if r, err := b.Scan(ctx, x(t)); err == nil || backends.Died(err) {
			t.Errorf("%s, without clamd: got %+v, %v", network, r, err)
		}
	}
}

// TestDiesTwice has a clamd whose socket stays open while it restarts, like the one that
// clamav-daemon.socket listens on. The object that broke a kept session breaks the new one
// too. A suspect is sent once.
func TestDiesTwice(t *testing.T) {
	var got atomic.Int32
	l := testkit.Listen(t, "unix")
	testkit.ServeOn(t, l, func(nc net.Conn) {
		io.ReadFull(nc, make([]byte, len(session+instream)))
		if got.Add(1) == 1 {
			io.WriteString(nc, "1: stream: OK\x00")
			io.ReadFull(nc, make([]byte, len(instream)))
			got.Add(1)
		}
	})
	b, ctx := open(t, testkit.Address(l), transportStream), backendtest.Context(t)
	if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != backends.OK {
		t.Fatalf("first: got %+v, %v", r, err)
	}
	if r, err := b.Scan(ctx, x(t)); backends.Deaths(err) != 2 || got.Load() != 3 {
		t.Errorf("got %+v, %v; %d deaths, clamd got it %d times", r, err, backends.Deaths(err), got.Load()-1)
	}
	got.Store(0)
	if r, err := b.Scan(ctx, x(t)); err != nil || r.Category != backends.OK {
		t.Fatalf("again: got %+v, %v", r, err)
	}
	if r, err := b.Scan(backends.WithSuspect(ctx), x(t)); backends.Deaths(err) != 1 || got.Load() != 2 {
		t.Errorf("a suspect: got %+v, %v; %d deaths, clamd got it %d times", r, err, backends.Deaths(err), got.Load()-1)
	}
}
