package engine

import (
	"context"
	"sync/atomic"

	"polyclam/backends"
	"polyclam/proxy/client"
	"polyclam/proxy/policy"
)

// Observation is what came of an object for an engine whose mode is [Observe].
type Observation int

// The outcomes of an observation.
const (
	ObservedSame    Observation = iota // with its result, verdict and action would have been the same
	ObservedDiffers                    // with its result, verdict or action would have been different
	ObservedSkipped                    // it did not get the object, or its scan was called off
	observations
)

// observed counts observations.
type observed [observations]atomic.Uint64

// ObservedCounters count the objects scanned while the engine's mode was [Observe].
type ObservedCounters struct {
	Same    uint64 `json:"same"`         // its result would not have changed the verdict or the action
	Differ  uint64 `json:"would_differ"` // it would have changed one of them
	Skipped uint64 `json:"skipped"`      // it did not get the object: no slot was free, or the spool was too full
}

func (o *observed) counters() ObservedCounters {
	return ObservedCounters{Same: o[ObservedSame].Load(), Differ: o[ObservedDiffers].Load(), Skipped: o[ObservedSkipped].Load()}
}

// CountObservation counts the outcome of an observation.
func (p *pool) CountObservation(o Observation) { p.counts.observed[o].Add(1) }

// Observe is [Engine.Scan] for an engine whose result does not count. It takes only a slot
// that is free now, and returns false if there is none. Otherwise the caller calls scan, once
// and soon, which takes at most Config.Timeout. The object is never given to two nodes at a
// time, and to another node after a failure only if that has a free slot.
//
// ctx is for the whole scan.
func (e *Engine) Observe(ctx context.Context, o Object, all bool) (scan func() policy.Report, ok bool) {
	if size := o.Size(); e.cfg.MaxSize > 0 && size > e.cfg.MaxSize {
		return func() policy.Report { return e.Scan(ctx, o, all) }, true // it needs no slot
	}
	t := newScanTicket(o)
	t.Client = client.FromContext(ctx)
	n := e.tryAcquire(t)
	if n == nil {
		return nil, false
	}
	return func() policy.Report {
		return e.report(ctx, o, func() (backends.Result, string, error) {
			ctx, cancel := withTimeout(ctx, e.cfg.Timeout)
			defer cancel()
			digest, err := e.withheld(ctx, o, nil)
			if err != nil {
				e.giveBackUnused(n, t.grant)
				e.counts.notAsked(ctx, backends.CategoryOf(err))
				return backends.Result{}, "", err
			}
			r := e.newRace(ctx, o, all, t)
			r.digest, r.observed = digest, true
			return r.runFrom(n)
		})
	}, true
}
