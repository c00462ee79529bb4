package engineconn

import (
	"io"
	"net"
	"testing"

	"polyclam/backends"
	"polyclam/test/testkit"
)

// TestDiesOfObject has an engine die of an object on a kept connection. That it then refuses
// connections must not hide that.
func TestDiesOfObject(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	testkit.ServeOn(t, l, func(nc net.Conn) {
		io.WriteString(nc, "HELLO\n")
		io.ReadFull(nc, make([]byte, len("Q\n")))
		io.WriteString(nc, "ok\n.\n")
		io.ReadFull(nc, make([]byte, len("Q\n")))
		l.Close()
	})
	c := asker(t, testkit.Address(l))
	if r, err := c.Scan(t.Context(), ask); outcome(r, err) != "ok" {
		t.Fatalf("first: %+v, %v", r, err)
	}
	if r, err := c.Scan(t.Context(), ask); !backends.Died(err) {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := c.Scan(t.Context(), ask); err == nil || backends.Died(err) {
		t.Errorf("without the engine: got %+v, %v", r, err)
	}
}
