package upstream

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
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

// question is one content put to one node whose slot is taken.
type question struct {
	node    *node
	content backends.Content
	all     bool
	canary  bool
	grant   // what came with the slot
	began   time.Time
	digest  *digest // of content; nil: not known

	result backends.Result
	err    error
	done   chan struct{}
	over   atomic.Bool // set by whoever is first: the backend's end, or leaving it behind
}

// ask puts q to its node and frees the slot when the backend has returned. The
// backend runs in a goroutine of its own, since nothing else can end the wait
// for one that hangs, be it in the read of a file on a dead server.
func (u *pool) ask(ctx context.Context, q *question) (backends.Result, error) {
	q.done, q.began = make(chan struct{}), time.Now()
	if !q.canary {
		q.node.scans.Add(1)
	}
	go u.work(ctx, q)
	select {
	case <-q.done:
		return q.result, q.err
	case <-ctx.Done():
	}
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-q.done:
		return q.result, q.err
	case <-patience.C:
	}
	return u.abandon(ctx, q)
}

// abandon leaves a hung backend behind, with its slot and its content.
func (u *pool) abandon(ctx context.Context, q *question) (backends.Result, error) {
	kept, keeps := q.content.(retainer)
	if keeps {
		kept.Retain()
	}
	if q.over.CompareAndSwap(false, true) {
		err := ended(ctx, errors.New("backend does not return"))
		u.note(ctx, q, err)
		u.mu.Lock()
		guilty := u.weigh(ctx, q, backends.Result{}, err)
		u.mu.Unlock()
		u.judge(ctx, q, backends.Result{}, err, guilty)
		return backends.Result{}, err
	}
	if keeps {
		kept.Release()
	}
	<-q.done
	return q.result, q.err
}

// work runs the backend. What comes after it is deferred, so that it happens
// even if the backend ends its goroutine.
func (u *pool) work(ctx context.Context, q *question) {
	q.err = errors.New("backend ended without an answer")
	reserveForScan(0)
	defer func() {
		if q.over.CompareAndSwap(false, true) {
			u.settle(ctx, q)
			close(q.done)
			return
		}
		u.mu.Lock()
		u.giveBack(q.node, q.grant)
		u.mu.Unlock()
		if kept, keeps := q.content.(retainer); keeps {
			kept.Release()
		}
	}()
	q.err = u.protect(q.node, func() (err error) {
		q.result, err = scanWith(ctx, q)
		return err
	})
	q.result, q.err = checked(q.result, q.err)
	if q.err != nil && ctx.Err() != nil {
		q.err = ended(ctx, q.err)
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
		return a.ScanAll(ctx, q.content)
	}
	return q.node.backend.Scan(ctx, q.content)
}

// settle frees the slot, after what the answer says about the node is noted, so
// that nobody is sent to a node just found dead.
func (u *pool) settle(ctx context.Context, q *question) {
	r, err := q.result, q.err
	u.note(ctx, q, err)
	u.mu.Lock()
	guilty := u.weigh(ctx, q, r, err)
	if !q.canary {
		q.reconsider()
	}
	u.giveBack(q.node, q.grant)
	u.mu.Unlock()
	u.judge(ctx, q, r, err, guilty)
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
		q.result = n.adjusted(q.result, q.content.Size())
	}
}

// note counts an error and draws the conclusions about the node.
func (u *pool) note(ctx context.Context, q *question, err error) {
	if err == nil && u.config().Canary || q.canary {
		return
	}
	if err != nil && ctx.Err() != context.Canceled {
		q.node.failures.Add(1)
	}
	u.mu.Lock()
	var c *change
	switch {
	case err == nil:
		if q.node.state != up {
			c = u.set(q.node, up, nil)
		}
	case ctx.Err() == context.DeadlineExceeded:
		u.hurry(q.node) // the engine, or only a long scan: the canary tells
	case ctx.Err() == nil && backends.Unreachable(err):
		c = u.markDown(q.node, err)
	}
	u.mu.Unlock()
	u.tell(c)
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
