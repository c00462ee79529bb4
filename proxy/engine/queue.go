package engine

import (
	"container/list"
	"slices"
	"time"

	"polyclam/proxy/client"
)

// queue holds the tickets that wait for a slot or a health check. Clients take turns,
// and each client's tickets are served in the order in which they came. Test objects
// that cannot wait come before all scans. A client that has waited for long has its newest
// served first, see line.next. Its zero value is empty; pool.mu guards it.
type queue struct {
	newest  uint64
	checks  list.List // of *ticket: test objects, each for one node
	patient list.List // of *ticket: test objects that come after the scans that are older
	turns   list.List // of *line, the next one to serve first
	lines   map[client.Key]*line
	scans   int // tickets in all lines
}

// line holds the tickets of one client.
type line struct {
	client client.Key
	groups []*group
	place  *list.Element // in queue.turns
}

// group holds the tickets of a line that have tried the same nodes, oldest first. They
// all may use the same nodes, so it is enough to look at the first.
type group struct {
	line    *line
	tried   []*node
	tickets list.List // of *ticket
}

// number gives t its place among the tickets of its client, once and for all: a scan
// whose node has failed is still served before newer ones.
func (q *queue) number(t *ticket) {
	if t.number == 0 {
		q.newest++
		t.number = q.newest
	}
}

// push adds t.
func (q *queue) push(t *ticket) {
	q.number(t)
	if t.queued.IsZero() {
		t.queued = time.Now()
	}
	switch {
	case t.only != nil && t.patient:
		t.list = &q.patient
	case t.only != nil:
		t.list = &q.checks
	default:
		t.group = q.group(t)
		t.list = &t.group.tickets
		q.scans++
	}
	after := t.list.Back()
	for after != nil && after.Value.(*ticket).number > t.number {
		after = after.Prev()
	}
	if after == nil {
		t.place = t.list.PushFront(t)
	} else {
		t.place = t.list.InsertAfter(t, after)
	}
}

// group returns the group that t belongs to, which may be new.
func (q *queue) group(t *ticket) *group {
	l := q.lines[t.client]
	if l == nil {
		l = &line{client: t.client}
		l.place = q.turns.PushBack(l)
		if q.lines == nil {
			q.lines = map[client.Key]*line{}
		}
		q.lines[t.client] = l
	}
	for _, g := range l.groups {
		if sameNodes(g.tried, t.tried) {
			return g
		}
	}
	g := &group{line: l, tried: slices.Clone(t.tried)}
	l.groups = append(l.groups, g)
	return g
}

// sameNodes compares two lists in which no node is twice.
func sameNodes(a, b []*node) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(n *node) bool { return !slices.Contains(b, n) })
}

// remove takes t out.
func (q *queue) remove(t *ticket) { q.tidy(q.detach(t)) }

// exclude makes n a node that t has tried. Its client does not lose its turn.
func (q *queue) exclude(t *ticket, n *node) {
	before := q.detach(t)
	t.tried = append(t.tried, n)
	q.push(t)
	q.tidy(before)
}

// detach takes t out and returns the group in which it was, which may be empty now; nil
// for a test object.
func (q *queue) detach(t *ticket) *group {
	t.list.Remove(t.place)
	g := t.group
	t.list, t.place, t.group = nil, nil, nil
	if g != nil {
		q.scans--
	}
	return g
}

// tidy forgets g, and its line, if there is nothing left in it.
func (q *queue) tidy(g *group) {
	if g == nil || g.tickets.Len() > 0 {
		return
	}
	l := g.line
	l.groups = slices.DeleteFunc(l.groups, func(other *group) bool { return other == g })
	if len(l.groups) == 0 {
		q.turns.Remove(l.place)
		delete(q.lines, l.client)
	}
}

// next takes out the ticket to serve next among those that may be served, nil if
// there is none. It asks may for one ticket of each group at most.
func (q *queue) next(may func(*ticket) bool) *ticket {
	t := q.pick(may)
	if t == nil {
		return nil
	}
	if t.group != nil {
		q.turns.MoveToBack(t.group.line.place)
	}
	q.remove(t)
	return t
}

func (q *queue) pick(may func(*ticket) bool) *ticket {
	if t := oldest(&q.checks, may); t != nil {
		return t
	}
	patient, now := oldest(&q.patient, may), time.Now()
	var turn *ticket
	for e := q.turns.Front(); e != nil; e = e.Next() {
		t := e.Value.(*line).next(may, now)
		if t == nil {
			continue
		}
		if turn == nil {
			turn = t
		}
		if patient == nil || t.number < patient.number {
			return turn
		}
	}
	if patient != nil {
		return patient
	}
	return turn
}

// oldest returns the first ticket of the list that may be served.
func oldest(tickets *list.List, may func(*ticket) bool) *ticket {
	for e := tickets.Front(); e != nil; e = e.Next() {
		if t := e.Value.(*ticket); may(t) {
			return t
		}
	}
	return nil
}

// crowdedAfter is how long a client's oldest ticket has waited when its newest is served
// first. In order of arrival, a client that asks for more than the engine can do waits
// until its patience is over for each of its scans, and all that is scanned is of no use
// to anybody. The oldest are served when there is less to do.
const crowdedAfter = 5 * time.Second

// next returns the line's next ticket that may be served: the oldest, or the newest where
// that has waited for long.
func (l *line) next(may func(*ticket) bool, now time.Time) *ticket {
	var first, last *ticket
	for _, g := range l.groups {
		t, u := g.tickets.Front().Value.(*ticket), g.tickets.Back().Value.(*ticket)
		if first != nil && t.number > first.number && u.number < last.number || !may(t) {
			continue
		}
		if first == nil || t.number < first.number {
			first = t
		}
		if last == nil || u.number > last.number {
			last = u
		}
	}
	if first != nil && now.Sub(first.queued) > crowdedAfter {
		return last
	}
	return first
}

// heads returns all test objects, and one ticket of each group.
func (q *queue) heads() []*ticket {
	var heads []*ticket
	for _, tests := range []*list.List{&q.checks, &q.patient} {
		for e := tests.Front(); e != nil; e = e.Next() {
			heads = append(heads, e.Value.(*ticket))
		}
	}
	for e := q.turns.Front(); e != nil; e = e.Next() {
		for _, g := range e.Value.(*line).groups {
			heads = append(heads, g.tickets.Front().Value.(*ticket))
		}
	}
	return heads
}

// alike returns the tickets that may use the same nodes as t, which is one of them.
func (q *queue) alike(t *ticket) []*ticket {
	if t.group == nil {
		return []*ticket{t}
	}
	var all []*ticket
	for e := t.group.tickets.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*ticket))
	}
	return all
}
