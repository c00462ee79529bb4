package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
)

const (
	// reloadTime is how long a node may take from RELOAD to a successful health check.
	// clamd with ConcurrentDatabaseReload no answers nothing while it loads: 20 s on a
	// fast machine, minutes on a small one that swaps.
	reloadTime = 10 * time.Minute
	// reloadPause separates RELOAD from the health check, so that the check does not
	// overtake an engine that is about to load.
	reloadPause = 100 * time.Millisecond
	// reloadPoll is how often a reload looks whether its node is idle, or back.
	reloadPoll = 10 * time.Millisecond
)

// errNotBack is why a node is taken out after RELOAD.
var errNotBack = &backends.Failure{
	Category: backends.Interrupted,
	Code:     backends.NoCode,
	Text:     fmt.Sprintf("no answer within %v after RELOAD", reloadTime),
}

// Reload has the engines load their signatures again, one node after another.
//
// While another node is up, the node whose turn it is gets no new scans: the scans on it
// finish, then it loads, and then it has to pass a health check. A node that does not
// come back within reloadTime ends the reload, and those that follow keep their old
// signatures. A node that was down before ends nothing.
//
// Known versions are dropped. Known limits on sizes hold until they are proven again.
//
// Reload returns what went wrong, when all nodes are done or ctx ends. While one call is
// under way, another one returns immediately and makes the first one visit all nodes
// once more.
func (u *pool) Reload(ctx context.Context) error {
	if !u.beginReload() {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(u.life, func() { cancel(context.Cause(u.life)) })()
	var errs []error
	for again := true; again; again = u.repeatReload(ctx) {
		errs = append(errs, u.reloadNodes(ctx))
	}
	return errors.Join(errs...)
}

// beginReload reports whether the caller has to do the reload.
func (u *pool) beginReload() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reloading {
		u.reloadNext = true
		return false
	}
	u.reloading = true
	return true
}

// repeatReload ends a reload, or reports that another one has to follow.
func (u *pool) repeatReload(ctx context.Context) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reloading = u.reloadNext && ctx.Err() == nil
	u.reloadNext = false
	return u.reloading
}

// reloadNodes visits all nodes once.
func (u *pool) reloadNodes(ctx context.Context) error {
	u.checkOthers()
	var errs []error
	done := map[string]bool{} // addresses: another reload may replace the nodes meanwhile
	for {
		n, r := u.nextReload(done)
		if n == nil {
			return errors.Join(errs...)
		}
		sent, back, err := u.reloadNode(ctx, n, r)
		done[n.address] = sent
		if left, _ := u.nextReload(done); !back && left != nil {
			err = fmt.Errorf("%w; the nodes after it keep their old signatures", err)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("reload %s %s: %w", u.config().Name, n.address, err))
		}
		if !back {
			return errors.Join(errs...)
		}
	}
}

// checkOthers asks for health checks of the nodes that RELOAD is not for: their engines
// may have loaded signatures too.
func (u *pool) checkOthers() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range u.nodes {
		if _, ok := n.backend.(backends.Reloader); !ok {
			n.loaded()
			u.hurry(n)
		}
	}
}

// loaded notes that n may have other signatures and limits from now on. The caller has
// mu.
func (n *node) loaded() {
	n.versions.drop()
	n.renewSize()
}

// nextReload returns a node that is not done, or nil.
func (u *pool) nextReload(done map[string]bool) (*node, backends.Reloader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range u.nodes {
		if r, ok := n.backend.(backends.Reloader); ok && !done[n.address] {
			return n, r
		}
	}
	return nil, nil
}

