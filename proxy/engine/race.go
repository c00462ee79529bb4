package engine

import (
	"context"
	"errors"
	"time"

	"polyclam/backends"
)

// Why a node is called off.
const (
	errOvertaken = CalledOff("another node answered first")
	errTakenOut  = CalledOff("the node was taken out while it scanned")
)

// A race is one scan on its way over the nodes: on one after the other while they
// fail, and on a second one beside the first where the first is slow or has been
// taken out. The first answer wins. It belongs to the goroutine of the scan.
type race struct {
	u      *Engine
	ctx    context.Context
	object backends.Object
	all    bool
	ticket *ticket
	digest *digest // of content; nil: not known
	full   time.Duration

	running []*question    // one or two
	answers chan *question // takes those that are over
	moving  chan slot      // takes the slot that is waited for; nil: none is
	stop    func()         // ends that wait

	found backends.Result // by all nodes that are over
	node  *node           // the last of them
	err   error           // its error
}

// scan asks one node after the other until one has answered.
func (u *Engine) scan(ctx context.Context, o backends.Object, all bool) (backends.Result, string, error) {
	full := u.cfg.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		full = min(full, time.Until(deadline))
	}
	sum, err := u.withheld(ctx, o, nil)
	if err != nil {
		return backends.Result{}, "", err
	}
	t := newTicket()
	t.class = sizeClass(o.Size())
	_, t.control = controlNonce(o)
	n, err := u.firstSlot(ctx, t)
	if err != nil {
		return backends.Result{}, address(t.last), err
	}
	ctx, cancel := limited(ctx, u.cfg.Timeout)
	defer cancel()
	r := &race{u: u, ctx: ctx, object: o, all: all, ticket: t, digest: sum, full: full, answers: make(chan *question, 2)}
	r.start(n)
	u.budget.earn()
	r.run()
	return r.found, address(r.node), r.err
}

// start puts the object to n, whose slot is taken.
func (r *race) start(n *node) {
	q := &question{node: n, object: r.object, all: r.all, grant: r.ticket.grant, digest: r.digest, full: r.full, answers: r.answers}
	q.ctx, q.cancel = context.WithCancelCause(r.ctx)
	r.ticket.tried = append(r.ticket.tried, n)
	r.running = append(r.running, q)
	r.u.begin(q)
}

// run returns when the race has an outcome.
func (r *race) run() {
	slowAfter := r.u.usual(r.object.Size())
	end, _ := r.ctx.Deadline()
	half := time.Now().Add(time.Until(end) / 2)
	patience := time.NewTimer(min(slowAfter, time.Until(half)))
	defer patience.Stop()
	leave := false // the first node, as soon as there is another one
	for {
		select {
		case q := <-r.answers:
			if r.over(q) {
				return
			}
		case <-r.lost():
			r.running[0].lost, leave = nil, true
			if r.leave() {
				return
			}
		case <-patience.C:
			patience.Reset(slowAfter)
			switch {
			case leave:
				if r.leave() {
					return
				}
			case time.Until(half) > 0:
				r.slow(slowAfter)
				patience.Reset(min(slowAfter, time.Until(half)))
			case r.silent(slowAfter):
				r.move()
			default:
				r.slow(slowAfter)
			}
		case s := <-r.moving:
			r.endMove()
			switch {
			case s.node != nil && !r.withheld():
				r.follow(s.node)
				continue
			case s.node != nil:
				r.u.handBack(s.node, r.ticket.grant)
			}
			if len(r.running) == 0 {
				return
			}
		case <-r.ctx.Done():
			r.timeUp()
			return
		}
	}
}

// over takes in what q came to, and reports whether that ends the race: with an
// answer, or without another node.
func (r *race) over(q *question) bool {
	q.cancel(nil)
	r.remove(q)
	r.found, r.node, r.err = merged(r.found, q.result), q.node, q.err
	if q.err == nil || detected(q.result) { // a find is final, whatever failed beside it
		if q.hedge {
			r.u.hedgesWon.Add(1)
		}
		r.leaveAll(errOvertaken)
		return true
	}
	if len(r.running) > 0 || r.moving != nil {
		return false
	}
	return r.next()
}

// next puts the object to the next node, and reports whether there is none.
func (r *race) next() (none bool) {
	if r.withheld() {
		return true
	}
	next, noSlot := r.u.acquire(r.ctx, r.ticket)
	if noSlot != nil { // nor when time is up
		return true
	}
	r.follow(next)
	return false
}

// withheld says whether the object is not given to another node, since it was the end of
// too many.
func (r *race) withheld() bool {
	var err error
	r.digest, err = r.u.withheld(r.ctx, r.object, r.digest)
	return err != nil
}

