package spool

import (
	"container/list"

	"polyclam/proxy/client"
)

const (
	// turnsPart: 1/turnsPart of the quota is kept for uploads that have their turn, see the
	// package comment.
	turnsPart = 4
	// smallPart: 1/smallPart of the quota is kept for small uploads.
	smallPart = 16
	// smallUpload is the largest size of a small upload.
	smallUpload = 1 << 20

	// idleAccounts is how many unused accounts are kept: most clients come back.
	idleAccounts = 16
)

// usage is what uploads use.
type usage struct {
	held       int64 // all bytes except those of the small part
	unfinished int64 // of held
	small      int64 // in the small part
	turns      int64 // number of objects that have, or had, their turn
}

// An account is what one client uses.
type account struct {
	key   client.Key
	users int // its objects and uploads
	usage
	small, large list.List     // of *waiter, in the order they came
	place        *list.Element // in the ring
}

// charge is how the bytes of one object are counted. quota.mu guards it, but the writer may
// read size.
type charge struct {
	account  *account
	size     int64 // all bytes
	small    int64 // of size, in the small part; the rest is held
	turn     bool  // until the object is released
	complete bool
}

// admit counts n bytes for o if that is allowed now. The caller holds q.mu.
func (q *quota) admit(o *Object, n int64) bool {
	ch := &o.charge
	switch {
	case q.total == 0:
	case ch.turn:
		if !q.fits(ch, n) {
			return false
		}
	case !q.blocked && q.fits(ch, n) && q.within(ch, n):
	case q.fitsSmall(ch, n):
		ch.size += n
		ch.small += n
		q.add(ch.account, usage{small: n})
		return true
	case !q.blocked && q.fits(ch, n) && q.mayHaveTurn(ch):
		q.add(ch.account, usage{turns: 1, unfinished: ch.small - ch.size})
		ch.turn = true
	default:
		return false
	}
	more := usage{held: ch.moves(n), small: n - ch.moves(n)}
	if !ch.turn {
		more.unfinished = more.held
	}
	ch.size += n
	ch.small += more.small
	q.add(ch.account, more)
	return true
}

// moves is how many bytes become held when the object gets n more. If the object is then no
// longer small, they include those in the small part.
func (ch *charge) moves(n int64) int64 {
	if ch.size+n > smallUpload {
		return n + ch.small
	}
	return n
}

// fits reports whether there is room for n more bytes. Only an object that is too large for
// the rest of the quota may use the small part as well.
func (q *quota) fits(ch *charge, n int64) bool {
	if ch.size+n > q.total-q.smallRoom() {
		return q.all.held+q.all.small+n <= q.total
	}
	return q.all.held+ch.moves(n) <= q.total-q.smallRoom()
}

// within reports whether the object may hold n more bytes without a turn: within its
// client's share of the quota, and of what unfinished uploads may take.
func (q *quota) within(ch *charge, n int64) bool {
	a, room := ch.account, q.total-q.smallRoom()
	n = ch.moves(n)
	return q.shared(a, a.held, q.all.held, n, room) &&
		q.shared(a, a.unfinished, q.all.unfinished, n, room-q.turnsRoom())
}

func (q *quota) fitsSmall(ch *charge, n int64) bool {
	a := ch.account
	return ch.size+n <= smallUpload && q.all.held+q.all.small+n <= q.total &&
		q.shared(a, a.usage.small, q.all.small, n, q.smallRoom())
}

// mayHaveTurn reports whether the upload may have its turn. A client's first one may exceed
// the share of the quota, which earlier uploads may have used up.
func (q *quota) mayHaveTurn(ch *charge) bool {
	a := ch.account
	return q.shared(a, a.turns, q.all.turns, 1, q.turns()) &&
		(a.turns == 0 || q.shared(a, a.held, q.all.held, q.turn, q.total-q.smallRoom()))
}

func (q *quota) shared(a *account, held, all, n, total int64) bool {
	share := q.share
	if a.key.IsZero() {
		share = 0
	}
	return client.Within(held, all-held, n, total, share)
}

func (q *quota) smallRoom() int64 { return q.total / smallPart }

// turnsRoom is the part of the quota for uploads that have their turn: enough for one of the
// largest, if that leaves something for the others.
func (q *quota) turnsRoom() int64 {
	return max(q.total/turnsPart, min(q.turn, q.total*3/4))
}

// turns is how many uploads may have their turn at the same time.
func (q *quota) turns() int64 {
	if q.turn <= 0 {
		return 1
	}
	return max(1, q.turnsRoom()/q.turn)
}

func (q *quota) add(a *account, u usage) {
	for _, to := range []*usage{&q.all, &a.usage} {
		to.held += u.held
		to.unfinished += u.unfinished
		to.small += u.small
		to.turns += u.turns
	}
}
