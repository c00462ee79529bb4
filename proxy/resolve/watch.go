package resolve

import (
	"context"
	"math/rand/v2"
	"time"
)

// MaxTargets is how many targets a name may have at most.
const MaxTargets = 64

// The bounds on the time between lookups.
const (
	DefaultInterval = 10 * time.Second // at most
	shortest        = time.Second      // at least
)

// Config is what a [Resolver] needs to know.
type Config struct {
	// Interval is the longest time between lookups; 0: DefaultInterval.
	Interval time.Duration
	// Servers are the name servers with their ports; empty: those in File.
	Servers []string
	File    string // empty: ResolvConf
	Limit   int    // targets of a name; 0: MaxTargets
}

// A Resolver looks up names. It is safe for concurrent use.
type Resolver struct {
	interval time.Duration
	limit    int
	servers  source
	// pause waits between lookups. Tests replace it.
	pause func(ctx context.Context, d time.Duration)
}

// New returns a Resolver. It contacts nothing.
func New(c Config) *Resolver {
	if c.Interval <= 0 {
		c.Interval = DefaultInterval
	}
	if c.Limit <= 0 || c.Limit > MaxTargets {
		c.Limit = MaxTargets
	}
	if c.File == "" {
		c.File = ResolvConf
	}
	return &Resolver{interval: c.Interval, limit: c.Limit, servers: source{path: c.File, fixed: c.Servers}, pause: sleep}
}

// Watch looks a name up until ctx ends, and reports each outcome before the next lookup. The
// caller keeps the targets of the last answer if report gets an error. An answer holds as
// long as its records say, but at least a second and at most the interval. After a failure
// the pauses grow from one second to the interval.
func (r *Resolver) Watch(ctx context.Context, n Name, previous []Target, report func(Answer, error)) {
	pause := shortest
	for ctx.Err() == nil {
		a, err := r.Lookup(ctx, n, previous)
		if ctx.Err() != nil {
			return
		}
		wait := a.TTL
		if err == nil {
			previous = a.Targets
		}
		if err != nil || a.Partial != nil {
			wait = pause
			pause = min(2*pause, r.interval)
		} else {
			pause = shortest
		}
		a.Next = r.wait(wait)
		report(a, err)
		r.pause(ctx, a.Next)
	}
}

// wait bounds the time until the next lookup, and makes it a little shorter by chance, so
// that many daemons do not ask at the same moment.
func (r *Resolver) wait(d time.Duration) time.Duration {
	d = min(d, r.interval)
	return max(d-time.Duration(rand.Int64N(int64(d)/10+1)), shortest)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
