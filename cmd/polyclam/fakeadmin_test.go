package main

import (
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"polyclam/test/testkit"
)

// fakeAdmin is an admin socket with canned answers.
type fakeAdmin struct {
	path   string
	server *http.Server

	mu      sync.Mutex
	answers map[string]string // by path; one that begins with {"error" has the status 409
	bodies  []string          // of the requests
}

func newFakeAdmin(t *testing.T, answers map[string]string) *fakeAdmin {
	t.Helper()
	a := &fakeAdmin{path: filepath.Join(testkit.SocketDir(t), "admin.sock"), answers: answers}
	a.serve(t)
	t.Cleanup(a.close)
	return a
}

func (a *fakeAdmin) serve(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("unix", a.path)
	if err != nil {
		t.Fatal(err)
	}
	a.server = &http.Server{Handler: a}
	go a.server.Serve(ln)
}

func (a *fakeAdmin) close() { a.server.Close() }

func (a *fakeAdmin) set(path, answer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[path] = answer
}

// ServeHTTP implements [http.Handler].
func (a *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, 1<<10)
	n, _ := r.Body.Read(body)
	a.mu.Lock()
	answer := a.answers[r.URL.Path]
	a.bodies = append(a.bodies, string(body[:n]))
	a.mu.Unlock()
	if len(answer) > 8 && answer[:8] == `{"error"` {
		w.WriteHeader(http.StatusConflict)
	}
	w.Write([]byte(answer))
}
