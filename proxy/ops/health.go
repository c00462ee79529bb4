package ops

import (
	"net/http"
	"sync"
	"time"
)

// aliveWait is how long /livez waits for the test that takes every lock of the server. A
// kubelet waits a second by default.
const aliveWait = 800 * time.Millisecond

// aliveFor is how long a test that passed counts.
const aliveFor = 500 * time.Millisecond

// A liveness runs a test that may hang, one at a time. It is safe for concurrent use.
type liveness struct {
	test func()

	mu      sync.Mutex
	running chan struct{} // closed when the test passes; nil: none is running
	passed  time.Time
}

func newLiveness(test func()) *liveness { return &liveness{test: test} }

// alive reports whether the test passes, or has just passed.
func (l *liveness) alive(wait time.Duration) bool {
	running := l.start()
	if running == nil {
		return true
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case <-running:
		return true
	case <-timeout.C:
		return false
	}
}

// start starts the test unless it is running. It returns nil if the test has just passed.
func (l *liveness) start() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running != nil {
		return l.running
	}
	if time.Since(l.passed) < aliveFor {
		return nil
	}
	running := make(chan struct{})
	l.running = running
	go func() {
		l.test()
		l.mu.Lock()
		l.running, l.passed = nil, time.Now()
		l.mu.Unlock()
		close(running)
	}()
	return running
}

// livez answers whether the daemon is alive. One that is busy, or not ready, is alive: a
// restart would only lose scans.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	if !s.live.alive(aliveWait) {
		http.Error(w, "a lock of the server is stuck: restart polyclamd", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// readyz answers whether a load balancer should send clients. The reasons are only for those
// who may read the status.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ready := s.proxy.Readiness()
	code := http.StatusOK
	if !ready.Ready {
		code = http.StatusServiceUnavailable
	}
	if !s.mayRead(r) {
		writeJSON(w, code, readyOnly{ready.Ready})
		return
	}
	writeJSON(w, code, ready)
}

// readyOnly is the part of the readiness that needs no token.
type readyOnly struct {
	Ready bool `json:"ready"`
}
