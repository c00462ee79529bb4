package lograte

import (
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"polyclam/proxy/client"
)

// clock is a time that a test sets.
type clock struct{ t time.Time }

func newLimiter() (*Limiter, *clock) {
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return New(time.Minute, func() time.Time { return c.t }), c
}

func TestAllow(t *testing.T) {
	l, c := newLimiter()
	for i, step := range []struct {
		after      time.Duration
		uid        uint32
		kind       string
		ok         bool
		suppressed int
	}{
		{0, 1, "RELOAD", true, 0},
		{0, 1, "RELOAD", false, 0},
		{0, 1, "SCAN", true, 0},   // another kind
		{0, 2, "RELOAD", true, 0}, // another client
		{59 * time.Second, 1, "RELOAD", false, 0},
		{time.Second, 1, "RELOAD", true, 2},
		{0, 1, "RELOAD", false, 0},
		{time.Hour, 1, "RELOAD", true, 1},
		{time.Hour, 1, "RELOAD", true, 0},
	} {
		c.t = c.t.Add(step.after)
		n, ok := l.Allow(client.User(step.uid), step.kind)
		if n != step.suppressed || ok != step.ok {
			t.Errorf("step %d: %d, %v, want %d, %v", i, n, ok, step.suppressed, step.ok)
		}
	}
}

// TestBounds has more clients than the limiter knows. Together they get one more line in
// each interval, and the memory is free for others afterwards.
func TestBounds(t *testing.T) {
	l, c := newLimiter()
	many := func() (logged int) {
		for i := range 10 * maxLines {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			if _, ok := l.Allow(client.Host(a), "unknown"); ok {
				logged++
			}
		}
		return logged
	}
	for range 3 {
		if logged := many(); logged != maxLines+1 {
			t.Errorf("%d lines, want %d", logged, maxLines+1)
		}
		if len(l.lines) != maxLines {
			t.Errorf("%d entries, want %d", len(l.lines), maxLines)
		}
		c.t = c.t.Add(time.Minute)
	}
	if n, ok := l.Allow(client.User(1), "RELOAD"); n != 0 || !ok || len(l.lines) != 1 || len(l.kinds) != 1 {
		t.Errorf("%d, %v, %d entries: the old ones are still there", n, ok, len(l.lines))
	}
}

// TestOneClient has a client with more kinds of lines than it may have. It keeps nothing of
// others out of the log.
func TestOneClient(t *testing.T) {
	l, c := newLimiter()
	for range 3 {
		logged := 0
		for i := range 10 * maxLines {
			if _, ok := l.Allow(client.User(1), strconv.Itoa(i)); ok {
				logged++
			}
		}
		if want := maxOfOne + 1; logged != want {
			t.Errorf("%d lines, want %d", logged, want)
		}
		for i := range maxOfOne {
			if n, ok := l.Allow(client.User(2), strconv.Itoa(i)); !ok || n != 0 {
				t.Fatalf("line %d of another client: %d, %v", i, n, ok)
			}
		}
		c.t = c.t.Add(time.Minute)
	}
	l.Allow(client.User(3), "x")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(c.t.Add(time.Minute))
	if len(l.lines) != 0 || len(l.kinds) != 0 {
		t.Errorf("%d lines, %d clients are left", len(l.lines), len(l.kinds))
	}
}

func TestConcurrent(t *testing.T) {
	l := New(time.Hour, time.Now)
	var wg sync.WaitGroup
	var mu sync.Mutex
	logged := 0
	for range 8 {
		wg.Go(func() {
			for i := range 1000 {
				if _, ok := l.Allow(client.User(1), strconv.Itoa(i%10)); ok {
					mu.Lock()
					logged++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if logged != 10 {
		t.Errorf("%d lines of 10 kinds", logged)
	}
}
