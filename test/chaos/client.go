package main

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

// client sends requests one after the other.
type client struct {
	w      *world
	r      *rand.Rand
	number int
	pool   []object.Object // that all clients scan again and again
	known  map[string]bool // their nonces
}

func newClient(w *world, i int) *client {
	c := &client{w: w, r: rand.New(rand.NewPCG(w.o.seed, uint64(100+i))), number: i, known: map[string]bool{}}
	c.pool = pool(w.o.seed, w.o.cached)
	for _, o := range c.pool {
		c.known[o.Nonce] = true
	}
	return c
}

type way struct {
	weight int
	ask    func(*client)
}

// ways are the kinds of requests with their weights.
var ways = []way{
	{24, func(c *client) { c.stream(c.oneOf("INSTREAM", "INSTREAM", "INSTREAM", "XINSTREAM"), c.listener()) }},
	{18, (*client).session},
	{14, func(c *client) { c.fildes(c.oneOf("FILDES", "FILDES", "XFILDES")) }},
	{14, func(c *client) { c.file(c.oneOf("SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN", "XSCAN")) }},
	{9, func(c *client) { c.directory(c.oneOf("SCAN", "CONTSCAN", "MULTISCAN", "XCONTSCAN")) }},
	{2, (*client).vanish},
	{2, (*client).halfClose},
	{1, (*client).neverRead},
	{2, (*client).slow},
	{2, (*client).garbage},
	{1, (*client).oversize},
	{2, (*client).vanishAfter},
}

// cachedWays are the ways of a run that is about the cache.
var cachedWays = append(ways, way{20, (*client).burst})

// run sends requests until ctx ends.
func (c *client) run(ctx context.Context) {
	ways := ways
	if c.w.o.cached {
		ways = cachedWays
	}
	total := 0
	for _, way := range ways {
		total += way.weight
	}
	for ctx.Err() == nil && c.w.failed() == nil {
		n := c.r.IntN(total)
		for _, way := range ways {
			if n -= way.weight; n < 0 {
				way.ask(c)
				break
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(c.r.IntN(80)) * time.Millisecond):
		}
	}
}

func (c *client) oneOf(words ...string) string { return words[c.r.IntN(len(words))] }

func (c *client) listener() string { return c.oneOf("unix", "tcp") }

// sizes are the sizes of objects: few, so that different objects share a size.
var sizes = []struct{ weight, size int }{
	{30, object.MinSize}, {30, 1500}, {20, 12345}, {8, 64 << 10}, {5, 64<<10 + 1}, {4, 300000}, {3, 1500000},
}

// object makes an object with a known truth.
func (c *client) object() object.Object {
	n, size := c.r.IntN(100), 0
	for _, s := range sizes {
		if n -= s.weight; n < 0 {
			size = s.size
			break
		}
	}
	var t object.Truth
	switch n := c.r.IntN(100); {
	case n < 52:
	case n < 68:
		t.Virus = true
	case n < 78:
		t.Encrypted = true
	case n < 83:
		t.Virus, t.Encrypted = true, true
	case n < 92:
		t.Virus, t.Only = true, engineKinds[c.r.IntN(len(engineKinds))].engine
	default:
		t.Later = max(1, int(c.w.generation.Load())+c.r.IntN(3))
	}
	return object.New(c.r, size, t)
}

// part is one object of a request.
func part(path string, o object.Object) history.Part {
	return history.Part{Path: path, Nonce: o.Nonce, SHA: o.SHA, Size: len(o.Data), Truth: o.Truth}
}

// request starts a request.
func (c *client) request(verb, listener string, parts ...history.Part) *history.Request {
	repeat := slices.ContainsFunc(parts, func(p history.Part) bool { return c.known[p.Nonce] })
	return &history.Request{ID: int(c.w.ids.Add(1)), Verb: verb, Listener: listener, Begin: history.Now(), Parts: parts, Repeat: repeat}
}

// connect opens the connection of a request, or records that this failed.
func (c *client) connect(q *history.Request) net.Conn {
	nc, err := c.w.dial(q.Listener, 10*time.Second)
	if err != nil {
		q.Outcome, q.Error, q.End = history.Refused, err.Error(), history.Now()
		c.note(q)
		// Clients do not hammer a server that is down.
		time.Sleep(tick)
		return nil
	}
	nc.SetDeadline(time.Now().Add(clientPatience))
	return nc
}

func (c *client) note(q *history.Request) { c.w.must(c.w.requests.Write(q)) }

// framing is a framing for a command.
func (c *client) framing() byte { return "zn"[c.r.IntN(2)] }

// chunk is a chunk size for an object.
func (c *client) chunk(size int) int {
	choices := []int{size, 1 << 10, 4 << 10, 64 << 10, 100_000}
	if size <= 1500 {
		choices = append(choices, 1, 7, 100)
	}
	return max(1, choices[c.r.IntN(len(choices))])
}
