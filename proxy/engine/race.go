package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/poison"
)

// A race is one scan across the nodes of an engine. It tries one node after another while
// they fail, and a second node in parallel if the first is slow or has been taken out. The
// first answer wins. Only one goroutine uses it: that of the scan or, after a scan that began
// inline was handed over, that of follow.
type race struct {
	e      *Engine
	ctx    context.Context
	object Object
	all    bool
	ticket *ticket
	digest *poison.Digest // of object; nil: not known
	full   time.Duration  // time for the scan if it gets a slot immediately
	known  *Known         // about object; may be nil

	observed bool // its result does not count: it waits for no slot, and is never hedged

	running []*question    // one or two
	two     [2]*question   // backs running
	opening question       // the first one
	answers chan *question // receives those that have ended; nil: none has its own goroutine
	over    chan struct{}  // closed at the end of a race that was handed over; else nil
	moving  chan slot      // receives the slot that a move waits for; nil: none
	stop    func()         // ends that wait

	found backends.Result // by all nodes whose scans have ended
	node  *node           // the last of them
	err   error           // its error

	last    *question // whose outcome was added last
	results int       // how many results found is made of
}

func (e *Engine) newRace(ctx context.Context, o Object, all bool, t *ticket) *race {
	return &race{e: e, ctx: ctx, object: o, all: all, ticket: t, full: e.cfg.Timeout}
}

// runFrom runs the race from n, whose slot is taken, to its end. It returns the result, the
// last node and its error.
func (r *race) runFrom(n *node) (backends.Result, string, error) {
	if r.isInline(n) {
		r.runInline(n)
	} else {
		r.start(n)
		r.run(false)
	}
	return r.found, addressOf(r.node), r.err
}

// start sends the object to n, whose slot is taken.
func (r *race) start(n *node) {
	if r.answers == nil {
		r.answers = make(chan *question, 2)
	}
	q := r.newQuestion(n)
	q.answers = r.answers
	r.e.start(q)
}

// newQuestion adds a question for n, whose slot is taken.
func (r *race) newQuestion(n *node) *question {
	q := &r.opening
	if q.node != nil {
		q = new(question)
	}
	q.node, q.object, q.all, q.grant, q.digest, q.full = n, r.object, r.all, r.ticket.grant, r.digest, r.full
	ctx := r.ctx
	if r.isSuspect() {
		ctx = backends.WithSuspect(ctx)
	}
	q.ctx, q.cancel = context.WithCancelCause(ctx)
	if r.known != nil && r.known.keeps {
		q.given = r.e.beforeScan(n, r.e.cfg)
	}
	r.ticket.Tried = append(r.ticket.Tried, n)
	if r.running == nil {
		r.running = r.two[:0]
	}
	r.running = append(r.running, q)
	return q
}

// halfOf is the middle of the time from begin to the end of the race.
func (r *race) halfOf(begin time.Time) time.Time {
	end, _ := r.ctx.Deadline()
	return begin.Add(end.Sub(begin) / 2)
}

// dueAt is when a scan that began then is slow. The caller holds mu.
func (r *race) dueAt(began time.Time) time.Time {
	due, half := began.Add(r.e.slowAfterLocked(r.ticket.class)), r.halfOf(began)
	if half.Before(due) {
		return half
	}
	return due
}

// run runs the race to its end. slow says that the scan has already taken longer than usual.
func (r *race) run(slow bool) {
	slowAfter := r.e.slowAfter(r.ticket.class)
	half := r.halfOf(r.opening.began)
	wait := slowAfter
	if left := time.Until(half); slow {
		wait = 0
	} else if left > 0 {
		wait = min(wait, left)
	}
	patience := time.NewTimer(wait)
	defer patience.Stop()
	leave := false // replace the first node as soon as there is another one
	over := false
	for !over {
		select {
		case q := <-r.answers:
			over = r.ended(q)
		case <-r.lost():
			q := r.running[0]
			q.lost = nil
			if !q.finished.Load() { // otherwise its own answer took the node out, and arrives next
				leave = true
				over = r.replaceFirst()
			}
		case <-patience.C:
			patience.Reset(slowAfter)
			switch {
			case leave:
				over = r.replaceFirst()
			case time.Until(half) > 0:
				r.slow(slowAfter)
				patience.Reset(min(slowAfter, time.Until(half)))
			case r.silent(slowAfter):
				r.move()
			default:
				r.slow(slowAfter)
			}
		case s := <-r.moving:
			over = r.moved(s)
		case <-r.ctx.Done():
			r.timeUp()
			over = true
		}
	}
}

