package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxFailures is how many questions in a row may fail until no more are asked. A failure
	// weighs failureWeight answers, so that the breaker also opens if only some questions
	// are answered.
	maxFailures   = 5
	failureWeight = 4
	// maxAsking bounds the questions under way.
	maxAsking = 256
)

// A breaker decides whether the store is asked. It begins open: nothing is asked before a
// probe has found that the store answers. It is safe for concurrent use.
type breaker struct {
	budget time.Duration
	now    func() time.Time

	// asking are the questions without an answer, lastSign is when the store last answered,
	// or when it was asked after it had answered everything, in nanoseconds since 1970.
	asking   atomic.Int64
	lastSign atomic.Int64

	mu     sync.Mutex
	isOpen bool
	score  int
	reason error         // why it is open, or the last failure
	opened chan struct{} // closed when it opens, so that nothing waits any longer
	closed chan struct{} // closed when it closes
}

var errUnconnected = &StoreError{Reason: "not connected yet"}

func newBreaker(budget time.Duration, now func() time.Time) *breaker {
	b := &breaker{budget: budget, now: now, isOpen: true, reason: errUnconnected, opened: make(chan struct{}), closed: make(chan struct{})}
	close(b.opened)
	return b
}

// begin reports whether a question may be asked. If so, end must be called when it has
// ended, which may be after its caller has gone. opened is closed when the breaker opens.
func (b *breaker) begin() (opened <-chan struct{}, ok bool) {
	b.mu.Lock()
	isOpen, opened := b.isOpen, b.opened
	b.mu.Unlock()
	if isOpen {
		return nil, false
	}
	now := b.now().UnixNano()
	switch n := b.asking.Add(1); {
	case n == 1:
		b.lastSign.Store(now)
	case n > maxAsking, now-b.lastSign.Load() > int64(b.budget/4):
		// The store owes answers. If it has stopped, no other scan has to find that out.
		b.asking.Add(-1)
		return nil, false
	}
	return opened, true
}

// end ends a question.
func (b *breaker) end(answered bool) {
	if answered {
		b.lastSign.Store(b.now().UnixNano())
	}
	b.asking.Add(-1)
}

// succeed records an answer within the budget.
func (b *breaker) succeed() {
	b.mu.Lock()
	b.score = max(b.score-1, 0)
	b.mu.Unlock()
}

// fail records a failure. It reports whether the breaker opened because of it.
func (b *breaker) fail(reason error) (opens bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reason = reason
	if b.score += failureWeight; b.isOpen || b.score < maxFailures*failureWeight {
		return false
	}
	b.isOpen = true
	b.closed = make(chan struct{})
	close(b.opened)
	return true
}

// keepOpen sets the reason why the breaker stays open.
func (b *breaker) keepOpen(reason error) {
	b.mu.Lock()
	b.reason = reason
	b.mu.Unlock()
}

// close lets questions pass again.
func (b *breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOpen {
		b.isOpen, b.score, b.reason = false, 0, nil
		b.opened = make(chan struct{})
		close(b.closed)
	}
}

// state returns whether the breaker is open, the channels that are closed when it has opened
// and closed, and why it is open.
func (b *breaker) state() (isOpen bool, opened, closed <-chan struct{}, reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isOpen, b.opened, b.closed, b.reason
}
