package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/engine/internal/timing"
)

// errOvertaken cancels the scan on the slower of two nodes.
const errOvertaken = CalledOff("another node answered first")

// finish applies the answer to the node's state and then frees the slot, so that no scan is
// sent to a node just found dead.
func (p *pool) finish(q *question) {
	r, err := q.result, q.err
	p.mu.Lock()
	p.inline.remove(q)
	t := p.note(q, err)
	guilty := p.recordEvidence(q, r, err)
	if !q.isTest {
		q.reconsider()
	}
	p.giveBack(q.node, q.grant)
	p.mu.Unlock()
	p.logTransition(t)
	if !q.isTest {
		q.node.counts.answered(q, q.result, q.err)
	}
	p.judge(q, r, err, guilty)
}

// finishAbandoned is finish for a question whose backend has not returned and keeps its
// slot.
func (p *pool) finishAbandoned(q *question) {
	err := ended(q.ctx, nil)
	p.mu.Lock()
	t := p.note(q, err)
	guilty := p.recordEvidence(q, backends.Result{}, err)
	p.mu.Unlock()
	p.logTransition(t)
	if !q.isTest {
		q.node.counts.answered(q, backends.Result{}, err)
	}
	p.judge(q, backends.Result{}, err, guilty)
}

// reconsider corrects or discards the answer by what health checks have shown about the
// node, including those that ended during the scan. The caller holds mu.
func (q *question) reconsider() {
	n := q.node
	clean := q.err == nil && !detected(q.result)
	if err := n.health.DiscardReason(q.epoch, clean); err != nil {
		q.result, q.err = backends.Result{}, err
		n.counts.failures.Add(1)
		return
	}
	given := q.result
	q.result = n.adjusted(given, q.object.Size())
	q.adjusted = !sameResult(given, q.result)
}

// adjusted corrects a result for what the node does not scan: whatever follows the first
// heuristic finding, and objects above a size limit. The caller holds mu.
func (n *node) adjusted(r backends.Result, size int64) backends.Result {
	switch {
	case n.heuristics.first:
		r = suspicious(r, heuristicsFirstText)
	case n.heuristics.unknown:
		r = suspicious(r, heuristicsUnknownText)
	}
	if r.Category != backends.OK {
		return r
	}
	switch limit := n.size.limit; {
	case limit != 0 && size > limit:
		return backends.Result{
			Category: backends.Partial,
			Code:     r.Code,
			Findings: []backends.Finding{{Name: "Heuristics.Limits.Exceeded.MaxSize", Category: backends.Partial}},
			Detail:   fmt.Sprintf("%d bytes, more than the %d that the engine is known to scan: %s", size, limit, unscannedText),
		}
	case n.size.unproven && size > max(unprovenMin, n.size.trusted):
		return backends.Result{
			Category: backends.Partial,
			Code:     r.Code,
			Detail:   fmt.Sprintf("%d bytes: not proven yet that the engine scans objects of this size (size_check)", size),
		}
	}
	return r
}

// note counts the outcome of q and applies it to the node's state. It returns the
// transition to log. The caller holds mu.
func (p *pool) note(q *question, err error) *transition {
	if backends.NoRoom(err) {
		q.node.dropWaiting()
	}
	if err != nil {
		q.object.Taint()
	}
	if q.isTest {
		return nil
	}
	end := q.ctx.Err()
	if err != nil && end != context.Canceled {
		q.node.counts.failures.Add(1)
	}
	return p.conclude(q, err, end, time.Since(q.began))
}

// conclude applies the outcome of q to the node's state; end is how its context ended, if
// it did. The caller holds mu.
func (p *pool) conclude(q *question, err, end error, took time.Duration) *transition {
	n := q.node
	times := &n.times[timing.Class(q.object.Size())]
	switch {
	case err == nil:
		times.Add(took)
		n.health.Answered()
		if !p.config().Canary && n.health.State() != health.Up && !n.health.Retired() {
			return p.setState(n, health.Up, nil)
		}
	case errors.As(context.Cause(q.ctx), new(Overdue)):
		return p.timedOut(n, took)
	case end == context.Canceled:
		if context.Cause(q.ctx) == errOvertaken {
			times.AddCanceled(took)
		}
	case end == context.DeadlineExceeded:
		if took >= p.timeFor(q)/2 { // else the scan had little time left when it came to n
			return p.timedOut(n, took)
		}
	case backends.Unreachable(err):
		return p.markDown(n, err)
	default:
		n.health.Answered()
		if backends.NoRoom(err) { // it may call the next object ok without unpacking it
			p.checkSoon(n)
		}
	}
	return nil
}

// timedOut records that n did not answer a scan although it had enough time. The first
// timeout may be the object's fault; a second one in a row takes n out until a health check
// succeeds. The caller holds mu.
func (p *pool) timedOut(n *node, took time.Duration) *transition {
	if !n.health.TimedOut() {
		p.checkSoon(n)
		return nil
	}
	return p.markDown(n, &backends.Failure{
		Category: backends.Interrupted, Code: backends.NoCode,
		Text: fmt.Sprintf("%d scans in a row had no answer, the last within %v (keys timeout, max_delay)",
			health.MaxTimeouts, took.Round(time.Millisecond)),
	})
}

// suspect requests a health check of n, unless n has answered a scan lately. It reports
// false if the caller should try again later.
func (p *pool) suspect(n *node, lately time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.config().Canary || n.reloading || n.health.Checking() {
		return true
	}
	if time.Since(n.health.LastAnswer()) < lately {
		return false
	}
	n.health.Suspect(slices.ContainsFunc(p.nodes, func(other *node) bool { return other != n && p.usable(other) }))
	p.checkSoon(n)
	return true
}
