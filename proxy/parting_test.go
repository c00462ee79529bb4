package proxy

import (
	"io"
	"net"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// TestParting checks that sessions end and clients see no reset, whether they close as soon
// as they have the reply, read to the end, send more, or stay.
func TestParting(t *testing.T) {
	const reply = "stream: OK\x00"
	ts := newServer(t, nil, eicarOnly())
	take := func(t *testing.T, nc net.Conn) {
		t.Helper()
		b := make([]byte, len(reply))
		if _, err := io.ReadFull(nc, b); err != nil || string(b) != reply {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	end := func(t *testing.T, nc net.Conn) {
		t.Helper()
		if rest, err := io.ReadAll(nc); err != nil || len(rest) > 0 {
			t.Errorf("after the reply: %q, %v", rest, err)
		}
	}
	for _, c := range []struct {
		name   string
		client func(t *testing.T, nc *net.UnixConn)
	}{
		{"closes", func(t *testing.T, nc *net.UnixConn) { take(t, nc) }},
		{"reads to the end", func(t *testing.T, nc *net.UnixConn) { take(t, nc); end(t, nc) }},
		{"sends more", func(t *testing.T, nc *net.UnixConn) {
			take(t, nc)
			for range 4 * partingBytes / 4096 {
				if _, err := nc.Write(make([]byte, 4096)); err != nil {
					t.Fatalf("after the reply: %v", err)
				}
			}
			end(t, nc)
		}},
		{"sends more later", func(t *testing.T, nc *net.UnixConn) {
			take(t, nc)
			end(t, nc)
			testkit.Eventually(t, "a goroutine waits for the client", func() bool { return !ts.isParting() })
			if _, err := nc.Write([]byte("QUIT\n")); err != nil {
				t.Errorf("after the end: %v", err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc := ts.dial()
			if _, err := io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1)); err != nil {
				t.Fatal(err)
			}
			c.client(t, nc)
			nc.Close()
			testkit.Eventually(t, "the session ends", func() bool { return ts.sessionCount() == 0 })
		})
	}
}

// TestPartingIsBounded checks that no more sessions than allowed wait for the timer, and that
// the others end too.
func TestPartingIsBounded(t *testing.T) {
	for _, connections := range []int{1, 2 * partingShare, 4 * maxParting * partingShare} {
		p := &parting{}
		n := 0
		for p.add(&session{}, connections, func() {}) {
			n++
		}
		if want := min(maxParting, connections/partingShare); n != want {
			t.Errorf("%d connections: %d sessions wait, want %d", connections, n, want)
		}
		if list := p.take(); len(list) != n {
			t.Errorf("%d of %d were taken", len(list), n)
		}
	}
	ts := newServer(t, func(c *Config) { c.Limits.Connections = 2 }, eicarOnly())
	for range 20 { // one after another: a place that is not free in time would cost lingerQuiet
		if got := ts.ask("zINSTREAM\x00" + stream("x", 1)); !strings.HasSuffix(got, "OK\x00") {
			t.Fatalf("got %q", got)
		}
	}
}

func (s *Server) isParting() bool {
	s.parting.mu.Lock()
	defer s.parting.mu.Unlock()
	return len(s.parting.list) > 0
}

func (s *Server) sessionCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}
