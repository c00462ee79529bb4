package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/poison"
)

// A race is one scan on its way over the nodes: on one after the other while they fail, and
// on a second one beside the first if that is slow or has been taken out. The first answer
// wins. It belongs to the goroutine of the scan.
type race struct {
	e      *Engine
	ctx    context.Context
	object Object
	all    bool
	ticket *ticket
	digest *poison.Digest // of object; nil: not known
	full   time.Duration  // what the scan has if it gets a slot immediately

	running []*question    // one or two
	answers chan *question // takes those that have ended
	moving  chan slot      // takes the slot that a move waits for; nil: none
	stop    func()         // ends that wait

	found backends.Result // by all nodes that have ended
	node  *node           // the last of them
	err   error           // its error
}

// start puts the object to n, whose slot is taken.
func (r *race) start(n *node) {
	q := &question{node: n, object: r.object, all: r.all, grant: r.ticket.grant, digest: r.digest, full: r.full, answers: r.answers}
	q.ctx, q.cancel = context.WithCancelCause(r.ctx)
	r.ticket.Tried = append(r.ticket.Tried, n)
	r.running = append(r.running, q)
	r.e.begin(q)
}

// run returns when the race has an outcome.
func (r *race) run() {
	slowAfter := r.e.slowAfter(r.ticket.class)
	end, _ := r.ctx.Deadline()
	half := time.Now().Add(time.Until(end) / 2)
	patience := time.NewTimer(min(slowAfter, time.Until(half)))
	defer patience.Stop()
	leave := false // the first node, as soon as there is another one
	over := false
	for !over {
		select {
		case q := <-r.answers:
			over = r.ended(q)
		case <-r.lost():
			r.running[0].lost, leave = nil, true
			over = r.replaceFirst()
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

// ended takes in the outcome of q, and reports whether that ends the race: with an answer,
// or without another node.
func (r *race) ended(q *question) (over bool) {
	r.collect(q)
	if r.isFinal(q) {
		if q.hedge {
			r.e.hedgesWon.Add(1)
		}
		r.cancelAll(errOvertaken)
		return true
	}
	if len(r.running) > 0 || r.moving != nil {
		return false
	}
	return r.next()
}

// collect takes in the outcome of q.
func (r *race) collect(q *question) {
	q.cancel(nil)
	r.remove(q)
	r.found, r.node, r.err = merged(r.found, q.result), q.node, q.err
}

// isFinal reports whether the outcome of q is final: an answer, or a detection, whatever
// failed beside it.
func (r *race) isFinal(q *question) bool { return q.err == nil || detected(q.result) }

// next puts the object to the next node, and reports whether there is none.
func (r *race) next() (none bool) {
	if r.withheld() {
		return true
	}
	next, noSlot := r.e.acquire(r.ctx, r.ticket)
	if noSlot != nil { // or time is up
		return true
	}
	r.replay(next)
	return false
}

// replay puts the object to one more node.
func (r *race) replay(n *node) {
	r.e.pool.replay.Add(1)
	n.replays.Add(1)
	r.start(n)
}

// withheld reports whether the object is not given to another node, since engines have
// died or hung on it too often.
func (r *race) withheld() bool {
	var err error
	r.digest, err = r.e.pool.withheld(r.ctx, r.object, r.digest)
	return err != nil
}

// lost is closed when the only node that is asked is taken out.
func (r *race) lost() <-chan struct{} {
	if len(r.running) != 1 {
		return nil
	}
	return r.running[0].lost
}

func (r *race) remove(q *question) {
	r.running = slices.DeleteFunc(r.running, func(other *question) bool { return other == q })
}

// timeUp gives backends a moment to notice, and abandons those that do not.
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

// cancelAll calls off what is still running, and does not wait for it. Detections made
// meanwhile count.
func (r *race) cancelAll(why error) {
	for _, q := range r.running {
		q.cancel(why)
		if r.e.abandon(q) {
			continue
		}
		if late := <-r.answers; detected(late.result) {
			r.found = merged(r.found, late.result)
		}
	}
	r.running = nil
	r.endMove()
}
