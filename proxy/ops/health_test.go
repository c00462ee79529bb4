package ops

import (
	"sync/atomic"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// TestHungAlive has a test of the server's locks that hangs: it must not be started again,
// however many ask.
func TestHungAlive(t *testing.T) {
	ts := newTester(t, Config{})
	var started atomic.Int32
	stuck := make(chan struct{})
	ts.live.mu.Lock()
	ts.live.test = func() {
		started.Add(1)
		<-stuck
	}
	ts.live.passed = time.Time{}
	ts.live.mu.Unlock()
	for range 3 {
		if answer, body := ts.get("GET", "/livez", ""); answer.StatusCode != 503 {
			t.Errorf("%s: %s", answer.Status, body)
		}
	}
	if n := started.Load(); n != 1 {
		t.Errorf("the test was started %d times, want once", n)
	}
	close(stuck)
	testkit.Eventually(t, "the server is alive", func() bool {
		answer, _ := ts.get("GET", "/livez", "")
		return answer.StatusCode == 200
	})
}

// TestAliveCounts has a test that passes: it counts for a moment.
func TestAliveCounts(t *testing.T) {
	runs := 0
	l := newLiveness(func() { runs++ })
	if !l.alive(patience) {
		t.Fatal("not alive")
	}
	l.mu.Lock()
	l.passed = time.Now().Add(time.Hour)
	l.mu.Unlock()
	if !l.alive(patience) || runs != 1 {
		t.Errorf("%d runs, want 1", runs)
	}
	l.mu.Lock()
	l.passed = time.Now().Add(-time.Hour)
	l.mu.Unlock()
	if !l.alive(patience) || runs != 2 {
		t.Errorf("%d runs, want 2", runs)
	}
}
