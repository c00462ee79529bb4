package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
)

// How long a scan without a usable node waits for the health check under way.
const (
	// firstWait is for an unknown node, counted from the start of its first check.
	firstWait = 10 * time.Second
	// againWait is for a node that was taken out. If its check succeeds by then, the scan
	// has lost nothing.
	againWait = 50 * time.Millisecond
)

// anyUsable reports whether t may use a node. The caller holds mu.
func (p *pool) anyUsable(t *ticket) bool {
	return slices.ContainsFunc(p.nodes, func(n *node) bool {
		return p.usable(n) && !t.HasTried(n)
	})
}

// checkWait returns how long t may wait for a health check of a node that it has not tried,
// or for the first lookup of a name; 0: there is none worth waiting for. All scans wait for the same check, so an engine that
// does not answer is dialed only once at a time. The caller holds mu.
func (p *pool) checkWait(t *ticket) time.Duration {
	wait := p.lookupWait()
	if !p.config().Canary {
		return wait
	}
	for _, n := range p.nodes {
		h := n.health
		if h.State() == health.Blind || t.HasTried(n) || p.isWithdrawn(n) {
			continue
		}
		if h.State() == health.Unknown && !h.Checking() && !time.Now().Before(h.Due()) {
			p.startCheck(n)
		}
		if !h.Checking() {
			continue
		}
		limit := againWait
		if h.State() == health.Unknown {
			limit = firstWait
		}
		wait = max(wait, limit-h.CheckAge())
	}
	return wait
}

// errSuperseded is why a late check is canceled.
const errSuperseded = CalledOff("another health check has begun")

// startCheck begins a health check of n unless one is under way that is not late. The
// caller holds mu.
func (p *pool) startCheck(n *node) {
	if n.health.Checking() {
		return
	}
	ctx, end := p.checkContext(n)
	ctx, cancel := context.WithCancelCause(ctx)
	check := n.health.StartCheck(func() { cancel(errSuperseded) })
	go func() {
		defer end()
		defer cancel(nil)
		p.runCheck(ctx, n, check)
	}()
}

// checkContext returns the context for a health check of n. A node that loads signatures
// gets reloadTime. The caller holds mu.
func (p *pool) checkContext(n *node) (context.Context, context.CancelFunc) {
	if n.reloading {
		return context.WithTimeoutCause(p.life, reloadTime, errNotBack)
	}
	return withTimeout(p.life, p.config().Timeout)
}

// reloadTime is how long a node may take from RELOAD to a successful health check. clamd
// with ConcurrentDatabaseReload no answers nothing while it loads: 20 s on a fast machine,
// minutes on a small one that swaps.
const reloadTime = 10 * time.Minute

// errNotBack is why a node is taken out after RELOAD.
var errNotBack = &backends.Failure{
	Category: backends.Interrupted,
	Code:     backends.NoCode,
	Text:     fmt.Sprintf("no answer within %v after RELOAD", reloadTime),
}

// noNode returns the reason why there is no node for t. The caller holds mu.
func (p *pool) noNode(t *ticket) error {
	if t.err != nil {
		return p.withDrained(t, t.err)
	}
	if p.life.Err() != nil {
		return ended(p.life, nil)
	}
	if n, reason := p.allWithdrawn(t); reason != nil {
		t.last = n
		return reason
	}
	for _, n := range p.nodes {
		if reason := n.health.Reason(); reason != nil && !t.HasTried(n) && !p.isWithdrawn(n) {
			t.last = n
			return p.withDrained(t, reason)
		}
	}
	for _, n := range p.nodes {
		if n.health.State() == health.Unknown && n.health.Checking() {
			t.last = n
			return &backends.Failure{
				Category: backends.Interrupted, Code: backends.NoCode,
				Text: fmt.Sprintf("no answer to the test files within %v", n.health.CheckAge().Round(time.Millisecond)),
			}
		}
	}
	if err := p.anyUnresolved(); err != nil {
		return err
	}
	return errors.New("no node left")
}

// errMutual answers another polyclam's clean control that arrives while no node is usable
// and a health check is under way. The other daemon may be waiting for that very check: if
// two daemons use each other as engines, both would wait until they time out.
var errMutual = untrusted("another polyclam's health check arrived during one of this polyclam's own: if they ask each other, neither has an engine")

// isMutualCheck reports whether t must be answered with errMutual. The caller holds mu.
func (p *pool) isMutualCheck(t *ticket) bool {
	return t.control && !p.anyUsable(t) &&
		slices.ContainsFunc(p.nodes, func(n *node) bool { return n.health.Checking() && !p.isWithdrawn(n) })
}
