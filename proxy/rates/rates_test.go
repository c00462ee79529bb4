package rates

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"polyclam/proxy/client"
)

// clock is a time that a test sets.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newLimiter(perSecond float64, burst int) (*Limiter, *clock) {
	c := &clock{time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)}
	l := New(perSecond, burst)
	l.now = c.now
	return l, c
}

// taken counts the scans that client k may begin without a pause.
func taken(l *Limiter, k client.Key) (n int) {
	for {
		if _, _, ok := l.Take(k, 0); !ok {
			return n
		}
		n++
	}
}

func TestRate(t *testing.T) {
	l, c := newLimiter(10, 5)
	a, b := client.User(1), client.User(2)
	if got := taken(l, a); got != 5 {
		t.Errorf("%d scans together, want 5", got)
	}
	if got := taken(l, b); got != 5 {
		t.Errorf("another client begins %d scans, want 5", got)
	}
	if _, pause, ok := l.Take(a, 50*time.Millisecond); ok || pause != 100*time.Millisecond {
		t.Errorf("a pause of %v, %v", pause, ok)
	}
	// Scans that wait get their turn one after another.
	for i := range 3 {
		want := time.Duration(i+1) * 100 * time.Millisecond
		if _, pause, ok := l.Take(a, time.Second); !ok || pause != want {
			t.Errorf("scan %d waits %v, %v, want %v", i, pause, ok, want)
		}
	}
	c.at = c.at.Add(time.Second)
	if got := taken(l, a); got != 5 { // 10 - 3, at most the burst
		t.Errorf("%d scans after a second, want 5", got)
	}
}

// TestRefusedTakesNothing checks that scans that are refused do not delay later ones.
func TestRefusedTakesNothing(t *testing.T) {
	l, c := newLimiter(1, 1)
	k := client.User(1)
	taken(l, k)
	for range 1000 {
		if _, _, ok := l.Take(k, time.Millisecond); ok {
			t.Fatal("beyond the rate")
		}
	}
	c.at = c.at.Add(time.Second)
	if got := taken(l, k); got != 1 {
		t.Errorf("%d scans after a second, want 1", got)
	}
}

func TestSetKeepsBuckets(t *testing.T) {
	l, c := newLimiter(1, 100)
	k := client.User(1)
	for range 60 {
		l.Take(k, 0)
	}
	l.Set(1000, 100) // 40 left
	if got := taken(l, k); got != 40 {
		t.Errorf("%d scans after a higher rate, want the 40 that were left", got)
	}
	c.at = c.at.Add(50 * time.Millisecond)
	l.Set(1000, 30)
	if got := taken(l, k); got != 30 {
		t.Errorf("%d scans after a smaller burst, want 30", got)
	}
}

// TestForgets checks that the number of clients is bounded, and that the client that was
// used least recently is forgotten.
func TestForgets(t *testing.T) {
	l, _ := newLimiter(1, 1)
	l.most = 10
	for i := range uint32(10) {
		taken(l, client.User(i))
	}
	l.Take(client.User(0), 0)
	for i := range uint32(5) {
		taken(l, client.User(100+i))
	}
	if got := l.Clients(); got != 10 {
		t.Errorf("%d clients, want 10", got)
	}
	if got := taken(l, client.User(0)); got != 0 {
		t.Error("forgot a client that was used recently")
	}
	if got := taken(l, client.User(1)); got != 1 {
		t.Error("the oldest client is not forgotten")
	}
}

// TestWaitReturnsTicket checks that a client that hangs up while it waits leaves its ticket
// to its other connections.
func TestWaitReturnsTicket(t *testing.T) {
	l, _ := newLimiter(0.001, 1)
	k := client.User(1)
	taken(l, k)
	ticket, first, ok := l.Take(k, time.Hour)
	if !ok {
		t.Fatal("refused")
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := ticket.Wait(ctx); err != gone {
		t.Errorf("Wait returned %v", err)
	}
	if _, again, _ := l.Take(k, time.Hour); again != first {
		t.Errorf("the next scan waits %v, want %v", again, first)
	}
}

func TestWait(t *testing.T) {
	l := New(1000, 1)
	k := client.User(1)
	for range 20 {
		ticket, _, ok := l.Take(k, time.Hour)
		if !ok {
			t.Fatal("refused")
		}
		if err := ticket.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTable(t *testing.T) {
	var table Table
	if table.Of("a") != nil {
		t.Error("a limit without a rate")
	}
	table.Apply(map[string]Rate{"a": {1, 5}, "b": {0, 5}})
	a := table.Of("a")
	if a == nil || table.Of("b") != nil {
		t.Fatal("want a limit for a only")
	}
	a.Take(client.User(1), 0)
	table.Apply(map[string]Rate{"a": {2, 5}})
	if table.Of("a") != a || taken(a, client.User(1)) != 4 {
		t.Error("a new rate loses the buckets")
	}
	table.Apply(map[string]Rate{"b": {1, 1}})
	if table.Of("a") != nil || table.Of("b") == nil {
		t.Error("want a limit for b only")
	}
}

// TestConcurrent begins scans of many clients while the rate changes.
func TestConcurrent(t *testing.T) {
	l := New(1e6, 1000)
	l.most = 50
	var wg sync.WaitGroup
	for g := range uint32(8) {
		wg.Go(func() {
			for i := range uint32(2000) {
				if ticket, _, ok := l.Take(client.User(g*i%100), time.Second); ok {
					ticket.Wait(t.Context())
				}
				if i%500 == 0 {
					l.Set(1e6+float64(i), 1000)
				}
			}
		})
	}
	wg.Wait()
	if got := l.Clients(); got > 50 {
		t.Errorf("%d clients", got)
	}
}
