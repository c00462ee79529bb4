package budget

import "polyclam/proxy/client"

// Places shares connections between clients. The zero Places is ready for use; it is not
// safe for concurrent use.
//
// The client of a connection is known only after accept(2), and a connection that is not
// accepted blocks those after it. So a connection beyond its client's share is accepted
// too. It waits, unread, until its client may have one more. Waiting connections have their
// own limit and shares; beyond those, connections are refused. Accepting stops only when no
// client may have one more connection.
type Places struct {
	accepts int   // calls of accept under way, each with a place reserved
	served  queue // one place for each connection that is served
	waiting client.Shares
}

// Full reports whether all places are taken or reserved.
func (p *Places) Full(limit int) bool { return int64(p.accepts)+p.served.held.Sum() >= int64(limit) }

// Reserve reserves a place for the next connection to be accepted, before its client is
// known.
func (p *Places) Reserve() { p.accepts++ }

// Cancel returns what Reserve reserved.
func (p *Places) Cancel() { p.accepts-- }

// Take takes a place for client k, if there is one within its share.
func (p *Places) Take(k client.Key, limit Limit) bool {
	return p.served.held.Take(k, 1, limit.Total-int64(p.accepts), limit.Share)
}

// Give returns a place of client k.
func (p *Places) Give(k client.Key) { p.served.held.Give(k, 1) }

// Wait queues a connection of client k until Serve calls start. It reports false if the
// client has its share of the waiting connections already.
func (p *Places) Wait(k client.Key, limit Limit, start func()) bool {
	if !p.waiting.Take(k, 1, limit.Total, limit.Share) {
		return false
	}
	p.served.add(&request{key: k, n: 1, grant: func() {
		p.waiting.Give(k, 1)
		start()
	}})
	return true
}

// Serve starts the waiting connections that have a place now.
func (p *Places) Serve(limit Limit) {
	p.served.serve(func(r *request) bool { return p.Take(r.key, limit) })
}

// Held returns how many connections of client k are served, and how many wait.
func (p *Places) Held(k client.Key) (served, waiting int64) {
	return p.served.held.Held(k), p.waiting.Held(k)
}

// Sums returns how many connections of all clients are served, and how many wait.
func (p *Places) Sums() (served, waiting int) {
	return int(p.served.held.Sum()), int(p.waiting.Sum())
}

// Open is the number of connections, waiting ones and accepts under way included.
func (p *Places) Open() int { return p.accepts + int(p.served.held.Sum()+p.waiting.Sum()) }
