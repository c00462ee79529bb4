package queue

import (
	"container/list"
	"time"
)

// crowdedAfter is how long a client's oldest ticket waits before its newest is served
// first. In order of arrival, every scan of a client that overloads the engine would wait
// until the client gives up, and no result would be of any use. The oldest tickets are
// served when the load drops.
const crowdedAfter = 5 * time.Second

// Next removes and returns the next ticket among those that may be served; false if there
// is none. It calls may for one ticket of each group at most.
func (q *Queue[N, T]) Next(may func(T) bool) (next T, found bool) {
	t, found := q.pick(may)
	if !found {
		return next, false
	}
	if g, isScan := t.entry().group.(*group[N, T]); isScan {
		q.turns.MoveToBack(g.line.place)
	}
	q.Remove(t)
	return t, true
}

func (q *Queue[N, T]) pick(may func(T) bool) (next T, found bool) {
	if t, ok := oldest(&q.tests, may); ok {
		return t, true
	}
	patient, waits := oldest(&q.patient, may)
	now := time.Now()
	for el := q.turns.Front(); el != nil; el = el.Next() {
		t, ok := el.Value.(*line[N, T]).next(may, now)
		if !ok {
			continue
		}
		if !found {
			next, found = t, true
		}
		if !waits || t.entry().number < patient.entry().number {
			return next, true
		}
	}
	if waits {
		return patient, true
	}
	return next, found
}

// oldest returns the first ticket of the list that may be served.
func oldest[T any](tickets *list.List, may func(T) bool) (first T, found bool) {
	for el := tickets.Front(); el != nil; el = el.Next() {
		if t := el.Value.(T); may(t) {
			return t, true
		}
	}
	return first, false
}

// next returns the line's next ticket that may be served: the oldest, or the newest if the
// oldest has waited longer than crowdedAfter.
func (l *line[N, T]) next(may func(T) bool, now time.Time) (next T, found bool) {
	var first, last T
	for _, g := range l.groups {
		a, b := g.first(), g.last()
		if found && a.entry().number > first.entry().number && b.entry().number < last.entry().number || !may(a) {
			continue
		}
		if !found || a.entry().number < first.entry().number {
			first = a
		}
		if !found || b.entry().number > last.entry().number {
			last = b
		}
		found = true
	}
	if found && now.Sub(first.entry().queued) > crowdedAfter {
		return last, true
	}
	return first, found
}
