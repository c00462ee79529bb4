package spool

import (
	"container/list"

	"polyclam/proxy/client"
)

const (
	// turnsPart is the part of the quota, 1/turnsPart, that is kept for uploads
	// whose turn it is, see the package comment.
	turnsPart = 4
	// smallPart is the part that is kept for small uploads.
	smallPart = 16
	// smallUpload is how long an upload may be to count as small.
	smallUpload = 1 << 20

	// idleAccounts is how many accounts are kept that count nothing: most clients
	// come back.
	idleAccounts = 16
)

// usage is what uploads take.
type usage struct {
	held       int64 // all bytes but those of the small part
	unfinished int64 // of held
	small      int64 // in the small part
	turns      int64 // number of objects that have their turn, or had it
}

// An account is what one client has.
type account struct {
	key   client.Key
	users int // objects and uploads that count here
	usage
	small, large list.List     // of *waiter, in the order they came
	place        *list.Element // in the ring
}

// charge is how the bytes of one object are counted. It belongs to the quota, except
// that the writer may read size.
type charge struct {
	account  *account
	size     int64 // all bytes
	small    int64 // of size, in the small part; the rest is held
	turn     bool  // until the object is released
	complete bool
}

// admit counts n bytes for c if that is allowed now. The caller holds q.mu.
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
	u := usage{held: ch.moves(n), small: n - ch.moves(n)}
	if !ch.turn {
		u.unfinished = u.held
	}
	ch.size += n
	ch.small += u.small
	q.add(ch.account, u)
	return true
}

// moves is what becomes held when the object gets n more bytes: if it is not small any
// more, that of the small part too.
func (ch *charge) moves(n int64) int64 {
	if ch.size+n > smallUpload {
		return n + ch.small
	}
	return n
}

// fits says whether there is room for n more bytes to be held. The small part is left
// alone, except by an object that does not fit in beside it.
func (q *quota) fits(ch *charge, n int64) bool {
	if ch.size+n > q.total-q.smallRoom() {
		return q.all.held+q.all.small+n <= q.total
	}
	return q.all.held+ch.moves(n) <= q.total-q.smallRoom()
}

// within says whether the object may hold n more bytes without having its turn: within
// its client's share of the quota, and of what unfinished uploads may take.
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

// mayHaveTurn says whether the upload may have its turn. The first one of a client may
// go beyond its share of the quota: those before it may have used that up.
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

// turnsRoom is what is kept for uploads that have their turn: enough for one of the
// largest, as far as that leaves something for the others.
func (q *quota) turnsRoom() int64 {
	return max(q.total/turnsPart, min(q.turn, q.total*3/4))
}

// turns is how many uploads may have their turn together.
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
