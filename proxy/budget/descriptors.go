package budget

import (
	"context"
	"sync"

	"polyclam/proxy/client"
)

// Descriptors shares file descriptors between clients. It is safe for concurrent use.
//
// A request for several descriptors gets all of them together and holds none while it
// waits, so two requests never wait for each other.
type Descriptors struct {
	limit func() Limit
	mu    sync.Mutex
	queue queue
}

// NewDescriptors returns a budget that calls limit whenever it needs the current limit.
func NewDescriptors(limit func() Limit) *Descriptors { return &Descriptors{limit: limit} }

// A Grant is a request for descriptors, granted or waiting.
type Grant struct {
	from    *Descriptors
	request request
	ready   chan struct{}
}

// Ask requests n descriptors for client k. The caller releases the grant, even if it
// does not wait for it.
func (d *Descriptors) Ask(k client.Key, n int) *Grant {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := &Grant{from: d, ready: make(chan struct{})}
	g.request = request{key: k, n: int64(n), grant: func() { close(g.ready) }}
	d.queue.add(&g.request)
	d.serve()
	return g
}

// Ready is closed once the descriptors are granted.
func (g *Grant) Ready() <-chan struct{} { return g.ready }

// Release returns the descriptors, or withdraws the request.
func (g *Grant) Release() {
	d := g.from
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.request.place == nil {
		d.queue.held.Give(g.request.key, g.request.n)
	} else {
		d.queue.remove(&g.request)
	}
	d.serve()
}

// serve grants what can be granted now. The caller holds mu.
func (d *Descriptors) serve() {
	limit := d.limit()
	d.queue.serve(func(r *request) bool {
		// After a reload there may be less than an older walk asked for. It is served
		// once nothing else is held.
		return d.queue.held.Take(r.key, r.n, max(limit.Total, r.n), limit.Share)
	})
}

// Take waits for n descriptors for client k, and returns a function that returns them.
// It returns nil if ctx ends first.
func (d *Descriptors) Take(ctx context.Context, k client.Key, n int) (release func()) {
	g := d.Ask(k, n)
	select {
	case <-g.Ready():
		return g.Release
	case <-ctx.Done():
		g.Release()
		return nil
	}
}

// An Allowance is the descriptors of one session: one that always belongs to its
// connection, and more from the common budget. One goroutine at a time may call Take.
type Allowance struct {
	common *Descriptors
	key    client.Key

	mu    sync.Mutex
	used  bool          // the connection's own descriptor
	waits chan struct{} // of a Take that waits: closed when it has got the own descriptor
}

// NewAllowance returns the allowance of a session of client k.
func NewAllowance(common *Descriptors, k client.Key) *Allowance {
	return &Allowance{common: common, key: k}
}

// Take waits for one descriptor, and returns a function that returns it. It returns nil
// if ctx ends first.
func (a *Allowance) Take(ctx context.Context) (release func()) {
	own := a.takeOwn()
	if own == nil {
		return a.returnOwn
	}
	g := a.common.Ask(a.key, 1)
	select {
	case <-g.Ready():
		a.stopWaiting()
		return g.Release
	case <-own:
		g.Release()
		return a.returnOwn
	case <-ctx.Done():
		g.Release()
		a.stopWaiting()
		return nil
	}
}

// takeOwn takes the connection's own descriptor. If it is in use, takeOwn returns a channel
// that is closed when it has passed to the caller.
func (a *Allowance) takeOwn() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.used {
		a.used = true
		return nil
	}
	a.waits = make(chan struct{})
	return a.waits
}

// returnOwn returns the own descriptor, or passes it to the Take that waits.
func (a *Allowance) returnOwn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waits == nil {
		a.used = false
		return
	}
	close(a.waits)
	a.waits = nil
}

// stopWaiting returns the own descriptor if it has passed to the caller, which does not want
// it any more.
func (a *Allowance) stopWaiting() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waits == nil { // it has
		a.used = false
	}
	a.waits = nil
}
