// Package wiretest is a misbehaving HTTP server for tests: it can answer raw bytes,
// early, or twice.
package wiretest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// Server is a running server.
type Server struct {
	Address string

	decode  func(body []byte) []byte
	say     func(backends.Category) string
	bad     backendtest.Misbehaviour
	repeats Repeats
}

// Start starts a server on "tcp" or "unix". decode takes the object out of a body, or
// out of its first KiB; say is the raw answer about an object of a category.
func Start(t testing.TB, network string, decode func(body []byte) []byte, say func(backends.Category) string, bad backendtest.Misbehaviour) *Server {
	t.Helper()
	s := &Server{decode: decode, say: say, bad: bad}
	s.Address = Listen(t, network, s.serve)
	return s
}

// Repeats says what became of the repeated answers so far.
func (s *Server) Repeats() *Repeats { return &s.repeats }

// early is how much of an object an early answer is about.
const early = 1 << 10

// scanTime is what a scan takes where answers are repeated, so that many scans do not
// end before the first repeated answer comes.
const scanTime = 2 * time.Millisecond

func (s *Server) serve(nc net.Conn) {
	br := bufio.NewReaderSize(nc, 64<<10)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		var body []byte
		if s.bad.Early && r.ContentLength > early {
			body = make([]byte, early)
			_, err = io.ReadFull(r.Body, body)
		} else {
			body, err = io.ReadAll(r.Body)
		}
		if err != nil {
			return
		}
		if s.bad.Repeat > 0 {
			time.Sleep(scanTime)
		}
		object := s.decode(body)
		raw := s.say(backendtest.Marked(object))
		if s.bad.Odd != "" && bytes.Contains(object, []byte(backendtest.MarkOdd)) {
			raw = s.bad.Odd
		}
		said := time.Now()
		if _, err := io.WriteString(nc, raw); err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		if s.bad.Repeat > 0 && !s.repeats.Repeat(nc, br, said, s.bad.Repeat, raw) {
			return
		}
		if strings.HasPrefix(raw, "HTTP/1.0") {
			return // its end may be that of the answer
		}
	}
}

// Repeats counts what became of repeated answers.
type Repeats struct {
	mu                           sync.Mutex
	closed, caught, missed, late int
}

// Counts returns how many were never sent, because the connection had been closed;
// how many came on a connection that was kept, which was then given up; how many
// were followed by another request on the same connection; and how many were left out,
// because they were late.
func (r *Repeats) Counts() (closed, caught, missed, late int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed, r.caught, r.missed, r.late
}

// soon is after what time an answer is no longer repeated. A client that uses a
// connection again after 100 ms cannot see what a busy machine sends later than that.
const soon = 80 * time.Millisecond

// Repeat sends an answer that was said then a second time, so much later, and reports
// whether another request follows.
func (r *Repeats) Repeat(nc net.Conn, br *bufio.Reader, said time.Time, later time.Duration, raw string) bool {
	count := func(n *int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*n++
	}
	end := said.Add(later)
	nc.SetReadDeadline(end)
	_, err := br.Peek(1)
	nc.SetReadDeadline(time.Time{})
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		count(&r.closed)
		return false
	}
	time.Sleep(time.Until(end))
	if time.Since(said) > soon {
		count(&r.late)
		return true
	}
	io.WriteString(nc, raw)
	if _, err := br.Peek(1); err != nil {
		count(&r.caught)
		return false
	}
	count(&r.missed)
	return true
}

// Listen serves each connection with handle until the test has ended, and returns the
// address.
func Listen(t testing.TB, network string, handle func(net.Conn)) string {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "wire")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for nc := range conns {
			nc.Close()
		}
		mu.Unlock()
		served.Wait()
	})
	served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[nc] = true
			mu.Unlock()
			served.Go(func() {
				handle(nc)
				nc.Close()
				mu.Lock()
				delete(conns, nc)
				mu.Unlock()
			})
		}
	})
	return network + ":" + l.Addr().String()
}

// Stray scans 100 objects that are clean and infected in turn with a backend whose
// engine repeats its answers. No infected one may be ok, no clean one be found.
func Stray(t *testing.T, b backends.Backend, repeats *Repeats) {
	t.Helper()
	const objects = 100
	wrong, failed := 0, 0
	for i := range objects {
		data, want := []byte("clean"), backends.OK
		if i%2 == 1 {
			data, want = backendtest.EICAR(), backends.Virus
		}
		r, _ := b.Scan(t.Context(), backendtest.Bytes(t, data))
		switch r.Category {
		case want:
		case "":
			failed++
		default:
			wrong++
		}
	}
	closed, caught, missed, late := repeats.Counts()
	t.Logf("table: %d objects, %d with the answer of another, %d failures; repeated answers: %d after the connection was closed, %d caught on a kept one, %d missed, %d left out",
		objects, wrong, failed, closed, caught, missed, late)
	// On a busy machine a repeated answer may come together with the first.
	if wrong > missed || missed > objects/10 || failed > objects/2 {
		t.Errorf("%d of %d objects have got the answer of another", wrong, objects)
	}
}
