// Package lograte keeps repeated events from filling the log. A client that does the same
// wrong thing again and again is logged once in each interval, with the number of lines that
// were suppressed. The same holds for what the daemon itself repeats, with the zero client.
package lograte

import (
	"hash/maphash"
	"sync"
	"time"

	"polyclam/proxy/client"
)

// Bounds on the kinds of lines that are known at a time. All others of a client, and of all
// clients, share one line in each interval, so that the log is bounded too. One client alone
// cannot keep the lines of the others out of the log.
const (
	maxLines   = 1024
	maxOfOne   = maxLines / 8
	otherKinds = 0 // of one client
)

// A Limiter decides which lines are logged. It is safe for concurrent use.
type Limiter struct {
	interval time.Duration
	seed     maphash.Seed

	mu     sync.Mutex
	now    func() time.Time
	lines  map[key]*line
	kinds  map[client.Key]int // how many lines each client has
	others line
	swept  time.Time // when expired lines were last removed
}

// A key is a client and the hash of a kind of line: a kind may be as long as a path.
type key struct {
	client client.Key
	kind   uint64
}

type line struct {
	logged     time.Time
	suppressed int // since then
}

// New returns a limiter that lets one line of each kind pass per client and interval.
func New(interval time.Duration, now func() time.Time) *Limiter {
	return &Limiter{interval: interval, seed: maphash.MakeSeed(), now: now, lines: map[key]*line{}, kinds: map[client.Key]int{}}
}

// Allow reports whether a line of this kind about client c may be logged now. If so, it
// returns how many were suppressed since the last one.
func (l *Limiter) Allow(c client.Key, kind string) (suppressed int, ok bool) {
	k := key{c, maphash.String(l.seed, kind)}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	entry := l.entry(k, now)
	if !entry.logged.IsZero() && now.Sub(entry.logged) < l.interval {
		entry.suppressed++
		return 0, false
	}
	suppressed = entry.suppressed
	*entry = line{logged: now}
	return suppressed, true
}

// entry returns the entry for k, or one that others share.
func (l *Limiter) entry(k key, now time.Time) *line {
	if entry := l.lines[k]; entry != nil {
		return entry
	}
	if (len(l.lines) >= maxLines || l.kinds[k.client] >= maxOfOne) && now.Sub(l.swept) >= l.interval/8 {
		l.sweep(now)
	}
	if l.kinds[k.client] >= maxOfOne {
		k.kind = otherKinds
		if entry := l.lines[k]; entry != nil {
			return entry
		}
	}
	if len(l.lines) >= maxLines {
		return &l.others
	}
	entry := &line{}
	l.lines[k] = entry
	l.kinds[k.client]++
	return entry
}

// sweep removes the lines whose interval is over.
func (l *Limiter) sweep(now time.Time) {
	l.swept = now
	for k, entry := range l.lines {
		if now.Sub(entry.logged) < l.interval {
			continue
		}
		delete(l.lines, k)
		if l.kinds[k.client]--; l.kinds[k.client] == 0 {
			delete(l.kinds, k.client)
		}
	}
}
