package engine

import (
	"errors"
	"time"

	"polyclam/backends"
)

// inlineScans are the scans whose backends run on the goroutines of their callers: most
// scans end soon, and then need neither another goroutine nor a timer. A scan that is still
// running when it is slow, or whose node is taken out, is handed over: another goroutine
// runs its race from then on. One timer serves all scans of a pool. pool.mu guards it.
type inlineScans struct {
	first *question // the newest
	timer *time.Timer
	at    time.Time // when the timer fires; zero: never
}

// add adds a question that is handed over at q.due. fire is called by the timer.
func (s *inlineScans) add(q *question, fire func()) {
	q.inline, q.after = true, s.first
	if s.first != nil {
		s.first.before = q
	}
	s.first = q
	if s.at.IsZero() || q.due.Before(s.at) {
		s.arm(q.due, fire)
	}
}

func (s *inlineScans) arm(at time.Time, fire func()) {
	s.at = at
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Until(at), fire)
		return
	}
	s.timer.Reset(time.Until(at))
}

// remove removes q, if it is there. The timer is not stopped: when it fires, it finds that
// there is nothing to do.
func (s *inlineScans) remove(q *question) {
	if !q.inline {
		return
	}
	if q.before != nil {
		q.before.after = q.after
	} else {
		s.first = q.after
	}
	if q.after != nil {
		q.after.before = q.before
	}
	q.inline, q.before, q.after = false, nil, nil
}

// handOverSlow hands over the scans that are due.
func (p *pool) handOverSlow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, s := time.Now(), &p.inline
	s.at = time.Time{}
	next := time.Time{}
	for q := s.first; q != nil; {
		after := q.after
		switch {
		case !q.due.After(now):
			p.handOver(q, true)
		case next.IsZero() || q.due.Before(next):
			next = q.due
		}
		q = after
	}
	if !next.IsZero() {
		s.arm(next, p.handOverSlow)
	}
}

// handOverLost hands over the scans on n, which has been taken out. The caller holds mu.
func (p *pool) handOverLost(n *node) {
	for q := p.inline.first; q != nil; {
		after := q.after
		if q.node == n {
			p.handOver(q, false)
		}
		q = after
	}
}

// handOver lets another goroutine run the race of q. The caller holds mu.
func (p *pool) handOver(q *question, slow bool) {
	p.inline.remove(q)
	r := q.race
	r.answers = make(chan *question, 2)
	q.answers = r.answers
	r.over = make(chan struct{})
	go r.follow(slow)
}

// follow runs a race that was handed over.
func (r *race) follow(slow bool) {
	defer close(r.over)
	defer func() {
		if v := recover(); v != nil {
			r.found, r.err = backends.Result{}, r.e.panicked(addressOf(r.node), v)
		}
	}()
	r.run(slow)
}

// isInline reports whether the backend of n may run on the goroutine of the scan: it
// returns soon after its context ends, even if its engine hangs, and so do reads of the
// object.
func (r *race) isInline(n *node) bool {
	d, ok := n.backend.(backends.Deadlined)
	return ok && !r.all && backends.IsSealed(r.object) && d.ReturnsInTime()
}

// runInline is start and run with the backend on this goroutine.
func (r *race) runInline(n *node) {
	q := r.newQuestion(n)
	q.race = r
	r.e.begin(q)
	r.e.work(q)
	switch {
	case r.over != nil: // no longer inline: only handOver sets it
		<-r.over
	case r.ctx.Err() != nil:
		r.collect(q)
	case !r.ended(q):
		r.run(false)
	}
}

// errNoAnswer is the error of a backend that ended its goroutine.
var errNoAnswer = errors.New("backend ended without an answer")
