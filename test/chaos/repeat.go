package main

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

// repeats is the share of objects that come from the pool in a run about the cache, in
// percent.
const repeats = 65

// pool returns the few objects that clients scan again and again. Some become a virus with
// later signatures. In a run about the cache all other kinds are there too, and some are known
// to one engine only, so that no other engine can make up for a wrong result in the cache.
func pool(seed uint64, cached bool) (list []object.Object) {
	add := func(size int, t object.Truth) {
		r := rand.New(rand.NewPCG(seed, uint64(1+len(list))))
		list = append(list, object.New(r, size, t))
	}
	const later = 6
	for i := range later {
		add(5000, object.Truth{Later: 1 + i})
	}
	if !cached {
		return list
	}
	for i := range 2 * later {
		add(1500, object.Truth{Later: 1 + i%later, Only: engineKinds[i%len(engineKinds)].engine})
	}
	for _, k := range engineKinds {
		add(object.MinSize, object.Truth{Virus: true, Only: k.engine})
	}
	for _, size := range []int{object.MinSize, 12345, 64<<10 + 1} {
		add(size, object.Truth{})
		add(size, object.Truth{Virus: true})
		add(size, object.Truth{Encrypted: true})
	}
	return list
}

// repeated picks an object of the pool.
func (c *client) repeated() object.Object { return c.pool[c.r.IntN(len(c.pool))] }

// any makes an object, or picks one of the pool.
func (c *client) any() object.Object {
	if c.w.o.cached && c.r.IntN(100) < repeats {
		return c.repeated()
	}
	return c.object()
}

// burst scans one object on several connections at the same time.
func (c *client) burst() {
	o := c.any()
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 2 + c.r.IntN(5) {
		listener, framing, size := c.listener(), c.framing(), c.chunk(len(o.Data))
		wg.Go(func() {
			q := c.request("INSTREAM", listener, part("stream", o))
			q.Repeat = true // whether the object is new or not
			c.sendStream(q, o, framing, size)
		})
	}
}

// sendStream sends an object by INSTREAM on its own connection.
func (c *client) sendStream(q *history.Request, o object.Object, framing byte, size int) {
	nc := c.connect(q)
	if nc == nil {
		return
	}
	defer nc.Close()
	_, err := nc.Write(append(command(framing, q.Verb), chunked(o.Data, size)...))
	q.Sent = history.Now()
	c.finish(q, nc, framing, err)
}

// newPath returns an unused name of a file for an object.
func (c *client) newPath(o object.Object) string {
	return fmt.Sprintf("%s-%d", o.Nonce, c.w.ids.Add(1))
}
