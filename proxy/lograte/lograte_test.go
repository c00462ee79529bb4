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
	l := New(time.Minute)
	l.SetClock(func() time.Time { return c.t })
	return l, c
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
	if n, ok := l.Allow(client.User(1), "RELOAD"); n != 0 || !ok || len(l.lines) != 1 {
		t.Errorf("%d, %v, %d entries: the old ones are still there", n, ok, len(l.lines))
	}
}

func TestConcurrent(t *testing.T) {
	l := New(time.Hour)
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
