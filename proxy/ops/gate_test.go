package ops

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// TestSlowClients fills every place with clients that never finish the header of a request.
// One that comes later is served.
func TestSlowClients(t *testing.T) {
	ts := newTester(t, Config{})
	var slow []net.Conn
	for range 2 * MaxConnections {
		nc := ts.dial()
		io.WriteString(nc, "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		slow = append(slow, nc)
	}
	testkit.Eventually(t, "all places are taken", func() bool { return ts.open() == MaxConnections })
	for range 3 {
		if answer, _ := ts.get("GET", "/livez", ""); answer.StatusCode != 200 {
			t.Error(answer.Status)
		}
	}
	if n := ts.open(); n > MaxConnections {
		t.Errorf("%d connections, want %d at most", n, MaxConnections)
	}
	wantClosed(t, slow[0]) // the oldest
}

func TestLargeHeader(t *testing.T) {
	ts := newTester(t, Config{})
	nc := ts.dial()
	go fmt.Fprintf(nc, "GET /livez HTTP/1.1\r\nHost: x\r\n%s\r\n", strings.Repeat("X-Flood: "+strings.Repeat("x", 1000)+"\r\n", 1000))
	if got := wantClosed(t, nc); got != "" && !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("answer %q, want 431", got)
	}
}

// TestGarbage sends what is not HTTP.
func TestGarbage(t *testing.T) {
	ts := newTester(t, Config{})
	for _, text := range []string{"zINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "GET /livez HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n\r\n"} {
		nc := ts.dial()
		io.WriteString(nc, text)
		nc.(*net.TCPConn).CloseWrite()
		if got := wantClosed(t, nc); strings.Contains(got, " 200 ") {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// place puts a connection of a client into g, with requests under way.
func place(t *testing.T, g *gate, k client.Key, requests int) *conn {
	a, b := net.Pipe()
	t.Cleanup(func() { b.Close() })
	c := g.enter(a, nil)
	if c == nil {
		return nil
	}
	g.mu.Lock()
	g.clients[c.client]--
	c.client, c.requests = k, requests
	g.clients[k]++
	g.mu.Unlock()
	return c
}

func host(n byte) client.Key { return client.Host(netip.AddrFrom4([4]byte{10, 0, 0, n})) }

func TestVictim(t *testing.T) {
	type one struct {
		host     byte
		requests int
	}
	for _, test := range []struct {
		name string
		have []one
		new  byte
		want int // index in have; -1: none
	}{
		{"the oldest", []one{{1, 0}, {2, 0}, {3, 0}}, 4, 0},
		{"of the client that has most", []one{{1, 0}, {2, 0}, {2, 0}}, 3, 1},
		{"not with a request", []one{{2, 1}, {2, 1}, {1, 0}}, 3, 2},
		{"with a request, of one that has more", []one{{1, 1}, {2, 1}, {2, 1}}, 3, 1},
		{"only its own have requests", []one{{1, 1}, {1, 1}, {1, 1}}, 1, -1},
		{"each has one", []one{{1, 1}, {2, 1}, {3, 1}}, 4, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGate(10)
			var conns []*conn
			for _, o := range test.have {
				conns = append(conns, place(t, g, host(o.host), o.requests))
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			got := g.victim(host(test.new))
			if test.want < 0 && got != nil || test.want >= 0 && got != conns[test.want] {
				t.Errorf("victim %+v", got)
			}
		})
	}
}

// TestGateCounts opens and closes connections: nothing may be left.
func TestGateCounts(t *testing.T) {
	g := newGate(2)
	a, b := place(t, g, host(1), 0), place(t, g, host(1), 0)
	c := place(t, g, host(2), 0) // takes the place of a
	for _, one := range []*conn{a, a, b, c} {
		one.Close()
	}
	delete(g.clients, client.Key{}) // of the pipes, before place gave them a client
	if len(g.conns) != 0 || len(g.clients) != 0 {
		t.Errorf("left: %v, %v", g.conns, g.clients)
	}
}

// TestRetire removes a listener: its idle connections end, and a request under way is
// answered first.
func TestRetire(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	ts := newTester(t, Config{})
	ts.admin.server.Handler = ts.admin.gate.counted(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		io.WriteString(w, "late")
	}))
	ln, addr := ts.listen(Admin, "unix")
	dial := func() net.Conn {
		nc, err := net.Dial("unix", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		return nc
	}
	idle, busy := dial(), dial()
	io.WriteString(busy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	ts.Retire(ln)
	wantClosed(t, idle)
	close(leave)
	answer, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(answer.Body); string(body) != "late" {
		t.Errorf("answer %q", body)
	}
	wantClosed(t, busy)
	if nc, err := net.Dial("unix", addr); err == nil {
		nc.Close()
		t.Error("the listener is still open")
	}
}

func TestLimiter(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newLimiter(1).limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}))
	first := make(chan struct{})
	go func() {
		defer close(first)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	<-entered
	second := httptest.NewRecorder()
	h.ServeHTTP(second, httptest.NewRequest("GET", "/", nil)) // waits for requestWait
	if second.Code != http.StatusServiceUnavailable || second.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", second.Code, second.Header())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil)) // returns
	leave <- struct{}{}
	<-first
	go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	<-entered
	leave <- struct{}{}
}

// TestClose ends a request that never would.
func TestClose(t *testing.T) {
	ts := newTester(t, Config{})
	nc := ts.dial()
	io.WriteString(nc, "GET /livez HTTP/1.1\r\n")
	testkit.Eventually(t, "the connection is served", func() bool { return ts.open() == 1 })
	done := make(chan struct{})
	go func() {
		defer close(done)
		ts.Close()
	}()
	wantClosed(t, nc)
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Close hangs")
	}
}
