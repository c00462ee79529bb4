package engine

import (
	"context"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/timing"
	"polyclam/proxy/policy"
)

// Scan has the engine scan o. If all is set, it asks for every match, where the backend can
// report them. It always returns a report: a panicking backend, an invalid category, the
// lack of a healthy node and a timeout are errors in the report. Scan returns within 100 ms
// of the end of ctx or Config.Timeout, even if the backend does not.
//
// The wait for a slot is bounded by ctx, or by Config.Timeout if ctx has no deadline. A
// node that fails is replaced by another one while time remains. Each node is tried once.
//
// The caller keeps its reference to o. A hung backend that Scan abandons holds its own.
func (e *Engine) Scan(ctx context.Context, o Object, all bool) policy.Report {
	return e.scanOnce(ctx, o, all, nil)
}

// scanOnce is Scan for an object about which k is known; it may be nil.
func (e *Engine) scanOnce(ctx context.Context, o Object, all bool, k *Known) policy.Report {
	return e.report(ctx, o, func() (backends.Result, string, error) { return e.scan(ctx, o, all, k) })
}

// report counts a scan and returns its report. scan returns the result, the node and the
// error; it is not called for an object that is too large.
func (e *Engine) report(ctx context.Context, o Object, scan func() (backends.Result, string, error)) (report policy.Report) {
	begin := time.Now()
	e.counts.scans.Add(1)
	defer func() {
		if v := recover(); v != nil {
			report.Result, report.Err = backends.Result{}, e.panicked(report.Node, v)
		}
		report.Engine, report.Required = e.cfg.Name, e.cfg.Required
		report.Elapsed = time.Since(begin)
		if report.Err != nil && ctx.Err() != context.Canceled {
			e.counts.failed.Add(1)
		}
	}()
	if size := o.Size(); e.isTooLarge(size) {
		report.Result = tooLarge(size, e.cfg.MaxSize)
		e.counts.notAsked(ctx, report.Result.Category)
		return report
	}
	report.Result, report.Node, report.Err = scan()
	return report
}

// scan sends o to one node after another until one answers.
func (e *Engine) scan(ctx context.Context, o Object, all bool, k *Known) (backends.Result, string, error) {
	full := e.cfg.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		full = min(full, time.Until(deadline))
	}
	digest, err := e.withheld(ctx, o, k.digest())
	if err == nil {
		err = e.withheldByAll(k)
	}
	if err != nil {
		e.counts.notAsked(ctx, backends.CategoryOf(err))
		return backends.Result{}, "", err
	}
	t := newScanTicket(o)
	n, err := e.acquireFirst(ctx, t)
	if err != nil {
		e.counts.notAsked(ctx, backends.CategoryOf(err))
		return backends.Result{}, addressOf(t.last), err
	}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > e.cfg.Timeout {
		var cancel context.CancelFunc
		ctx, cancel = withTimeout(ctx, e.cfg.Timeout)
		defer cancel()
	}
	r := e.newRace(ctx, o, all, t)
	r.digest, r.full = digest, full
	e.budget.Earn()
	if k == nil {
		return r.runFrom(n)
	}
	r.known = k
	if k.flight != nil {
		e.flights.start(k.flight)
	}
	defer e.keep(k, r)
	return r.runFrom(n)
}

// isTooLarge reports whether the engine does not get objects of that size.
func (e *Engine) isTooLarge(size int64) bool { return e.cfg.MaxSize > 0 && size > e.cfg.MaxSize }

// newScanTicket returns a ticket for a scan of o.
func newScanTicket(o Object) *ticket {
	t := &ticket{}
	t.class = timing.Class(o.Size())
	_, t.control = controlNonce(o)
	return t
}

// acquireFirst is acquire, bounded by Config.Timeout if ctx has no deadline.
func (e *Engine) acquireFirst(ctx context.Context, t *ticket) (*node, error) {
	if _, ok := ctx.Deadline(); ok {
		return e.acquire(ctx, t)
	}
	ctx, cancel := withTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	return e.acquire(ctx, t)
}

// tooLarge is the result for an object that is not sent. Its name is the one that clamd
// 1.4.6 uses with AlertExceedsMax.
func tooLarge(size, limit int64) backends.Result {
	return backends.Result{
		Category: backends.Partial,
		Code:     backends.NoCode,
		Findings: []backends.Finding{{Name: "Heuristics.Limits.Exceeded.MaxSize", Category: backends.Partial}},
		Detail:   fmt.Sprintf("%d bytes exceed max_size, %d: not sent", size, limit),
	}
}
