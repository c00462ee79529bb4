package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/proxy/client"
)

// acquire takes a slot on the best node that t may use, and waits for one if necessary. The
// end of the scan gives it back.
func (p *pool) acquire(ctx context.Context, t *ticket) (*node, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx, nil)
	}
	begin := time.Now()
	p.mu.Lock()
	if p.isMutualCheck(t) {
		p.mu.Unlock()
		return nil, errMutual
	}
	if !t.IsTest() {
		t.Client = client.FromContext(ctx)
		p.recent.Add(t.Client, begin)
		p.updateShared(begin)
	}
	p.queue.Number(t)
	if n, err := p.pick(t); n != nil || err != nil {
		p.mu.Unlock()
		return n, err
	}
	if t.ready == nil {
		t.ready = make(chan slot, 1)
	}
	p.queue.Push(t)
	if t.checkWait > 0 {
		p.limitWait(t, t.checkWait)
	}
	p.mu.Unlock()
	select {
	case s := <-t.ready:
		return s.node, s.err
	case <-ctx.Done():
		return nil, p.leave(ctx, t, begin)
	}
}

// leave takes t out of the queue, or gives back a slot it was given in the meantime, and
// returns why there was no slot.
func (p *pool) leave(ctx context.Context, t *ticket, begin time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.IsQueued() {
		p.dequeue(t)
	} else if s := <-t.ready; s.node != nil {
		p.giveBack(s.node, t.grant)
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ended(ctx, nil)
	}
	text := "no free slot within %v (keys max_scans, timeout)"
	if !t.IsTest() && !p.anyUsable(t) {
		text = "no answer to the test files within %v, and no other node"
	}
	return &backends.Failure{
		Category: backends.Interrupted,
		Code:     backends.NoCode,
		Text:     fmt.Sprintf(text, time.Since(begin).Round(time.Millisecond)),
	}
}

// tryAcquire takes a slot for t if one is free now; else it returns nil.
func (p *pool) tryAcquire(t *ticket) *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, _ := p.takeBest(t)
	return n
}
