package upstream

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

// question is one content put to one node whose slot is taken.
type question struct {
	node    *node
	content backends.Content
	all     bool
	canary  bool
	doubt   doubt // of the node, when the slot was taken

	result backends.Result
	err    error
	done   chan struct{}
	over   atomic.Bool // set by whoever is first: the backend's end, or leaving it behind
}

// ask puts q to its node and frees the slot when the backend has returned. The
// backend runs in a goroutine of its own, since nothing else can end the wait
// for one that hangs, be it in the read of a file on a dead server.
func (u *Upstream) ask(ctx context.Context, q *question) (backends.Result, error) {
	q.done = make(chan struct{})
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
func (u *Upstream) abandon(ctx context.Context, q *question) (backends.Result, error) {
	kept, keeps := q.content.(retainer)
	if keeps {
		kept.Retain()
	}
	if q.over.CompareAndSwap(false, true) {
		err := ended(ctx, errors.New("backend does not return"))
		u.note(ctx, q, err)
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
func (u *Upstream) work(ctx context.Context, q *question) {
	q.err = errors.New("backend ended without an answer")
	reserveForScan(0)
	defer func() {
		if q.over.CompareAndSwap(false, true) {
			u.settle(ctx, q)
			close(q.done)
			return
		}
		u.mu.Lock()
		u.giveBack(q.node)
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
func (u *Upstream) settle(ctx context.Context, q *question) {
	u.note(ctx, q, q.err)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !q.canary {
		q.reconsider()
	}
	u.giveBack(q.node)
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
func (u *Upstream) note(ctx context.Context, q *question, err error) {
	if err == nil && u.cfg.Canary || q.canary {
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

// checked is what r and err really are. What is not a category of an answer is never
// passed on as one. What was found stays beside an error; an ok beside one is none.
func checked(r backends.Result, err error) (backends.Result, error) {
	switch {
	case err == nil && !r.Category.Valid():
		err = fmt.Errorf("backend answered with category %q", bounded(string(r.Category)))
	case err == nil && r.Category.IsFailure():
		err = &backends.Failure{Category: r.Category, Code: r.Code, Text: r.Detail}
	case r.Category == backends.OK && len(r.Findings) > 0:
		r.Category = backends.Strongest(r.Findings) // a name beside "ok": the name wins
		return checked(r, err)
	}
	if err == nil || isFinding(r.Category) {
		return r, err
	}
	var found []backends.Finding
	for _, f := range r.Findings {
		if isFinding(f.Category) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return backends.Result{}, err
	}
	r.Category, r.Findings = backends.Strongest(found), found
	return r, err
}

// isFinding says whether c is what an engine found.
func isFinding(c backends.Category) bool {
	return c.Valid() && !c.IsFailure() && c != backends.OK
}

// merged is what two nodes found in the same content. Nothing of it is dropped; an
// empty result is nothing.
func merged(a, b backends.Result) backends.Result {
	if a.Category == "" {
		return b
	}
	if b.Category == "" {
		return a
	}
	r := a
	if backends.Stronger(b.Category, a.Category) {
		r = b
	}
	r.Findings = accounted(a)
	for _, f := range accounted(b) {
		if !slices.Contains(r.Findings, f) {
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// accounted are the findings of r, with one for its category if none says it.
func accounted(r backends.Result) []backends.Finding {
	found := slices.Clone(r.Findings)
	says := func(f backends.Finding) bool { return f.Category == r.Category }
	if isFinding(r.Category) && !slices.ContainsFunc(found, says) {
		found = append(found, backends.Finding{Category: r.Category})
	}
	return found
}

// detected says whether r is the find of something bad.
func detected(r backends.Result) bool {
	return r.Category == backends.Virus || r.Category == backends.Suspicious
}

// ended is the error of a scan that ctx ended: the cause, and what the backend said
// unless that is only how it noticed. An engine's own word stays what it is.
func ended(ctx context.Context, err error) error {
	var failure *backends.Failure
	cause := context.Cause(ctx)
	e := &endError{text: cause.Error(), end: ctx.Err(), cause: cause}
	switch {
	case errors.As(err, &failure):
		return err
	case err != nil && errors.Is(err, cause):
		e.text = err.Error()
	case cause == context.Canceled:
		e.text = "called off"
	case cause == context.DeadlineExceeded:
		e.text = "no time left"
	}
	if err != nil && backends.CategoryOf(err) != backends.Interrupted && !errors.Is(err, cause) {
		e.text += ": " + err.Error()
	}
	return e
}

// endError is the end of a context in words other than Go's.
type endError struct {
	text  string
	end   error // context.Canceled or context.DeadlineExceeded
	cause error
}

func (e *endError) Error() string { return e.text }

// Unwrap keeps the cause for errors.Is. Its category does not count: whatever the
// reason, the scan was interrupted.
func (e *endError) Unwrap() []error {
	var failure *backends.Failure
	if errors.As(e.cause, &failure) {
		return []error{e.end}
	}
	return []error{e.end, e.cause}
}

// CalledOff is the cause of a context that is cancelled for a reason. It is a
// context.Canceled for errors.Is.
type CalledOff string

// Error implements error.
func (c CalledOff) Error() string { return string(c) }

// Is implements the interface of errors.Is.
func (CalledOff) Is(target error) bool { return target == context.Canceled }

// protect runs f; a panic in it is an error.
func (u *Upstream) protect(n *node, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = u.panicked(n.address, p)
		}
	}()
	return f()
}

// panicked logs a panic with the place where it happened, which the error
// cannot carry to a client.
func (u *Upstream) panicked(node string, p any) error {
	stack := debug.Stack()
	u.log.Error().Str("node", bounded(node)).Str("panic", bounded(fmt.Sprint(p))).
		Bytes("stack", stack[:min(len(stack), 4096)]).Msg("backend panicked")
	return &backends.Failure{
		Category: backends.SWErr,
		Code:     backends.NoCode,
		Text:     "backend panicked: " + bounded(fmt.Sprint(p)),
	}
}
