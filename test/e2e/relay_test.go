package e2e

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"polyclam/test/clamdtest"
)

// marked is a mark in the objects of these tests that lets a relay assign an answer to
// its scan.
var marked = regexp.MustCompile(`content-\d+-of-this-test`)

// relay sits between polyclamd and clamd and records clamd's answers. polyclamd has one
// scan in flight on each connection, so an answer is about the last object sent on it.
type relay struct {
	socket string
	engine string

	mu       sync.Mutex
	answered map[string]string // object -> answer, recorded before it is passed on
}

func newRelay(t *testing.T, engine string) *relay {
	t.Helper()
	r := &relay{socket: filepath.Join(clamdtest.Dir(t, ""), "r.sock"), engine: engine, answered: map[string]string{}}
	l, err := net.Listen("unix", r.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(r.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", r.engine)
	if err != nil {
		return
	}
	defer server.Close()
	var mu sync.Mutex
	current, tail := "", ""
	go func() {
		defer server.(*net.UnixConn).CloseWrite()
		pump(server, client, func(b []byte) {
			mu.Lock()
			defer mu.Unlock()
			seen := tail + string(b)
			if ms := marked.FindAllString(seen, -1); ms != nil {
				current = ms[len(ms)-1]
			}
			tail = seen[max(0, len(seen)-64):]
		})
	}()
	pump(client, server, func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		r.note(current, string(b))
	})
}

// pump copies from src to dst and passes every piece to show first.
func pump(dst io.Writer, src io.Reader, show func([]byte)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			show(buf[:n])
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) note(content, answer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answered[content] += answer
}

// answer is everything clamd said about the object.
func (r *relay) answer(content string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answered[content]
}

// count is the number of objects clamd has answered.
func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.answered)
}
