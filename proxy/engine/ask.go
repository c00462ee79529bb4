package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"polyclam/backends"
)

// grace is how long a backend may take to return after the end of its context
// before it is left behind.
const grace = 50 * time.Millisecond

// retainer is the optional power of a content to outlive its scan.
type retainer interface {
	Retain()
	Release()
}

// question is one object put to one node whose slot is taken.
type question struct {
	node   *node
	object backends.Object
	all    bool
	canary bool
	hedge  bool // the node is the second one
	// suspected says that the node is checked because it takes long.
	suspected bool
	grant             // what came with the slot
	digest    *digest // of content; nil: not known
	death     *death  // that this scan met; nil: none, or it is decided

	full    time.Duration // what the scan has if it gets a slot immediately; 0: Config.Timeout
	ctx     context.Context
	cancel  context.CancelCauseFunc // nil for a test object
	began   time.Time
	lost    <-chan struct{} // closed when the node is taken out
	result  backends.Result
	err     error
	answers chan<- *question // takes the question when the backend has answered
	left    atomic.Bool      // set by the first of two: the backend's end, or leaving it behind
}

// begin has q's backend asked, in a goroutine of its own, since nothing else can end
// the wait for one that hangs, be it in the read of a file on a dead server. The slot
// is free when the backend has returned.
func (u *pool) begin(q *question) {
	q.began = time.Now()
	u.mu.Lock()
	q.lost = q.node.lost
	if !q.canary {
		q.node.mails++
	}
	u.mu.Unlock()
	if !q.canary {
		q.node.scans.Add(1)
	}
	go u.work(q)
}

// ask puts a test object to its node and waits for the answer.
func (u *pool) ask(ctx context.Context, q *question) (backends.Result, error) {
	answers := make(chan *question, 1)
	q.ctx, q.answers = ctx, answers
	u.begin(q)
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
	if u.abandon(q) {
		return backends.Result{}, ended(ctx, errors.New("backend does not return"))
	}
	<-answers
	return q.result, q.err
}

// abandon leaves a backend behind, with its slot and its object. It reports false if
// the backend has just answered.
func (u *pool) abandon(q *question) bool {
	kept, keeps := q.object.(retainer)
	if keeps {
		kept.Retain()
	}
	if q.left.CompareAndSwap(false, true) {
		err := ended(q.ctx, nil)
		u.note(q, err)
		u.mu.Lock()
		guilty := u.weigh(q, backends.Result{}, err)
		u.mu.Unlock()
		u.judge(q, backends.Result{}, err, guilty)
		return true
	}
	if keeps {
		kept.Release()
	}
	return false
}

// work runs the backend. What comes after it is deferred, so that it happens
// even if the backend ends its goroutine.
func (u *pool) work(q *question) {
	q.err = errors.New("backend ended without an answer")
	reserveForScan(0)
	defer func() {
		if q.left.CompareAndSwap(false, true) {
			u.settle(q)
			q.answers <- q
			return
		}
		u.mu.Lock()
		u.giveBack(q.node, q.grant)
		u.mu.Unlock()
		if kept, keeps := q.object.(retainer); keeps {
			kept.Release()
		}
	}()
	q.err = u.protect(q.node, func() (err error) {
		q.result, err = scanWith(q.ctx, q)
		return err
	})
	q.result, q.err = checked(q.result, q.err)
	if q.err != nil && q.ctx.Err() != nil {
		q.err = ended(q.ctx, q.err)
	}
}

// reserveForScan makes the stack of a new goroutine large enough at once: to double
// it deep in a dialogue takes ten times as long.
//
//go:noinline
func reserveForScan(i int) byte {
	var room [5 << 10]byte
	return room[i]
}

func scanWith(ctx context.Context, q *question) (backends.Result, error) {
	if a, ok := q.node.backend.(backends.AllMatcher); ok && q.all {
		return a.ScanAll(ctx, q.object)
	}
	return q.node.backend.Scan(ctx, q.object)
}

// settle frees the slot, after what the answer says about the node is noted, so
// that nobody is sent to a node just found dead.
func (u *pool) settle(q *question) {
	r, err := q.result, q.err
	u.note(q, err)
	u.mu.Lock()
	guilty := u.weigh(q, r, err)
	if !q.canary {
		q.reconsider()
	}
	u.giveBack(q.node, q.grant)
	u.mu.Unlock()
	u.judge(q, r, err, guilty)
}

