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
}

// question is one object put to one node whose slot is taken.
type question struct {
	node      *node
	object    Object
	all       bool // every match is wanted
	isTest    bool // the object is a test object
	hedge     bool // the node is the second one
	suspected bool // the node is checked because it takes long
	grant          // what came with the slot
	digest    *poison.Digest
	death     *poison.Death

	full    time.Duration // what the scan has if it gets a slot immediately; 0: Config.Timeout
	ctx     context.Context
	cancel  context.CancelCauseFunc // nil for a test object
	began   time.Time
	lost    <-chan struct{} // closed when the node is taken out
	result  backends.Result
	err     error
	answers chan<- *question // takes the question when the backend has answered
	finished    atomic.Bool      // set by whichever comes first: the backend's return, or abandoning it
}

// overdue reports whether the node has not answered in a time that should have been
// enough. A scan that came to it with little time left does not count.
func (q *question) overdue(full time.Duration) bool {
	return q.ctx.Err() == context.DeadlineExceeded && time.Since(q.began) >= full/4
}

// died reports whether the engine died on the question with that error.
func (q *question) died(err error) bool {
	return q.ctx.Err() == nil && backends.Died(err)
}

// answered reports whether the engine answered, be it with an error.
func (q *question) answered(err error) bool {
	return err == nil || q.ctx.Err() == nil && errors.As(err, new(*backends.Failure)) && !q.died(err)
}

// timeFor is how long q may take if it gets a slot immediately: the timeout, or what the
// caller has, if that is less.
func (p *pool) timeFor(q *question) time.Duration {
	if q.full > 0 {
		return q.full
	}
	return p.config().Timeout
}

// adaptLimit changes the node's limit after q was answered by r and err. An answer that
// took more than half of the timeout raises nothing: with another scan beside it, it might
// have been too late. The caller holds mu.
func (p *pool) adaptLimit(q *question, r backends.Result, err error) {
	total, n := p.config().MaxScans, q.node
	switch {
	case q.isTest:
	case err == nil, detected(r):
		if time.Since(q.began) < p.config().Timeout/2 {
			n.limit.Raise(total)
		}
	case q.overdue(p.timeFor(q)), q.ctx.Err() == nil && (errors.Is(err, backends.ErrNoReply) || backends.Busy(err)):
		// Few engines say that they are overloaded. Others are silent, or close the
		// connection: savdid when all threads are busy, clamd without room for its files.
		n.limit.Lower(total, q.round)
	}
}