// silent reports whether the one node that is asked has not answered anything lately. One
// that answers others has only much to do, as the next node may have too.
func (r *race) silent(lately time.Duration) bool {
	r.u.mu.Lock()
	defer r.u.mu.Unlock()
	return len(r.running) == 1 && time.Since(r.running[0].node.heard) >= lately
}

// follow puts the object to one more node.
func (r *race) follow(n *node) {
	r.u.replay.Add(1)
	n.replays.Add(1)
	r.start(n)
}

// slow is called again and again once the first node has taken longer than usual.
// Whether it still answers at all shows a health check; meanwhile another node is asked
// too, within the budget of hedges.
func (r *race) slow(after time.Duration) {
	if len(r.running) != 1 {
		return
	}
	first := r.running[0]
	if !first.suspected {
		first.suspected = r.u.suspect(first.node, after)
	}
	if r.moving != nil || !r.hedges() || !r.u.budget.spend() {
		return
	}
	n := r.u.idle(r.ticket)
	if n == nil {
		r.u.budget.giveBack()
		return
	}
	r.u.hedged.Add(1)
	r.start(n)
	r.running[1].hedge = true
}

// move puts the object to another node as soon as one has a slot: the first one has
// been taken out, or is silent when half of the time is over.
func (r *race) move() {
	if len(r.running) != 1 || r.moving != nil || !r.hedges() {
		return
	}
	if !r.hasOther() {
		return
	}
	ctx, stop := context.WithCancel(r.ctx)
	moving := make(chan slot, 1)
	r.moving, r.stop = moving, stop
	go func() {
		n, err := r.u.acquire(ctx, r.ticket)
		moving <- slot{n, err}
	}()
}

// leave puts the object to another node, if there is one, since the first one has been
// taken out. It reports whether that ends the race.
func (r *race) leave() bool {
	if len(r.running) != 1 {
		return false
	}
	if !r.hedges() {
		return r.quit()
	}
	r.move()
	return false
}

// hasOther reports whether there is another node to put the object to.
func (r *race) hasOther() bool {
	r.u.mu.Lock()
	defer r.u.mu.Unlock()
	return r.u.anyUsable(r.ticket)
}

// quit is move for objects that one node at a time may have: the first one, which has
// been taken out, is called off. It reports whether that ends the race.
func (r *race) quit() bool {
	if len(r.running) != 1 || !r.hasOther() {
		return false
	}
	q := r.running[0]
	q.cancel(errTakenOut)
	if !r.u.abandon(q) {
		return r.over(<-r.answers)
	}
	r.remove(q)
	r.node, r.err = q.node, errTakenOut
	return r.next()
}

// endMove ends the wait for a slot.
func (r *race) endMove() {
	r.stop()
	r.moving, r.stop = nil, nil
}

// hedges says whether two nodes may have the object at the same time.
func (r *race) hedges() bool {
	_, acts := r.running[0].node.backend.(backends.SideEffects)
	return !r.u.cfg.NoHedge && !acts
}

// lost is closed when the one node that is asked is taken out.
func (r *race) lost() <-chan struct{} {
	if len(r.running) != 1 {
		return nil
	}
	return r.running[0].lost
}

func (r *race) remove(q *question) {
	for i, other := range r.running {
		if other == q {
			r.running = append(r.running[:i], r.running[i+1:]...)
			return
		}
	}
}

// timeUp waits a moment for backends to notice, and leaves behind those that do not.
func (r *race) timeUp() {
	patience := time.NewTimer(grace)
	defer patience.Stop()
	for len(r.running) > 0 {
		select {
		case q := <-r.answers:
			q.cancel(nil)
			r.remove(q)
			r.found, r.node, r.err = merged(r.found, q.result), q.node, q.err
			if q.err == nil || detected(q.result) {
				r.leaveAll(errOvertaken)
				return
			}
			continue
		case <-patience.C:
		}
		break
	}
	if len(r.running) > 0 {
		r.node, r.err = r.running[0].node, ended(r.ctx, errors.New("the backend does not return"))
	}
	r.leaveAll(context.Cause(r.ctx))
}

// leaveAll calls off what still runs, and does not wait for it. What has been found
// meanwhile counts.
func (r *race) leaveAll(why error) {
	for _, q := range r.running {
		q.cancel(why)
		if r.u.abandon(q) {
			continue
		}
		if late := <-r.answers; detected(late.result) {
			r.found = merged(r.found, late.result)
		}
	}
	r.running = nil
	if r.moving == nil {
		return
	}
	moving, t := r.moving, r.ticket
	r.endMove()
	go func() {
		if s := <-moving; s.node != nil {
			r.u.handBack(s.node, t.grant)
		}
	}()
}
