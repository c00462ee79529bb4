package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"polyclam/proxy/client"
)

// queueModel is what a queue has to do, done slowly: the tickets in a slice, and for
// each client how often any other was served while it could have been.
type queueModel struct {
	tickets []*ticket
	since   map[client.Key]map[client.Key]int
}

func (m *queueModel) add(t *ticket) { m.tickets = append(m.tickets, t) }

func (m *queueModel) remove(t *ticket) {
	m.tickets = slices.DeleteFunc(m.tickets, func(other *ticket) bool { return other == t })
	same := func(other *ticket) bool { return other.only == nil && other.client == t.client }
	if !slices.ContainsFunc(m.tickets, same) {
		delete(m.since, t.client) // it comes after the others when it comes again
	}
}

// served checks that t was the right one among those that may be served.
func (m *queueModel) served(t *testing.T, got *ticket, may func(*ticket) bool) {
	t.Helper()
	var could []*ticket
	for _, other := range m.tickets {
		if may(other) {
			could = append(could, other)
		}
	}
	if got == nil {
		if len(could) > 0 {
			t.Fatalf("nobody is served, %d could be", len(could))
		}
		return
	}
	if !slices.Contains(could, got) {
		t.Fatal("a ticket is served that may not be, or is not in the queue")
	}
	for _, other := range could {
		switch {
		case other == got, other.patient:
		case other.only != nil && (got.only == nil || got.patient):
			t.Fatal("a test object waits for a scan")
		case other.only != nil:
		case got.patient && other.number < got.number:
			t.Fatal("a patient test object does not wait for an older scan")
		case got.only == nil && other.client == got.client && other.number < got.number:
			t.Fatal("a ticket overtakes an older one of its client")
		}
	}
	if got.only == nil {
		oldest := func(scan bool) uint64 {
			number := ^uint64(0)
			for _, other := range could {
				if (other.only == nil) == scan {
					number = min(number, other.number)
				}
			}
			return number
		}
		if oldest(false) < oldest(true) {
			t.Fatal("a patient test object waits for newer scans")
		}
	}
	m.turn(t, got, could)
	m.remove(got)
}

// turn checks that no client is served twice while another one could be.
func (m *queueModel) turn(t *testing.T, got *ticket, could []*ticket) {
	t.Helper()
	if got.only != nil {
		return
	}
	waiting := map[client.Key]bool{}
	for _, other := range could {
		if other.only == nil {
			waiting[other.client] = true
		}
	}
	for k := range m.since {
		if !waiting[k] {
			delete(m.since, k)
		}
	}
	delete(m.since, got.client)
	for k := range waiting {
		if k == got.client {
			continue
		}
		if m.since[k] == nil {
			m.since[k] = map[client.Key]int{}
		}
		if m.since[k][got.client]++; m.since[k][got.client] > 1 {
			t.Fatalf("%v is served twice while %v waits", got.client, k)
		}
	}
}

// TestQueueProperties tries random tickets, vanishing ones, nodes that become unusable,
// and clients that may not have more.
func TestQueueProperties(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(9, seed))
		nodes := []*node{{}, {}, {}}
		var q queue
		m := queueModel{since: map[client.Key]map[client.Key]int{}}
		for range 400 {
			switch r.IntN(10) {
			case 0, 1, 2, 3:
				ticket := newTicket()
				switch r.IntN(12) {
				case 0:
					ticket.only = nodes[r.IntN(3)]
				case 1:
					ticket.only, ticket.patient = nodes[r.IntN(3)], true
				default:
					ticket.client = client.User(uint32(r.IntN(5)))
					for _, n := range nodes {
						if r.IntN(5) == 0 {
							ticket.tried = append(ticket.tried, n)
						}
					}
				}
				q.push(ticket)
				m.add(ticket)
			case 4:
				if len(m.tickets) > 0 {
					ticket := m.tickets[r.IntN(len(m.tickets))]
					q.remove(ticket)
					m.remove(ticket)
				}
			case 5:
				if len(m.tickets) > 0 {
					ticket, n := m.tickets[r.IntN(len(m.tickets))], nodes[r.IntN(3)]
					if ticket.only == nil && !slices.Contains(ticket.tried, n) {
						q.exclude(ticket, n)
					}
				}
			default:
				n := nodes[r.IntN(3)]
				full := client.User(uint32(r.IntN(8)))
				may := func(t *ticket) bool {
					if t.only != nil {
						return t.only == n
					}
					return t.client != full && !slices.Contains(t.tried, n)
				}
				m.served(t, q.next(may), may)
			}
			wantQueued(t, &q, len(m.tickets))
		}
		for len(m.tickets) > 0 {
			m.served(t, q.next(func(*ticket) bool { return true }), func(*ticket) bool { return true })
		}
		if len(q.heads()) != 0 || len(q.lines) != 0 || q.scans != 0 || q.turns.Len() != 0 {
			t.Fatalf("seed %d: something is left in the empty queue", seed)
		}
	}
}

func wantQueued(t *testing.T, q *queue, want int) {
	t.Helper()
	got := 0
	for _, head := range q.heads() {
		got += len(q.alike(head))
	}
	if got != want {
		t.Fatalf("%d queued, want %d", got, want)
	}
}

// TestQueueWork checks that a hand-over looks at one ticket of each group, however many
// wait that cannot use the node.
func TestQueueWork(t *testing.T) {
	bad, good := &node{}, &node{}
	var q queue
	for i := range 10_000 {
		ticket := newTicket()
		ticket.client = client.User(uint32(i % 3))
		ticket.tried = []*node{bad}
		q.push(ticket)
	}
	looked := 0
	may := func(n *node) func(*ticket) bool {
		return func(t *ticket) bool { looked++; return !slices.Contains(t.tried, n) }
	}
	if q.next(may(bad)) != nil || looked != 3 {
		t.Errorf("looked at %d tickets for a node that none may use", looked)
	}
	looked = 0
	if q.next(may(good)) == nil || looked != 1 {
		t.Errorf("looked at %d tickets", looked)
	}
}
