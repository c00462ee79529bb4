package clamd

import (
	"io"
	"net"
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
