package engine

import (
	"context"
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/proxy/stack"
)

// grace is how long a backend may take to return after its context has ended before it is
// abandoned.
const grace = 50 * time.Millisecond

// begin is called before work.
func (p *pool) begin(q *question) {
	q.began = time.Now()
	p.mu.Lock()
	q.lost = q.node.health.Lost()
	if !q.isTest {
		q.node.evidence.Begin()
	}
	if q.race != nil {
		q.due = q.race.dueAt(q.began)
		p.inline.add(q, p.handOverSlow)
	}
	p.mu.Unlock()
	if !q.isTest {
		q.node.counts.scans.Add(1)
	}
}

// start starts the backend in a new goroutine. Otherwise nothing could end the wait for a
// backend that hangs, for example in a read from a dead file server. The slot is freed when
// the backend returns.
func (p *pool) start(q *question) {
	p.begin(q)
	go p.work(q)
}

// ask sends a test object to its node and waits for the answer.
func (p *pool) ask(ctx context.Context, q *question) (backends.Result, error) {
	answers := make(chan *question, 1)
	q.ctx, q.answers = ctx, answers
	p.start(q)
	select {
	case <-answers:
		return q.result, q.err
	case <-ctx.Done():
	}
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-answers:
		return q.result, q.err
	case <-patience.C:
	}
	if p.abandon(q) {
		return backends.Result{}, ended(ctx, errors.New("backend does not return"))
	}
	<-answers
	return q.result, q.err
}

// abandon stops waiting for a backend, which keeps its slot and its object until it returns.
// It reports false if the backend has just answered.
func (p *pool) abandon(q *question) bool {
	q.object.Retain()
	if q.finished.CompareAndSwap(false, true) {
		p.finishAbandoned(q)
		return true
	}
	q.object.Release()
	return false
}

// work runs the backend. The cleanup is deferred because a backend may end its goroutine
// with runtime.Goexit. The answer is sent to q.answers, unless q is inline.
func (p *pool) work(q *question) {
	q.err = errNoAnswer
	stack.GrowForScan()
	defer func() {
		if q.finished.CompareAndSwap(false, true) {
			if p.finish(q); q.answers != nil {
				q.answers <- q
			}
			return
		}
		p.giveBackUnused(q.node, q.grant)
		q.object.Release()
	}()
	q.err = p.protect(q.node, func() (err error) {
		q.result, err = p.scanWith(q.ctx, q)
		return err
	})
	q.result, q.err = checked(q.result, q.err)
	if q.err != nil && q.ctx.Err() != nil {
		q.err = ended(q.ctx, q.err)
	}
}

func (p *pool) scanWith(ctx context.Context, q *question) (backends.Result, error) {
	purpose := forScan
	if q.isTest {
		purpose = forCheck
	}
	ctx = p.traced(ctx, q.node, purpose)
	if a, ok := q.node.backend.(backends.AllMatcher); ok && q.all {
		return a.ScanAll(ctx, q.object)
	}
	return q.node.backend.Scan(ctx, q.object)
}
