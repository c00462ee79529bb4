package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
	"polyclam/proxy/client"
	"polyclam/proxy/policy"
)

// Identical objects under way are scanned once: the first scan leads a flight, and the others
// wait for its report. They have no slot, no ticket, and their own deadlines. A failure is not
// shared: the next of them leads, and if that fails too, each is scanned for itself. So
// no scan waits for more than two others.

// maxJoins is how many flights a scan waits for.
const maxJoins = 2

// flightKey says which scans are identical.
type flightKey struct {
	cfg     *Config // options, timeout and size limit
	object  objectID
	version string
	since   time.Time // see signatureState
	reload  uint64    // the same
}

// A flight is a scan whose report others wait for.
type flight struct {
	client  client.Key
	started bool          // it has a slot; guarded by flights.mu
	done    chan struct{} // closed when it has ended

	// These do not change after done.
	report policy.Report
	shared bool // report is for all
}

// flights are those of one pool: at most one for each scan that runs.
type flights struct {
	mu sync.Mutex
	m  map[flightKey]*flight
}

// join returns the flight to wait for, or a new one that the caller leads if it may lead. It
// returns nil if the caller must scan alone.
//
// The flight of another client is joined only once it has a slot: that client's queue may be
// long. A scan that has already waited joins any flight.
func (s *flights) join(key flightKey, c client.Key, mayLead, waited bool) (f *flight, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.m[key]; f != nil {
		if !f.started && !waited && f.client != c {
			return nil, false
		}
		return f, false
	}
	if !mayLead {
		return nil, false
	}
	if s.m == nil {
		s.m = map[flightKey]*flight{}
	}
	f = &flight{client: c, done: make(chan struct{})}
	s.m[key] = f
	return f, true
}

// start records that the scan of f has a slot.
func (s *flights) start(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.started = true
}

// end ends f, whose report others get if shared is set.
func (s *flights) end(key flightKey, f *flight, report policy.Report, shared bool) {
	s.mu.Lock()
	delete(s.m, key)
	s.mu.Unlock()
	f.report, f.shared = report, shared
	close(f.done)
}

// scanTogether scans o, or waits for a scan of an identical object.
func (e *Engine) scanTogether(ctx context.Context, o Object, all bool, k *Known) policy.Report {
	if e.hasSideEffects() && !k.keeps {
		return e.scanOnce(ctx, o, all, k)
	}
	begin := time.Now()
	key := flightKey{cfg: e.cfg, object: k.object, version: k.state.version, since: k.state.since, reload: k.state.reload}
	who := client.FromContext(ctx)
	for joins := 0; joins < maxJoins; joins++ {
		f, leads := e.flights.join(key, who, k.own, joins > 0)
		switch {
		case f == nil:
			return e.scanOnce(ctx, o, all, k)
		case leads:
			return e.lead(ctx, o, all, k, key, f)
		}
		select {
		case <-f.done:
			if f.shared {
				return e.joined(ctx, f, begin)
			}
		case <-ctx.Done():
			return e.leftFlight(ctx, o, begin)
		}
	}
	return e.scanOnce(ctx, o, all, k)
}

// lead scans o for a flight.
func (e *Engine) lead(ctx context.Context, o Object, all bool, k *Known, key flightKey, f *flight) (report policy.Report) {
	shared := false
	defer func() { e.flights.end(key, f, report, shared) }()
	k.flight = f
	report = e.scanOnce(ctx, o, all, k)
	shared = report.Err == nil
	return report
}

// joined is the report of a scan that waited for f since begin.
func (e *Engine) joined(ctx context.Context, f *flight, begin time.Time) policy.Report {
	if !calledOff(ctx) {
		e.counts.cache.joined.Add(1)
	}
	r := f.report
	r.Result.Findings = slices.Clone(r.Result.Findings)
	r.Elapsed, r.Cached = time.Since(begin), string(cache.Joined)
	return r
}

// leftFlight is the report of a scan whose time was over before another one ended.
func (e *Engine) leftFlight(ctx context.Context, o Object, begin time.Time) policy.Report {
	report := e.report(ctx, o, func() (backends.Result, string, error) {
		err := ended(ctx, nil)
		if ctx.Err() == context.DeadlineExceeded {
			err = &backends.Failure{
				Category: backends.Interrupted, Code: backends.NoCode,
				Text: fmt.Sprintf("no answer within %v to another scan of the same object (keys timeout, answer_within)", time.Since(begin).Round(time.Millisecond)),
			}
		}
		e.counts.notAsked(ctx, backends.CategoryOf(err))
		return backends.Result{}, "", err
	})
	report.Elapsed = time.Since(begin)
	return report
}

// hasSideEffects reports whether a scan may do more than read the object.
func (e *Engine) hasSideEffects() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.nodes, func(n *node) bool {
		_, acts := n.backend.(backends.SideEffects)
		return acts
	})
}
