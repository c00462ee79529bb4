package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/poison"
)

// Object is an object to scan. It lives until its last user has released it, so that a
// hung backend can be abandoned with it.
type Object interface {
	backends.Object
	Retain()
	Release()
	// Taint says that an engine may keep the object's descriptor: its memory must never be
	// used for another object.
	Taint()
}

// question is one object sent to one node, whose slot is taken.
type question struct {
	node      *node
	object    Object
	all       bool // every match is wanted
	isTest    bool // the object is a test object
	hedge     bool // the node is the second one
	suspected bool // a check of the node was requested because it is slow
	grant          // came with the slot
	digest    *poison.Digest
	death     *poison.Death

	full     time.Duration // time for the scan if it gets a slot immediately; 0: Config.Timeout
	ctx      context.Context
	cancel   context.CancelCauseFunc // nil for a test object
	began    time.Time
	lost     <-chan struct{} // closed when the node is taken out
	result   backends.Result
	err      error
	adjusted bool             // result is not what the engine said, see reconsider
	given    given            // what a result in the cache is worth
	answers  chan<- *question // takes the question when the backend has answered; nil: inline
	finished atomic.Bool      // set once, by the backend's return or by abandoning it

	// For a backend on the goroutine of its scan, see inlineScans. pool.mu guards the rest.
	race          *race // nil: the backend has its own goroutine
	due           time.Time
	inline        bool // in pool.inline
	before, after *question
}

// overdue reports whether the node failed to answer although it had enough time. A scan
// that reached it with little time left does not count.
func (q *question) overdue(full time.Duration) bool {
	return q.ctx.Err() == context.DeadlineExceeded && time.Since(q.began) >= full/4
}

// died reports whether err means that the engine died during the scan.
func (q *question) died(err error) bool {
	return q.ctx.Err() == nil && backends.Died(err)
}

// answered reports whether the engine answered, even if with an error.
func (q *question) answered(err error) bool {
	return err == nil || q.ctx.Err() == nil && errors.As(err, new(*backends.Failure)) && !q.died(err)
}

// timeFor is how long q may take if it gets a slot immediately: the timeout, or the
// caller's time if that is shorter.
func (p *pool) timeFor(q *question) time.Duration {
	if q.full > 0 {
		return q.full
	}
	return p.config().Timeout
}

// adaptLimit adjusts the node's limit after q ended with r and err. An answer that took
// more than half of the timeout does not raise it: with one more scan in parallel, it might
// have been late. The caller holds mu.
func (p *pool) adaptLimit(q *question, r backends.Result, err error) {
	total, n := p.config().MaxScans, q.node
	switch {
	case q.isTest:
	case err == nil, detected(r):
		if time.Since(q.began) < p.config().Timeout/2 {
			n.limit.Raise(total)
		}
	case q.overdue(p.timeFor(q)), q.ctx.Err() == nil && (errors.Is(err, backends.ErrNoReply) || backends.Busy(err)):
		// Few engines report overload. Others stay silent or close the connection: savdid
		// when all threads are busy, clamd without room for its files.
		n.limit.Lower(total, q.round)
	}
}