// ended handles the outcome of q. It reports whether the race is over: q was answered, or
// no node is left.
func (r *race) ended(q *question) (over bool) {
	r.collect(q)
	if r.isFinal(q) {
		if q.hedge {
			r.e.counts.hedgesWon.Add(1)
		}
		r.cancelAll(errOvertaken)
		return true
	}
	if len(r.running) > 0 || r.moving != nil {
		return false
	}
	return r.next()
}

// collect adds the outcome of q.
func (r *race) collect(q *question) {
	q.cancel(nil)
	r.remove(q)
	r.add(q)
	r.node, r.err = q.node, q.err
}

// add adds the result of q.
func (r *race) add(q *question) {
	r.found, r.last = merged(r.found, q.result), q
	if q.result.Category != "" {
		r.results++
	}
}

// isFinal reports whether q ends the race: it was answered, or something was detected, even
// if there was also an error.
func (r *race) isFinal(q *question) bool { return q.err == nil || detected(q.result) }

// next sends the object to the next node. It reports true if there is none.
func (r *race) next() (none bool) {
	if r.withheld() {
		return true
	}
	next := r.nextNode()
	if next == nil {
		return true
	}
	r.replay(next)
	return false
}

// nextNode takes a slot on another node. It returns nil if there is none, or time is up.
func (r *race) nextNode() *node {
	if r.observed {
		return r.e.tryAcquire(r.ticket)
	}
	n, err := r.e.acquire(r.ctx, r.ticket)
	if err != nil {
		return nil
	}
	return n
}

// replay sends the object to one more node.
func (r *race) replay(n *node) {
	r.e.counts.replays.Add(1)
	n.counts.replays.Add(1)
	r.start(n)
}

// withheld reports whether no other node may have the object, since the engine has died or
// hung on it too often.
func (r *race) withheld() bool {
	var err error
	r.digest, err = r.e.pool.withheld(r.ctx, r.object, r.digest)
	if err == nil {
		r.e.failedMeanwhile(r.ctx, r.known)
		err = r.e.withheldByAll(r.known)
	}
	return err != nil
}

// isSuspect reports whether the engine has died or hung on the object, here or on another host.
func (r *race) isSuspect() bool {
	return r.known != nil && r.known.failures > 0 || r.digest != nil && r.e.pool.poison.Has(*r.digest, r.e.cfg.PoisonTime)
}

// lost returns a channel that is closed when the only node in use is taken out.
func (r *race) lost() <-chan struct{} {
	if len(r.running) != 1 {
		return nil
	}
	return r.running[0].lost
}

func (r *race) remove(q *question) {
	r.running = slices.DeleteFunc(r.running, func(other *question) bool { return other == q })
}

// timeUp gives backends a moment to return, and abandons those that do not.
func (r *race) timeUp() {
	patience := time.NewTimer(grace)
	defer patience.Stop()
	for late := false; len(r.running) > 0 && !late; {
		select {
		case q := <-r.answers:
			if r.collect(q); r.isFinal(q) {
				r.cancelAll(errOvertaken)
				return
			}
		case <-patience.C:
			late = true
		}
	}
	if len(r.running) > 0 {
		r.node, r.err = r.running[0].node, ended(r.ctx, errors.New("the backend does not return"))
	}
	r.cancelAll(context.Cause(r.ctx))
}

// cancelAll cancels the scans still running and does not wait for them. A detection made in
// the meantime counts.
func (r *race) cancelAll(why error) {
	for _, q := range r.running {
		q.cancel(why)
		if r.e.abandon(q) {
			continue
		}
		if late := <-r.answers; detected(late.result) {
			r.add(late)
		}
	}
	r.running = nil
	r.endMove()
}
