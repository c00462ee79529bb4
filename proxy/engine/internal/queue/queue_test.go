package queue

import (
	"math/rand/v2"
	"slices"
	"testing"

	"polyclam/proxy/client"
)

type node struct{ _ int } // not empty, so that addresses are distinct

type ticket struct{ Entry[*node] }

// queueModel is a slow queue: the tickets in a slice, and for each client how often any
// other was served while it could have been.
type queueModel struct {
	tickets []*ticket
	since   map[client.Key]map[client.Key]int
}

func (m *queueModel) add(t *ticket) { m.tickets = append(m.tickets, t) }

func (m *queueModel) remove(t *ticket) {
	m.tickets = slices.DeleteFunc(m.tickets, func(other *ticket) bool { return other == t })
	same := func(other *ticket) bool { return other.Only == nil && other.Client == t.Client }
	if !slices.ContainsFunc(m.tickets, same) {
		delete(m.since, t.Client) // if it comes again, it comes after the others
	}
}

// served checks that got was the right one among those that may be served.
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
			t.Fatalf("no ticket is served, %d could be", len(could))
		}
		return
	}
	if !slices.Contains(could, got) {
		t.Fatal("the ticket served may not be, or is not in the queue")
	}
	for _, other := range could {
		switch {
		case other == got, other.Patient:
		case other.Only != nil && (got.Only == nil || got.Patient):
			t.Fatal("a test object waits for a scan")
		case other.Only != nil:
		case got.Patient && other.number < got.number:
			t.Fatal("a patient test object does not wait for an older scan")
		case got.Only == nil && other.Client == got.Client && other.number < got.number:
			t.Fatal("a ticket overtakes an older one of its client")
		}
	}
	if got.Only == nil {
		oldest := func(scan bool) uint64 {
			number := ^uint64(0)
			for _, other := range could {
				if (other.Only == nil) == scan {
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
	if got.Only != nil {
		return
	}
	waiting := map[client.Key]bool{}
	for _, other := range could {
		if other.Only == nil {
			waiting[other.Client] = true
		}
	}
	for k := range m.since {
		if !waiting[k] {
			delete(m.since, k)
		}
	}
	delete(m.since, got.Client)
	for k := range waiting {
		if k == got.Client {
			continue
		}
		if m.since[k] == nil {
			m.since[k] = map[client.Key]int{}
		}
		if m.since[k][got.Client]++; m.since[k][got.Client] > 1 {
			t.Fatalf("%v is served twice while %v waits", got.Client, k)
		}
	}
}

func next(q *Queue[*node, *ticket], may func(*ticket) bool) *ticket {
	t, _ := q.Next(may)
	return t
}

// TestQueueProperties checks random tickets against the model: some vanish, nodes become
// unusable, and clients have no more slots.
func TestQueueProperties(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(9, seed))
		nodes := []*node{{}, {}, {}}
		var q Queue[*node, *ticket]
		m := queueModel{since: map[client.Key]map[client.Key]int{}}
		for range 400 {
			switch r.IntN(10) {
			case 0, 1, 2, 3:
				tk := new(ticket)
				switch r.IntN(12) {
				case 0:
					tk.Only = nodes[r.IntN(3)]
				case 1:
					tk.Only, tk.Patient = nodes[r.IntN(3)], true
				default:
					tk.Client = client.User(uint32(r.IntN(5)))
					for _, n := range nodes {
						if r.IntN(5) == 0 {
							tk.Tried = append(tk.Tried, n)
						}
					}
				}
				q.Push(tk)
				m.add(tk)
			case 4:
				if len(m.tickets) > 0 {
					tk := m.tickets[r.IntN(len(m.tickets))]
					q.Remove(tk)
					m.remove(tk)
				}
			case 5:
				if len(m.tickets) > 0 {
					tk, n := m.tickets[r.IntN(len(m.tickets))], nodes[r.IntN(3)]
					if tk.Only == nil && !tk.HasTried(n) {
						q.Exclude(tk, n)
					}
				}
			default:
				n := nodes[r.IntN(3)]
				full := client.User(uint32(r.IntN(8)))
				may := func(t *ticket) bool {
					if t.Only != nil {
						return t.Only == n
					}
					return t.Client != full && !t.HasTried(n)
				}
				m.served(t, next(&q, may), may)
			}
			wantQueued(t, &q, len(m.tickets))
		}
		for len(m.tickets) > 0 {
			m.served(t, next(&q, func(*ticket) bool { return true }), func(*ticket) bool { return true })
		}
		if len(q.Heads()) != 0 || len(q.lines) != 0 || q.scans != 0 || q.turns.Len() != 0 {
			t.Fatalf("seed %d: the empty queue is not empty", seed)
		}
	}
}

func wantQueued(t *testing.T, q *Queue[*node, *ticket], want int) {
	t.Helper()
	got := 0
	for _, head := range q.Heads() {
		got += len(q.Alike(head))
	}
	if got != want {
		t.Fatalf("%d queued, want %d", got, want)
	}
}

// TestQueueWork checks that Next looks at one ticket per group, however many wait that
// cannot use the node.
func TestQueueWork(t *testing.T) {
	bad, good := &node{}, &node{}
	var q Queue[*node, *ticket]
	for i := range 10_000 {
		tk := new(ticket)
		tk.Client = client.User(uint32(i % 3))
		tk.Tried = []*node{bad}
		q.Push(tk)
	}
	looked := 0
	may := func(n *node) func(*ticket) bool {
		return func(t *ticket) bool { looked++; return !t.HasTried(n) }
	}
	if next(&q, may(bad)) != nil || looked != 3 {
		t.Errorf("looked at %d tickets for a node that none may use", looked)
	}
	looked = 0
	if next(&q, may(good)) == nil || looked != 1 {
		t.Errorf("looked at %d tickets", looked)
	}
}
