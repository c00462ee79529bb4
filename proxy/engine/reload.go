package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
)

const (
	// reloadPause separates RELOAD from the health check, so that the check does not
	// overtake an engine that is about to load.
	reloadPause = 100 * time.Millisecond
	// reloadPoll is how often a reload checks whether its node is idle or back.
	reloadPoll = 10 * time.Millisecond
)

// Reload makes the nodes load their signatures, one after another.
//
// While another node is up, the node being reloaded gets no new scans: its scans finish, it
// loads, and then it must pass a health check. If it does not come back within reloadTime,
// the reload ends, and the remaining nodes keep their old signatures. A node that was
// already down does not end the reload.
//
// Known versions are dropped. Known size limits hold until they are proven again.
//
// Reload returns when all nodes are done or ctx ends, with everything that went wrong. A
// call during another one returns immediately and makes the first one visit all nodes once
// more.
func (p *pool) Reload(ctx context.Context) error {
	if !p.beginReload() {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(context.Cause(p.life)) })()
	var errs []error
	for again := true; again; again = p.repeatReload(ctx) {
		errs = append(errs, p.reloadNodes(ctx))
	}
	return errors.Join(errs...)
}

// Reloads reports whether the engine has a command to load its signatures.
func (p *pool) Reloads() bool {
	n, _ := p.nextReload(nil)
	return n != nil
}

// beginReload reports whether the caller must reload; if not, the reload under way repeats.
func (p *pool) beginReload() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reloading {
		p.reloadNext = true
		return false
	}
	p.reloading = true
	return true
}

// repeatReload reports whether the reload must be repeated. If not, it ends it.
func (p *pool) repeatReload(ctx context.Context) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reloading = p.reloadNext && ctx.Err() == nil
	p.reloadNext = false
	return p.reloading
}

// reloadNodes visits all nodes once.
func (p *pool) reloadNodes(ctx context.Context) error {
	p.checkOthers()
	var errs []error
	done := map[string]bool{} // by address: a new configuration may replace the nodes meanwhile
	for {
		n, r := p.nextReload(done)
		if n == nil {
			return errors.Join(errs...)
		}
		sent, back, err := p.reloadNode(ctx, n, r)
		done[n.address] = sent
		if left, _ := p.nextReload(done); !back && left != nil {
			err = fmt.Errorf("%w; the nodes after it keep their old signatures", err)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reload %s %s: %w", p.config().Name, n.address, err))
		}
		if !back {
			return errors.Join(errs...)
		}
	}
}

// checkOthers requests health checks of the nodes that cannot be reloaded: their engines
// may have loaded signatures too.
func (p *pool) checkOthers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if _, ok := n.backend.(backends.Reloader); !ok {
			p.signaturesChanged(n)
			p.checkSoon(n)
		}
	}
}

// nextReload returns a node that is not done yet, or nil.
func (p *pool) nextReload(done map[string]bool) (*node, backends.Reloader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if r, ok := n.backend.(backends.Reloader); ok && !done[n.address] {
			return n, r
		}
	}
	return nil, nil
}

// reloadNode reloads n. It reports whether RELOAD was sent, and whether n is in no worse
// state than before.
func (p *pool) reloadNode(ctx context.Context, n *node, r backends.Reloader) (sent, back bool, err error) {
	worked := p.beginTurn(n)
	defer p.endTurn(n)
	if p.awaitIdle(ctx, n); p.isRetired(n) {
		return false, true, nil // the node that replaced it gets a turn
	}
	turn, cancel := context.WithTimeoutCause(ctx, reloadTime, errNotBack)
	defer cancel()
	begin := time.Now()
	err = p.call(p.traced(turn, n, forReload), n, r.Reload)
	p.mu.Lock()
	p.signaturesChanged(n)
	if !worked {
		p.checkSoon(n)
	}
	p.mu.Unlock()
	if !worked {
		return true, true, err
	}
	if late := p.awaitReturn(turn, n); late != nil {
		if ctx.Err() == nil {
			late = p.markLost(n)
		}
		return true, false, late
	}
	if err == nil {
		p.log.Info().Str("node", bounded(n.address)).Int64("ms", time.Since(begin).Milliseconds()).Msg("node reloaded")
	}
	return true, true, err
}

// beginTurn makes new scans avoid n. It reports whether n was up or unknown.
func (p *pool) beginTurn(n *node) (worked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.reloading = true
	return n.health.Serving()
}

// endTurn lets scans use n again.
func (p *pool) endTurn(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.reloading = false
	p.dispatchAll()
}

// awaitIdle waits until n has no health check under way and, unless it is the only node that is
// up, no scans. It waits for hung scans no longer than the timeout.
func (p *pool) awaitIdle(ctx context.Context, n *node) {
	ctx, cancel := context.WithTimeout(ctx, p.config().Timeout+grace)
	defer cancel()
	all := newTicket()
	_ = p.waitUntil(ctx, func() bool {
		return n.health.Retired() || !n.health.Checking() && (n.inFlight == 0 || !p.standsBack(all, n))
	})
}

// awaitReturn waits until n has passed a health check that began after RELOAD or, without
// health checks, until n answers. It fails when ctx ends.
func (p *pool) awaitReturn(ctx context.Context, n *node) error {
	if v, ok := n.backend.(backends.Versioner); ok && !p.config().Canary {
		_ = p.call(ctx, n, func(ctx context.Context) error { // a refusal is an answer too
			_, err := v.Version(p.traced(ctx, n, forVersion))
			return err
		})
	}
	if ctx.Err() != nil {
		return ended(ctx, nil)
	}
	earliest, asked := time.Now().Add(reloadPause), false
	return p.waitUntil(ctx, func() bool {
		if n.health.Retired() || !p.config().Canary || n.health.Proven(earliest) {
			return true
		}
		if !asked && !n.health.Checking() && !time.Now().Before(earliest) {
			p.startCheck(n) // if it fails, the next ones follow as usual
			asked = true
		}
		return false
	})
}

// markLost takes out n, which did not come back after RELOAD, and returns the error.
func (p *pool) markLost(n *node) error {
	p.mu.Lock()
	t := p.markDown(n, errNotBack)
	reason := n.health.Reason()
	p.mu.Unlock()
	p.logTransition(t)
	return fmt.Errorf("it did not come back: %w", reason)
}

// waitUntil calls ok, with mu held, until it returns true or ctx ends.
func (p *pool) waitUntil(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(reloadPoll)
	defer tick.Stop()
	for {
		p.mu.Lock()
		done := ok()
		p.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ended(ctx, nil)
		case <-tick.C:
		}
	}
}

// call runs f, which calls the backend of n, and waits for it until ctx ends.
func (p *pool) call(ctx context.Context, n *node, f func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("backend ended without an answer")
		defer func() { done <- err }()
		err = p.protect(n, func() error { return f(ctx) })
	}()
	select {
	case err := <-done:
		if err != nil && ctx.Err() != nil {
			return ended(ctx, err)
		}
		return err
	case <-ctx.Done():
		return ended(ctx, nil)
	}
}