// reloadNode reloads n. It reports whether RELOAD was sent, and whether n works as well
// as before.
func (u *pool) reloadNode(ctx context.Context, n *node, r backends.Reloader) (sent, back bool, err error) {
	worked := u.beginTurn(n)
	defer u.endTurn(n)
	if u.drain(ctx, n); u.isRetired(n) {
		return false, true, nil // the node that replaces it gets a turn
	}
	turn, cancel := context.WithTimeoutCause(ctx, reloadTime, errNotBack)
	defer cancel()
	begin := time.Now()
	err = u.call(turn, n, r.Reload)
	u.mu.Lock()
	n.loaded()
	if !worked {
		u.hurry(n)
	}
	u.mu.Unlock()
	if !worked {
		return true, true, err
	}
	if late := u.awaitReturn(turn, n); late != nil {
		if ctx.Err() == nil {
			late = u.lose(n)
		}
		return true, false, late
	}
	if err == nil {
		u.log.Info().Str("node", bounded(n.address)).Int64("ms", time.Since(begin).Milliseconds()).Msg("engine reloaded")
	}
	return true, true, err
}

// beginTurn keeps new scans away from n, and reports whether it was not known to be
// down.
func (u *pool) beginTurn(n *node) (worked bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n.reloading = true
	return n.state == up || n.state == unknown
}

// endTurn lets scans use n again.
func (u *pool) endTurn(n *node) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n.reloading = false
	u.dispatchAll()
}

func (u *pool) isRetired(n *node) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return n.retired
}

// spared says whether t has to leave n alone, because n is being reloaded and t may use
// another node. When that one fails, n is used again immediately.
func (u *pool) spared(t *ticket, n *node) bool {
	return n.reloading && slices.ContainsFunc(u.nodes, func(m *node) bool {
		return !m.reloading && u.usable(m) && !slices.Contains(t.tried, m)
	})
}

// drain waits until no scan is left on n, unless n is the only node that is up, and
// no health check. Those that hang are not waited for longer than the key timeout says.
func (u *pool) drain(ctx context.Context, n *node) {
	ctx, cancel := context.WithTimeout(ctx, u.config().Timeout+grace)
	defer cancel()
	all := newTicket()
	_ = u.until(ctx, func() bool {
		return n.retired || !n.checking() && (n.inFlight == 0 || !u.spared(all, n))
	})
}

// awaitReturn waits until n passes a health check that began after RELOAD; without
// health checks, until it answers. It fails when ctx ends.
func (u *pool) awaitReturn(ctx context.Context, n *node) error {
	if v, ok := n.backend.(backends.Versioner); ok && !u.config().Canary {
		_ = u.call(ctx, n, func(ctx context.Context) error { // a refusal is an answer too
			_, err := v.Version(ctx)
			return err
		})
	}
	if ctx.Err() != nil {
		return ended(ctx, nil)
	}
	earliest, asked := time.Now().Add(reloadPause), false
	return u.until(ctx, func() bool {
		if n.retired || !u.config().Canary || !n.proven.Before(earliest) {
			return true
		}
		if !asked && !n.checking() && !time.Now().Before(earliest) {
			u.startCheck(n) // those that follow come as after any other failure
			asked = true
		}
		return false
	})
}

// lose takes out n, which did not come back, and returns the reason.
func (u *pool) lose(n *node) error {
	u.mu.Lock()
	var c *change
	if n.state == up || n.state == unknown {
		c = u.markDown(n, errNotBack)
	}
	reason := n.reason
	u.mu.Unlock()
	u.tell(c)
	return fmt.Errorf("it did not come back: %w", reason)
}

// checkContext bounds a health check of n: a node that is loading may take its time. The
// caller has mu.
func (u *pool) checkContext(n *node) (context.Context, context.CancelFunc) {
	if n.reloading {
		return context.WithTimeoutCause(u.life, reloadTime, errNotBack)
	}
	return limited(u.life, u.config().Timeout)
}

// until waits until ok, which is called with mu held, or the end of ctx.
func (u *pool) until(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(reloadPoll)
	defer tick.Stop()
	for {
		u.mu.Lock()
		done := ok()
		u.mu.Unlock()
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

// call calls a method of n's backend, and does not wait for it longer than ctx.
func (u *pool) call(ctx context.Context, n *node, f func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("backend ended without an answer")
		defer func() { done <- err }()
		err = u.protect(n, func() error { return f(ctx) })
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
