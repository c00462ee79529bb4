// Package rates limits how many scans a second each client may begin.
package rates

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"polyclam/proxy/client"
)

// maxClients is how many clients a [Limiter] knows at a time, about 4 MiB. The client that
// has been quiet for the longest time is forgotten, and begins with a full bucket when it
// returns. A client gains by that only if its host sends from more addresses than this, and
// then its rate is no limit anyway: limits.client_share and the connections are.
const maxClients = 16384

// A Limiter limits the clients of one listener, each to its own rate. It is safe for
// concurrent use. Its lock is held for a moment only, and never while a scan waits.
type Limiter struct {
	mu      sync.Mutex
	rate    rate.Limit
	burst   int
	clients map[client.Key]*list.Element // of bucket
	recent  list.List                    // of *bucket, the least recently used first
	most    int
	now     func() time.Time
}

type bucket struct {
	key client.Key
	*rate.Limiter
}

// New returns a limiter that lets each client begin this many scans a second, and this many
// together.
func New(perSecond float64, burst int) *Limiter {
	return &Limiter{rate: rate.Limit(perSecond), burst: burst, clients: map[client.Key]*list.Element{}, most: maxClients, now: time.Now}
}

// Set changes the rate. Clients keep what they have left, at most the new burst.
func (l *Limiter) Set(perSecond float64, burst int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == rate.Limit(perSecond) && l.burst == burst {
		return
	}
	l.rate, l.burst = rate.Limit(perSecond), burst
	now := l.now()
	for e := l.recent.Front(); e != nil; e = e.Next() {
		b := e.Value.(*bucket)
		b.SetLimitAt(now, l.rate)
		b.SetBurstAt(now, burst)
	}
}

// A Ticket is the right of a client to begin a scan, after a pause.
type Ticket struct {
	reservation *rate.Reservation
	pause       time.Duration
	now         func() time.Time
}

// Take takes a ticket for a scan of client k. It reports false, and takes nothing, if the
// pause would be longer than most; then it returns the pause.
func (l *Limiter) Take(k client.Key, most time.Duration) (t Ticket, pause time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	r := l.bucket(k).ReserveN(now, 1)
	if !r.OK() {
		return Ticket{}, rate.InfDuration, false
	}
	pause = r.DelayFrom(now)
	if pause > most {
		r.CancelAt(now)
		return Ticket{}, pause, false
	}
	return Ticket{r, pause, l.now}, pause, true
}

// bucket returns the bucket of a client, and forgets another client if there are too many.
// The caller holds mu.
func (l *Limiter) bucket(k client.Key) *bucket {
	if e, ok := l.clients[k]; ok {
		l.recent.MoveToBack(e)
		return e.Value.(*bucket)
	}
	if len(l.clients) >= l.most {
		oldest := l.recent.Remove(l.recent.Front()).(*bucket)
		delete(l.clients, oldest.key)
	}
	b := &bucket{key: k, Limiter: rate.NewLimiter(l.rate, l.burst)}
	l.clients[k] = l.recent.PushBack(b)
	return b
}

// Clients is how many clients l knows.
func (l *Limiter) Clients() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clients)
}

// Wait waits for the pause of t. If ctx ends first, it returns the cause, and the client
// may use the ticket for another scan.
func (t Ticket) Wait(ctx context.Context) error {
	if t.pause <= 0 {
		return nil
	}
	timer := time.NewTimer(t.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		t.reservation.CancelAt(t.now())
		return context.Cause(ctx)
	}
}

// A Table has the limiters of a server's listeners. The zero Table is ready for use.
type Table struct{ limiters sync.Map } // from the address of a listener to *Limiter

// Of returns the limiter of a listener, or nil if its clients have no limit.
func (t *Table) Of(address string) *Limiter {
	l, ok := t.limiters.Load(address)
	if !ok {
		return nil
	}
	return l.(*Limiter)
}

// A Rate is the limit of one listener. A PerSecond of 0 is none.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Alive takes and releases the lock of every limiter.
func (t *Table) Alive() {
	t.limiters.Range(func(_, l any) bool {
		l.(*Limiter).Clients()
		return true
	})
}

// Apply makes rates those of the listeners by their addresses. A listener that had a limit
// before, and still has one, keeps its clients' buckets. Calls must not overlap.
func (t *Table) Apply(rates map[string]Rate) {
	t.limiters.Range(func(address, _ any) bool {
		if rates[address.(string)].PerSecond <= 0 {
			t.limiters.Delete(address)
		}
		return true
	})
	for address, r := range rates {
		if r.PerSecond <= 0 {
			continue
		}
		if l := t.Of(address); l != nil {
			l.Set(r.PerSecond, r.Burst)
			continue
		}
		t.limiters.Store(address, New(r.PerSecond, r.Burst))
	}
}
