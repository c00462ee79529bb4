package proxy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// returnWithin is how long a scan may take to return after its context has ended. After
// that, fanOut continues without it.
const returnWithin = 100 * time.Millisecond

// A fan is the scan of one object by several engines.
type fan struct {
	engines []*engine.Engine
	known   []*engine.Known // about the object; nil: nothing
	begun   time.Time
	reports []policy.Report
	pending []bool
	cancels []context.CancelCauseFunc // of optional engines
	answers chan answer
	timers  []*time.Timer
}

// answer is the report of engine i.
type answer struct {
	i      int
	report policy.Report
}

// fanOut has all engines scan an object concurrently, except those whose results are in the
// cache. Once the category and the action can no longer change, it cancels the remaining scans
// and does not wait for them. An optional engine gets [engine.Engine.MaxDelay] after the
// others have answered.
func fanOut(ctx context.Context, engines []*engine.Engine, p *policy.Policy, o *spool.Object, all bool) []policy.Report {
	if len(engines) == 0 {
		return nil
	}
	known := engine.LookUp(ctx, engines, o, all)
	if len(engines) == 1 {
		return []policy.Report{engines[0].ScanKnown(ctx, o, all, knownOf(known, 0))}
	}
	f := &fan{
		engines: engines, known: known, begun: time.Now(), reports: make([]policy.Report, len(engines)),
		pending: make([]bool, len(engines)), cancels: make([]context.CancelCauseFunc, len(engines)),
		answers: make(chan answer, 3*len(engines)), // the report, and two that replace it
	}
	scans, cancel := context.WithCancelCause(ctx)
	defer cancel(errSettled)
	defer f.stop()
	if f.takeCached(); !slices.Contains(f.pending, true) || known != nil && p.Settled(f.reports, f.pending) {
		return f.cancelRest()
	}
	for i := range engines {
		if f.pending[i] {
			f.start(scans, i, o, all)
		}
	}
	defer context.AfterFunc(ctx, func() {
		for i := range engines {
			f.giveUp(i, engine.Ended(ctx))
		}
	})()
	f.collect(p)
	return f.cancelRest()
}

// takeCached makes blank reports, or those from the cache.
func (f *fan) takeCached() {
	for i, e := range f.engines {
		report, ok := e.Cached(knownOf(f.known, i))
		if !ok {
			report = f.blank(i)
		}
		f.reports[i], f.pending[i] = report, !ok
	}
}

// cancelRest marks the reports that no longer matter, and returns all.
func (f *fan) cancelRest() []policy.Report {
	for i := range f.reports {
		if f.pending[i] {
			f.reports[i].Cancelled, f.reports[i].Err = true, errSettled
		}
	}
	return f.reports
}

// knownOf returns what is known for engine i.
func knownOf(known []*engine.Known, i int) *engine.Known {
	if known == nil {
		return nil
	}
	return known[i]
}

// start asks one engine. Its goroutine may outlive fanOut.
func (f *fan) start(ctx context.Context, i int, o *spool.Object, all bool) {
	e, known := f.engines[i], knownOf(f.known, i)
	if !e.Required() {
		ctx, f.cancels[i] = context.WithCancelCause(ctx)
	}
	o.Retain()
	go func() {
		defer o.Release()
		f.answers <- answer{i, e.ScanKnown(ctx, o, all, known)}
	}()
}

// blank is a report without a result.
func (f *fan) blank(i int) policy.Report {
	return policy.Report{Engine: f.engines[i].Name(), Required: f.engines[i].Required()}
}

// collect receives reports until all have arrived or the verdict is settled.
func (f *fan) collect(p *policy.Policy) {
	limited := false
	for slices.Contains(f.pending, true) {
		if !limited && f.onlyOptionalLeft() {
			limited = true
			f.limitDelay()
		}
		a := <-f.answers
		if !f.pending[a.i] {
			continue // fanOut has given up on it
		}
		f.reports[a.i], f.pending[a.i] = a.report, false
		if p.Settled(f.reports, f.pending) {
			return
		}
	}
}

// onlyOptionalLeft reports whether only optional engines hold up the answer: all required
// ones have reported, or there are none and an optional one has answered.
func (f *fan) onlyOptionalLeft() bool {
	required, answered := false, false
	for i, e := range f.engines {
		r := f.reports[i]
		switch {
		case e.Required() && f.pending[i]:
			return false
		case e.Required():
			required = true
		case !f.pending[i] && (r.Err == nil || r.Result.Category != ""):
			answered = true
		}
	}
	return required || answered
}

// limitDelay makes the pending engines fail if they do not answer within their max_delay.
func (f *fan) limitDelay() {
	for i, e := range f.engines {
		if !f.pending[i] {
			continue
		}
		delay := e.MaxDelay()
		late := engine.Overdue(fmt.Sprintf("no answer within %v after the other engines (key max_delay)", delay))
		f.timers = append(f.timers, time.AfterFunc(delay, func() {
			f.cancels[i](late)
			f.giveUp(i, late)
		}))
	}
}

// giveUp reports a failure in place of a scan that does not return.
func (f *fan) giveUp(i int, why error) {
	time.AfterFunc(returnWithin, func() {
		r := f.blank(i)
		r.Err, r.Elapsed = why, time.Since(f.begun)
		f.answers <- answer{i, r}
	})
}

// stop releases the timers and contexts.
func (f *fan) stop() {
	for _, t := range f.timers {
		t.Stop()
	}
	for _, cancel := range f.cancels {
		if cancel != nil {
			cancel(errSettled)
		}
	}
}

// unasked is the verdict for objects that no engine got. It is never OK, whatever the
// policy says about interrupted scans.
func unasked(engines []*engine.Engine, p *policy.Policy, reason string) policy.Verdict {
	err := &backends.Failure{Category: backends.Interrupted, Code: backends.NoCode, Text: "not asked: " + reason}
	reports := make([]policy.Report, len(engines))
	for i, e := range engines {
		reports[i] = policy.Report{Engine: e.Name(), Required: e.Required(), Err: err}
	}
	v := p.Merge(reports)
	if v.Action == policy.OK {
		v.Action = policy.Tempfail
	}
	return v
}
