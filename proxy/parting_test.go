package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// TestParting checks that sessions end and clients see no reset, whether they close as soon
// as they have the reply, read to the end, send more, or stay. A client that does not run for
// lingerQuiet finds the connection closed, and a session whose first read had to wait does not
// part, so each has several attempts, and most of them must succeed.
func TestParting(t *testing.T) {
	const reply, attempts = "stream: OK\x00", 12
	// With HashAlways the connection is half-closed before the session parts.
	ts := newServer(t, func(c *Config) { c.Hash = HashFound }, eicarOnly())
	end := func(nc net.Conn) error {
		rest, err := io.ReadAll(nc)
		if len(rest) > 0 {
			err = fmt.Errorf("after the reply: %q", rest)
		}
		return err
	}
	for _, c := range []struct {
		name   string
		client func(nc *net.UnixConn) error
	}{
		{"closes", func(*net.UnixConn) error { return nil }},
		{"reads to the end", func(nc *net.UnixConn) error { return end(nc) }},
		{"sends more", func(nc *net.UnixConn) error {
			for range 4 * partingBytes / 4096 {
				if _, err := nc.Write(make([]byte, 4096)); err != nil {
					return err
				}
			}
			return end(nc)
		}},
		{"sends more after the end", func(nc *net.UnixConn) error {
			if err := end(nc); err != nil {
				return err
			}
			testkit.Eventually(t, "a goroutine waits for the client", func() bool { return !ts.isParting() })
			_, err := nc.Write([]byte("QUIT\n"))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var failed []error
			for range attempts {
				nc := ts.dial()
				if _, err := io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1)); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, len(reply))
				if _, err := io.ReadFull(nc, b); err != nil || string(b) != reply {
					t.Fatalf("got %q, %v", b, err)
				}
				if err := c.client(nc); err != nil {
					failed = append(failed, err)
				}
				nc.Close()
				testkit.Eventually(t, "the session ends", func() bool { return ts.sessionCount() == 0 })
			}
			if len(failed) > attempts/2 {
				t.Errorf("%d of %d attempts: %v", len(failed), attempts, failed[0])
			}
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
	for range 20 {
		nc := ts.dial()
		io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1))
		if got := readAll(t, nc); !strings.HasSuffix(got, "OK\x00") {
			t.Fatalf("got %q", got)
		}
		nc.Close()
	}
}

func (s *Server) isParting() bool {
	s.parting.mu.Lock()
	defer s.parting.mu.Unlock()
	swept := s.parting.timer == nil || s.parting.spare != nil // take has it, until giveBack
	return len(s.parting.list) > 0 || !swept
}

func (s *Server) sessionCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}
