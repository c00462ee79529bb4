package engine

import (
	"context"
	"time"
)

// Run runs the health checks: of all nodes immediately, then at regular intervals, and more
// often for nodes that are not up. It also looks up the names. It returns when ctx ends or the engine is closed; call it
// in a goroutine.
func (p *pool) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.life.Done():
			return
		case <-timer.C:
		case <-p.wake:
		}
		p.startNames(ctx)
		if p.config().Canary {
			timer.Reset(p.startDueChecks())
		}
	}
}

// startDueChecks starts the checks that are due, and returns the time until the next one. A
// check under way wakes Run when it ends.
func (p *pool) startDueChecks() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := p.config().CanaryInterval
	for _, n := range p.nodes {
		if n.health.Checking() {
			continue
		}
		if left := time.Until(n.health.Due()); left > 0 {
			wait = min(wait, left)
			continue
		}
		p.startCheck(n)
	}
	return wait
}
