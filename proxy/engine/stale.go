package engine

import (
	"fmt"
	"slices"
	"time"

	"polyclam/proxy/engine/internal/health"
)

// staleReminder is how often the log repeats that a node's signatures are old.
const staleReminder = 24 * time.Hour

// siblingDelay is how much older than a sibling's a node's signatures may be before that is
// reported. ClamAV publishes every day, so siblings that update at different hours differ by
// a day for a while.
const siblingDelay = 36 * time.Hour

// signatures is what is known about the age of a node's signatures, and what the log has
// said about it.
type signatures struct {
	stale  bool      // older than MaxSignatureAge
	warned time.Time // when the log last said so
	older  bool      // older than those of a sibling, by more than siblingDelay
}

// isStale reports whether a database is older than limit; 0 is no limit. A database of
// unknown age is not stale.
func isStale(database time.Time, limit time.Duration) bool {
	return limit > 0 && !database.IsZero() && time.Since(database) > limit
}

// checkAge records the age of the signatures of n, which may suspend it or end that. It is
// called with each version that n reports. It logs that they are old, once a day as long as
// they are, and then that they are recent again; and once, that they are older than those of
// a sibling.
func (p *pool) checkAge(n *node, database time.Time) {
	limit := p.config().MaxSignatureAge
	stale := isStale(database, limit)
	p.mu.Lock()
	was := n.signatures
	warn := stale && (!was.stale || time.Since(was.warned) >= staleReminder) && !n.health.Retired()
	p.setStale(n, stale)
	if warn {
		n.signatures.warned = time.Now()
	}
	suspended := p.isSuspended(n)
	older := p.newlyOlder()
	p.mu.Unlock()
	switch address := bounded(n.address); {
	case warn:
		e := p.log.Warn().Str("node", address).Str("age", days(time.Since(database))).Time("database_time", database.UTC()).
			Str("max_signature_age", days(limit))
		if suspended {
			e = e.Str("reason", "the node is not used until they are recent again (key stale)")
		}
		e.Msg("signatures are old")
	case was.stale && !stale:
		p.log.Info().Str("node", address).Time("database_time", database.UTC()).Msg("signatures are recent again")
	}
	for _, b := range older {
		p.log.Warn().Str("node", bounded(b.node.address)).Str("newest", bounded(b.newest.address)).Str("older_by", days(b.by)).
			Msg("signatures are older than another node's")
	}
}

// setStale records whether the signatures of n are old. Scans look for a node again if that
// changes which ones they may use. The caller holds mu.
func (p *pool) setStale(n *node, stale bool) {
	if n.signatures.stale == stale {
		return
	}
	n.signatures.stale = stale
	if p.config().SuspendStale {
		p.dispatchAll()
	}
}

// updateStale is setStale after a change of the configuration. The caller holds mu.
func (p *pool) updateStale(n *node) {
	if v, ok := n.versions.last(); ok {
		n.signatures.stale = isStale(v.DatabaseTime, p.config().MaxSignatureAge)
	}
}

// learnAge asks n for its version, before n can become up with signatures that would
// suspend it.
func (p *pool) learnAge(n *node) {
	if !p.config().SuspendStale {
		return
	}
	if v, ok := p.version(p.life, n); ok {
		p.checkAge(n, v.DatabaseTime)
	}
}

// checkSuspended makes the next check of n due soon if n is suspended, so that it is back
// soon after its signatures are updated.
func (p *pool) checkSuspended(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isSuspended(n) && n.health.DueBy(time.Now().Add(health.LastPause)) {
		p.wakeRun()
	}
}

// sibling is the node with the newest signatures, as seen from a node whose are much older.
type sibling struct {
	node, newest *node
	by           time.Duration
}

// olderNodes returns the nodes whose signatures are older than those of a sibling by more than
// siblingDelay. The caller holds mu.
func (p *pool) olderNodes() (list []sibling) {
	var newest *node
	var at time.Time
	for _, n := range p.nodes {
		if v, ok := n.versions.last(); ok && v.DatabaseTime.After(at) {
			newest, at = n, v.DatabaseTime
		}
	}
	for _, n := range p.nodes {
		v, ok := n.versions.last()
		if by := at.Sub(v.DatabaseTime); ok && !v.DatabaseTime.IsZero() && by > siblingDelay {
			list = append(list, sibling{n, newest, by})
		}
	}
	return list
}

// newlyOlder returns those of olderNodes that it has not returned before, unless they have
// caught up in the meantime. The caller holds mu.
func (p *pool) newlyOlder() (list []sibling) {
	now := p.olderNodes()
	for _, n := range p.nodes {
		i := slices.IndexFunc(now, func(b sibling) bool { return b.node == n })
		if i >= 0 && !n.signatures.older {
			list = append(list, now[i])
		}
		n.signatures.older = i >= 0 || n.signatures.older && !n.hasAge()
	}
	return list
}

// hasAge reports whether the age of the signatures of n is known. It is not for a moment
// after a RELOAD.
func (n *node) hasAge() bool {
	v, ok := n.versions.last()
	return ok && !v.DatabaseTime.IsZero()
}

// days formats an age for the log, in days if there is at least one.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch n := d / day; {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	}
	return d.Round(time.Second).String()
}
