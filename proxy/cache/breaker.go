package cache

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// maxFailures is how many questions in a row may fail until no more are asked. A failure
	// weighs failureWeight answers, so that the breaker also opens if only some questions
	// are answered.
	maxFailures   = 5
	failureWeight = 4
)

// A breaker decides whether the store is asked. No more questions are under way than may
// still fail before it opens, so a store that stops delays maxFailures scans by the whole
// budget, however many there are. A breaker begins open: nothing is asked before a probe has
// found that the store answers. It is safe for concurrent use.
type breaker struct {
	budget time.Duration
	now    func() time.Time

	mu     sync.Mutex
	isOpen bool
	score  int
	reason error         // why it is open, or the last failure
	opened chan struct{} // closed when it opens, so that nothing waits any longer
	closed chan struct{} // closed when it closes

	// asking are the questions without an answer, lastSign is when the store last answered,
	// or when it was asked after it had answered everything. waiting are those that wait
	// until they may ask, the longest first; each channel is closed when it may.
	asking   int
	lastSign time.Time
	waiting  []chan struct{}
}

var errUnconnected = &StoreError{Reason: "not connected yet"}

func newBreaker(budget time.Duration, now func() time.Time) *breaker {
	b := &breaker{budget: budget, now: now, isOpen: true, reason: errUnconnected, opened: make(chan struct{}), closed: make(chan struct{})}
	close(b.opened)
	return b
}

// begin reports whether a question may be asked. If so, end must be called when it has
// ended, which may be after its caller has gone. If too many are under way, begin waits for
// the end of one, but no longer than patience. opened is closed when the breaker opens.
func (b *breaker) begin(ctx context.Context) (opened <-chan struct{}, ok bool) {
	b.mu.Lock()
	if b.isOpen || b.asking > 0 && b.now().Sub(b.lastSign) > b.patience() {
		b.mu.Unlock()
		return nil, false
	}
	opened = b.opened
	if b.grant() {
		b.mu.Unlock()
		return opened, true
	}
	turn := make(chan struct{})
	b.waiting = append(b.waiting, turn)
	b.mu.Unlock()
	timer := time.NewTimer(b.patience())
	defer timer.Stop()
	select {
	case <-turn:
		return opened, true
	case <-timer.C:
	case <-opened:
	case <-ctx.Done():
	}
	return opened, b.leave(turn)
}

// patience is how long the store may show no sign of life while it owes answers. After that
// no other scan has to find out whether it has stopped.
func (b *breaker) patience() time.Duration { return b.budget / 4 }

// grant lets one more question be asked if that is possible now. b.mu is held.
func (b *breaker) grant() bool {
	if left := maxFailures - b.score/failureWeight; b.asking >= left {
		return false
	}
	if b.asking++; b.asking == 1 {
		b.lastSign = b.now()
	}
	return true
}

// leave ends the wait for a turn. It reports whether the turn has come all the same.
func (b *breaker) leave(turn chan struct{}) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.waiting, turn)
	if i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	return i < 0
}

// sign records that the store has answered, in whatever way.
func (b *breaker) sign() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastSign = b.now()
}

// end ends a question. Its success or failure must have been recorded.
func (b *breaker) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking--
	b.next()
}

// next lets those ask that wait for it. b.mu is held.
func (b *breaker) next() {
	for len(b.waiting) > 0 && b.grant() {
		close(b.waiting[0])
		b.waiting = slices.Delete(b.waiting, 0, 1)
	}
}

// succeed records an answer within the budget.
func (b *breaker) succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.score = max(b.score-1, 0)
	b.next()
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
