// Package wiretest is a fake HTTP server for tests. It can misbehave: send raw bytes,
// answer early, or answer twice.
package wiretest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

// Server is a running server.
type Server struct {
	Address string

	decode  func(body []byte) []byte
	say     func(backends.Category) string
	bad     backendtest.Misbehaviour
	repeats Repeats
}

// Start starts a server on network "tcp" or "unix". decode extracts the object from a
// body or from its first KiB; say returns the raw answer for a category.
func Start(t testing.TB, network string, decode func(body []byte) []byte, say func(backends.Category) string, bad backendtest.Misbehaviour) *Server {
	t.Helper()
	s := &Server{decode: decode, say: say, bad: bad}
	s.Address = testkit.Serve(t, network, s.serve)
	return s
}

// Repeats counts what happened to repeated answers.
func (s *Server) Repeats() *Repeats { return &s.repeats }

// early is how much of an object is read before an early answer.
const early = 1 << 10

// scanTime is the duration of a scan when answers are repeated, so that a repeated
// answer arrives before many more scans have ended.
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
		sent := time.Now()
		if _, err := io.WriteString(nc, raw); err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		if s.bad.Repeat > 0 && !s.repeats.Repeat(nc, br, sent, s.bad.Repeat, raw) {
			return
		}
		if strings.HasPrefix(raw, "HTTP/1.0") {
			return // the answer may end with the connection
		}
	}
}

// Repeats counts what happened to repeated answers.
type Repeats struct {
	mu                           sync.Mutex
	closed, caught, missed, late int
}

// Counts returns how many repeated answers were not sent because the client had closed
// the connection; how many made the client close a kept connection; how many were
// followed by another request on the same connection; and how many were too late to be
// sent.
func (r *Repeats) Counts() (closed, caught, missed, late int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed, r.caught, r.missed, r.late
}

// maxRepeatAge is the age after which an answer is no longer repeated. A client that reuses a
// connection after 100 ms cannot notice what a busy machine sends later.
const maxRepeatAge = 80 * time.Millisecond

// Repeat sends an answer a second time after the delay, and reports whether another
// request follows.
func (r *Repeats) Repeat(nc net.Conn, br *bufio.Reader, sent time.Time, delay time.Duration, raw string) bool {
	count := func(n *int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*n++
	}
	end := sent.Add(delay)
	nc.SetReadDeadline(end)
	_, err := br.Peek(1)
	nc.SetReadDeadline(time.Time{})
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		count(&r.closed)
		return false
	}
	time.Sleep(time.Until(end))
	if time.Since(sent) > maxRepeatAge {
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

// HTTP serves HTTP with a handler until the test ends, and returns its address.
func HTTP(t testing.TB, network string, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Listener.Close()
	s.Listener = testkit.Listen(t, network)
	s.Start()
	t.Cleanup(s.Close)
	return testkit.Address(s.Listener)
}

// Request is a step that reads a whole HTTP request.
func Request() backendtest.Step {
	return func(s *backendtest.Session) error {
		r, err := http.ReadRequest(bufio.NewReaderSize(s, 1<<16))
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		return err
	}
}

// Stray scans 100 objects, every other one infected, with a backend whose engine repeats
// its answers. No infected object may be OK, and no clean one infected.
func Stray(t *testing.T, b backends.Backend, repeats *Repeats) {
	t.Helper()
	const objects = 100
	wrong, failed := 0, 0
	for i := range objects {
		data, want := []byte("clean"), backends.OK
		if i%2 == 1 {
			data, want = testfile.EICAR(), backends.Virus
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
	// On a busy machine a repeated answer may arrive together with the first.
	if wrong > missed || missed > objects/10 || failed > objects/2 {
		t.Errorf("%d of %d objects got the answer for another one", wrong, objects)
	}
}
