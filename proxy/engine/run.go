package engine

import (
	"context"
	"time"
)

// Run asks the nodes for their canaries, at once and then periodically, and
// after 1 s to 30 s those that are not up. It returns when ctx ends or the
// engine is closed; call it in a goroutine.
func (u *pool) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.life.Done():
			return
		case <-timer.C:
		case <-u.wake:
		}
		if u.config().Canary {
			timer.Reset(u.startDue())
		}
	}
}

// startDue starts the canaries that are due and returns the time until the next
// one is. One that is under way rouses Run when it is over.
func (u *pool) startDue() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	wait := u.config().CanaryInterval
	for _, n := range u.nodes {
		if n.checking() {
			continue
		}
		if left := time.Until(n.due); left > 0 {
			wait = min(wait, left)
			continue
		}
		u.startCheck(n)
	}
	return wait
}
