package engine

import (
	"context"
	"errors"
	"time"

	"polyclam/backends"
)

// limit is how many of a node's slots are used: additive increase, multiplicative
// decrease, so that several daemons that share an engine settle without talking to
// each other. Its zero value is no limit. pool.mu guards it.
type limit struct {
	now   int // 0: max_scans
	good  int // answers in time since now was last changed
	round int // counts the cuts
}

// slots is the limit, where max_scans is most.
func (l *limit) slots(most int) int {
	if l.now == 0 || l.now > most {
		return most
	}
	return l.now
}

// lower halves the limit after a scan that began in round was not answered in time.
// The scans that were under way at the last cut do not count again.
func (l *limit) lower(most, round int) {
	if round != l.round {
		return
	}
	l.round++
	l.good = 0
	l.now = max(1, l.slots(most)/2)
}

// raise counts an answer in time. As many of them as the limit allow one slot more.
func (l *limit) raise(most int) {
	slots := l.slots(most)
	if slots == most {
		l.now, l.good = 0, 0
		return
	}
	if l.good++; l.good >= slots {
		l.now, l.good = slots+1, 0
	}
}

// adapt changes the node's limit after what has become of q, which has had r and err
// as its answer. An answer that took more than half of the timeout raises nothing:
// with another scan beside it, it might have been too late. The caller has mu.
func (u *pool) adapt(q *question, r backends.Result, err error) {
	most, n := u.config().MaxScans, q.node
	switch {
	case q.canary:
	case err == nil, detected(r):
		if time.Since(q.began) < u.config().Timeout/2 {
			n.limit.raise(most)
		}
	case u.overdue(q), q.ctx.Err() == nil && (errors.Is(err, backends.ErrNoReply) || backends.Busy(err)):
		// Few engines say that they have too much to do. Others are silent, or close
		// the connection: a savdid whose threads are all busy, a clamd without room for
		// its files.
		n.limit.lower(most, q.round)
	}
}

// overdue reports whether the node of q has not answered in a time that should have
// been enough. A scan that came to it with little time left says nothing about it.
func (u *pool) overdue(q *question) bool {
	return q.ctx.Err() == context.DeadlineExceeded && time.Since(q.began) >= u.full(q)/4
}