// reconsider sees the answer in the light of what health checks found out about the
// node, also while the scan was under way.
func (q *question) reconsider() {
	n := q.node
	switch {
	case n.doubt.alarms != q.doubt.alarms, n.doubt.lapses != q.doubt.lapses && q.err == nil && !detected(q.result):
		q.result, q.err = backends.Result{}, n.distrust
		n.failures.Add(1)
	default:
		q.result = n.adjusted(q.result, q.object.Size())
	}
}

// note counts what came of q and draws the conclusions about the node.
func (u *pool) note(q *question, err error) {
	if q.canary {
		return
	}
	end := q.ctx.Err()
	if err != nil && end != context.Canceled {
		q.node.failures.Add(1)
	}
	u.mu.Lock()
	c := u.conclusion(q, err, end, time.Since(q.began))
	u.mu.Unlock()
	u.tell(c)
}

// conclusion is what the outcome of q says about its node; end is how its context has
// ended, if it has. The caller has mu.
func (u *pool) conclusion(q *question, err, end error, took time.Duration) *change {
	n := q.node
	times := &n.times[sizeClass(q.object.Size())]
	switch {
	case err == nil:
		times.add(took)
		n.timeouts, n.heard, n.trial = 0, time.Now(), false
		if !u.config().Canary && n.state != up && !n.retired {
			return u.set(n, up, nil)
		}
	case errors.As(context.Cause(q.ctx), new(Overdue)):
		return u.noEnd(n, took)
	case end == context.Canceled:
		if context.Cause(q.ctx) == errOvertaken && took > times.mean {
			times.add(took) // it would have been more
		}
	case end == context.DeadlineExceeded:
		return u.timedOut(q, took)
	case backends.Unreachable(err):
		return u.markDown(n, err)
	default:
		n.timeouts, n.heard, n.trial = 0, time.Now(), false
	}
	return nil
}

// timedOut notes that a scan on n found no end. One may be the object's fault; two in
// a row take n out until a health check succeeds. A scan that had little time when it
// came to n says nothing. The caller has mu.
func (u *pool) timedOut(q *question, took time.Duration) *change {
	if took < u.full(q)/2 {
		return nil
	}
	return u.noEnd(q.node, took)
}

// full is how long q may take if it gets a slot immediately: timeout, or what the caller
// gave it, if that is less.
func (u *pool) full(q *question) time.Duration {
	if q.full > 0 {
		return q.full
	}
	return u.config().Timeout
}

// noEnd counts a scan on n that found no end in a time that should have been enough. The
// caller has mu.
func (u *pool) noEnd(n *node, took time.Duration) *change {
	n.timeouts++
	if n.timeouts < maxTimeouts {
		u.hurry(n)
		return nil
	}
	n.timeouts = 0
	return u.markDown(n, &backends.Failure{
		Category: backends.Interrupted, Code: backends.NoCode,
		Text: fmt.Sprintf("%d scans in a row had no answer, the last within %v (keys timeout, max_delay)", maxTimeouts, took.Round(time.Millisecond)),
	})
}

// maxTimeouts in a row take a node out.
const maxTimeouts = 2

// suspect has n checked, unless it has answered anything lately. It reports whether
// there is nothing more to do for it.
func (u *pool) suspect(n *node, lately time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.config().Canary || n.reloading || n.checking() {
		return true
	}
	if time.Since(n.heard) < lately {
		return false
	}
	n.suspected = slices.ContainsFunc(u.nodes, func(other *node) bool { return other != n && u.usable(other) })
	u.hurry(n)
	return true
}

// protect runs f; a panic in it is an error.
func (u *pool) protect(n *node, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = u.panicked(n.address, p)
		}
	}()
	return f()
}

// panicked logs a panic with the place where it happened, which the error
// cannot carry to a client.
func (u *pool) panicked(node string, p any) error {
	stack := debug.Stack()
	u.log.Error().Str("node", bounded(node)).Str("panic", bounded(fmt.Sprint(p))).
		Bytes("stack", stack[:min(len(stack), 4096)]).Msg("backend panicked")
	return &backends.Failure{
		Category: backends.SWErr,
		Code:     backends.NoCode,
		Text:     "backend panicked: " + bounded(fmt.Sprint(p)),
	}
}
