// Package budget shares connections and descriptors between clients. No client can
// take all of them, and clients that have to wait are served in turn.
package budget

import (
	"container/list"

	"polyclam/proxy/client"
)

// A Limit is how much there is of something, and the percentage of it that one client
// may hold, see [client.Within].
type Limit struct {
	Total int64
	Share int
}

// A queue holds requests that cannot be granted yet. Clients are served in turn, and
// each client's requests in the order in which they were made.
type queue struct {
	held    client.Shares                // by requests that were granted
	clients map[client.Key]*list.Element // in ring
	ring    list.List                    // of *line, the next client to be served in front
}

// A line is the waiting requests of one client, the oldest in front.
type line struct {
	key      client.Key
	requests list.List // of *request
}

// A request is what one client asks for.
type request struct {
	key   client.Key
	n     int64
	grant func()
	place *list.Element // in the line of its client; nil: not waiting
}

func (q *queue) add(r *request) {
	e := q.clients[r.key]
	if e == nil {
		if q.clients == nil {
			q.clients = map[client.Key]*list.Element{}
		}
		e = q.ring.PushBack(&line{key: r.key})
		q.clients[r.key] = e
	}
	r.place = e.Value.(*line).requests.PushBack(r)
}

func (q *queue) remove(r *request) {
	e := q.clients[r.key]
	l := e.Value.(*line)
	l.requests.Remove(r.place)
	r.place = nil
	if l.requests.Len() == 0 {
		q.ring.Remove(e)
		delete(q.clients, r.key)
	}
}

// serve grants every request that take accepts, one of each client in turn. take adds what
// it grants to q.held.
//
// A client that holds nothing is never overtaken. It needs no share, only room, and
// smaller requests would keep taking that room away.
func (q *queue) serve(take func(*request) bool) {
	for e := q.ring.Front(); e != nil; {
		r := e.Value.(*line).requests.Front().Value.(*request)
		switch {
		case take(r):
			q.ring.MoveToBack(e)
			q.remove(r)
			r.grant()
			e = q.ring.Front()
		case q.held.Held(r.key) == 0:
			return
		default:
			e = e.Next()
		}
	}
}
