package engine

import (
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
)

// A node is withdrawn if it gets no scans although it may be healthy: an administrator has
// drained it, or its signatures are too old. Its scans under way finish, and its health
// checks continue.

// isWithdrawn reports whether n is withdrawn. The caller holds mu.
func (p *pool) isWithdrawn(n *node) bool { return n.drained || p.isSuspended(n) }

// isSuspended reports whether n is not used because its signatures are old. The caller
// holds mu.
func (p *pool) isSuspended(n *node) bool { return n.signatures.stale && p.config().SuspendStale }

// withdrawnReason says why n is withdrawn, and what to do; nil: it is not. The caller holds
// mu.
func (p *pool) withdrawnReason(n *node) error {
	switch {
	case n.drained:
		return withdrawn("drained by an administrator (polyclam node resume " + p.config().Name + ")")
	case p.isSuspended(n):
		return p.staleReason(n)
	}
	return nil
}

// staleReason says why n is suspended.
func (p *pool) staleReason(n *node) error {
	v, _ := n.versions.last()
	age := "older"
	if !v.DatabaseTime.IsZero() {
		age = days(time.Since(v.DatabaseTime)) + " old, more"
	}
	return withdrawn(fmt.Sprintf("its signatures are %s than max_signature_age, %s, and stale is \"suspend\"; run the engine's updater",
		age, days(p.config().MaxSignatureAge)))
}

func withdrawn(text string) error {
	return &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode, Text: text}
}

// allWithdrawn returns the reason of the first node that t has not tried if every such node
// is withdrawn, and the node. The caller holds mu.
func (p *pool) allWithdrawn(t *ticket) (*node, error) {
	var first *node
	for _, n := range p.nodes {
		switch {
		case t.HasTried(n):
		case !p.isWithdrawn(n):
			return nil, nil
		case first == nil:
			first = n
		}
	}
	if first == nil {
		return nil, nil
	}
	return first, p.withdrawnReason(first)
}

// withDrained adds to the reason why there is no node for t that others are drained. The
// caller holds mu.
func (p *pool) withDrained(t *ticket, reason error) error {
	drained := slices.ContainsFunc(p.nodes, func(n *node) bool { return n.drained && !t.HasTried(n) })
	if !drained {
		return reason
	}
	return fmt.Errorf("%w; another node is drained by an administrator (polyclam node resume %s)", reason, p.config().Name)
}
