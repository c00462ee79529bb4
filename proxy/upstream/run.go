package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
)

// Run asks the nodes for their canaries, at once and then periodically, and
// after 1 s to 30 s those that are not up. It returns when ctx ends or the
// upstream is closed; call it in a goroutine.
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
		if n.checking {
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

// Reload tells the engines of all nodes to load their signatures anew, those
// that can be told, and returns what went wrong; it does not wait longer than
// ctx. What was known of the versions is dropped, and canaries follow; limits on
// sizes hold until they are proven again.
func (u *pool) Reload(ctx context.Context) error {
	outcome := make(chan error, len(u.nodes))
	asked := 0
	for _, n := range u.nodes {
		r, ok := n.backend.(backends.Reloader)
		if !ok {
			continue
		}
		asked++
		go func() {
			err := errors.New("backend ended without an answer")
			defer func() { outcome <- err }()
			if err = u.protect(n, func() error { return r.Reload(ctx) }); err != nil {
				err = fmt.Errorf("reload %s %s: %w", u.config().Name, n.address, err)
			}
		}()
	}
	var errs []error
	for range asked {
		select {
		case err := <-outcome:
			errs = append(errs, err)
			continue
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("reload %s: %w", u.config().Name, ended(ctx, nil)))
		}
		break
	}
	u.mu.Lock()
	for _, n := range u.nodes {
		n.versions.drop()
		n.renewSize()
		u.hurry(n)
	}
	u.mu.Unlock()
	return errors.Join(errs...)
}
