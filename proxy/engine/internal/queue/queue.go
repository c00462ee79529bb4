// Package queue is the queue for the slots of nodes. Clients take turns.
package queue

import (
	"container/list"
	"slices"
	"time"

	"polyclam/proxy/client"
)

// Entry is the part of a ticket that the queue needs. A ticket embeds it. While the
// ticket is queued, only the queue may change it.
type Entry[N comparable] struct {
	Client client.Key // zero for a test object
	Only   N          // for a test object: its node; zero for a scan
	// Patient is for a test object that can wait: older scans come first.
	Patient bool
	Tried   []N // nodes that must not be used again

	number uint64        // see Queue.Number
	queued time.Time     // since when it waits
	list   *list.List    // of the queue; nil: not queued
	place  *list.Element // in list
	group  any           // *group; nil for a test object
}

// IsTest reports whether the ticket is for a test object.
func (e *Entry[N]) IsTest() bool { var none N; return e.Only != none }

// IsQueued reports whether the ticket is in a queue.
func (e *Entry[N]) IsQueued() bool { return e.place != nil }

// HasTried reports whether n must not be used again.
func (e *Entry[N]) HasTried(n N) bool { return slices.Contains(e.Tried, n) }

func (e *Entry[N]) entry() *Entry[N] { return e }

// Ticket is what waits in a queue: a pointer to a struct that embeds Entry.
type Ticket[N comparable] interface {
	comparable
	entry() *Entry[N]
}

// Queue holds tickets. Clients take turns, and each client's tickets are served in the
// order in which they came. Test objects that cannot wait come before all scans. A client
// whose oldest ticket has waited for long gets its newest served first, see line.next. The
// zero value is an empty queue. It is not safe for concurrent use.
type Queue[N comparable, T Ticket[N]] struct {
	newest  uint64
	tests   list.List // of T: test objects
	patient list.List // of T: test objects that can wait
	turns   list.List // of *line, the next one to serve first
	lines   map[client.Key]*line[N, T]
	scans   int // tickets in all lines
}

// line holds the tickets of one client.
type line[N comparable, T Ticket[N]] struct {
	client client.Key
	groups []*group[N, T]
	place  *list.Element // in Queue.turns
}

// group holds the tickets of a line that have tried the same nodes, oldest first. They
// may all use the same nodes, so it is enough to look at the first.
type group[N comparable, T Ticket[N]] struct {
	line    *line[N, T]
	tried   []N
	tickets list.List // of T
}

func (g *group[N, T]) first() T { return g.tickets.Front().Value.(T) }
func (g *group[N, T]) last() T  { return g.tickets.Back().Value.(T) }

// Scans is the number of scans in the queue.
func (q *Queue[N, T]) Scans() int { return q.scans }

// Number gives t its permanent place among its client's tickets: a scan whose node has
// failed is still served before newer ones.
func (q *Queue[N, T]) Number(t T) {
	if e := t.entry(); e.number == 0 {
		q.newest++
		e.number = q.newest
	}
}

// Push adds t.
func (q *Queue[N, T]) Push(t T) {
	q.Number(t)
	e := t.entry()
	if e.queued.IsZero() {
		e.queued = time.Now()
	}
	switch {
	case e.IsTest() && e.Patient:
		e.list = &q.patient
	case e.IsTest():
		e.list = &q.tests
	default:
		g := q.groupOf(e)
		e.group, e.list = g, &g.tickets
		q.scans++
	}
	after := e.list.Back()
	for after != nil && after.Value.(T).entry().number > e.number {
		after = after.Prev()
	}
	if after == nil {
		e.place = e.list.PushFront(t)
	} else {
		e.place = e.list.InsertAfter(t, after)
	}
}

// groupOf returns the group that e belongs to, and creates it if needed.
func (q *Queue[N, T]) groupOf(e *Entry[N]) *group[N, T] {
	l := q.lines[e.Client]
	if l == nil {
		l = &line[N, T]{client: e.Client}
		l.place = q.turns.PushBack(l)
		if q.lines == nil {
			q.lines = map[client.Key]*line[N, T]{}
		}
		q.lines[e.Client] = l
	}
	for _, g := range l.groups {
		if sameNodes(g.tried, e.Tried) {
			return g
		}
	}
	g := &group[N, T]{line: l, tried: slices.Clone(e.Tried)}
	l.groups = append(l.groups, g)
	return g
}

// sameNodes compares two lists without duplicates.
func sameNodes[N comparable](a, b []N) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(n N) bool { return !slices.Contains(b, n) })
}

// Remove takes t out.
func (q *Queue[N, T]) Remove(t T) { q.prune(q.detach(t)) }

// Exclude marks n as tried by t. The client does not lose its turn.
func (q *Queue[N, T]) Exclude(t T, n N) {
	before := q.detach(t)
	e := t.entry()
	e.Tried = append(e.Tried, n)
	q.Push(t)
	q.prune(before)
}

// detach takes t out and returns its group, which may be empty now; nil for a test
// object.
func (q *Queue[N, T]) detach(t T) *group[N, T] {
	e := t.entry()
	e.list.Remove(e.place)
	g, isScan := e.group.(*group[N, T])
	e.list, e.place, e.group = nil, nil, nil
	if isScan {
		q.scans--
	}
	return g
}

// prune removes g, and its line, if they are empty.
func (q *Queue[N, T]) prune(g *group[N, T]) {
	if g == nil || g.tickets.Len() > 0 {
		return
	}
	l := g.line
	l.groups = slices.DeleteFunc(l.groups, func(other *group[N, T]) bool { return other == g })
	if len(l.groups) == 0 {
		q.turns.Remove(l.place)
		delete(q.lines, l.client)
	}
}

// Heads returns all test objects, and the first ticket of each group.
func (q *Queue[N, T]) Heads() []T {
	var heads []T
	for _, tests := range []*list.List{&q.tests, &q.patient} {
		for el := tests.Front(); el != nil; el = el.Next() {
			heads = append(heads, el.Value.(T))
		}
	}
	for el := q.turns.Front(); el != nil; el = el.Next() {
		for _, g := range el.Value.(*line[N, T]).groups {
			heads = append(heads, g.first())
		}
	}
	return heads
}

// Alike returns the tickets that may use the same nodes as t, including t.
func (q *Queue[N, T]) Alike(t T) []T {
	g, isScan := t.entry().group.(*group[N, T])
	if !isScan {
		return []T{t}
	}
	var all []T
	for el := g.tickets.Front(); el != nil; el = el.Next() {
		all = append(all, el.Value.(T))
	}
	return all
}
