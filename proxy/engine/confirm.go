package engine

import (
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine/internal/health"
)

// A result waits until its node has passed a health check that began after the answer, soon
// after another one that began before it. The node must also have reported the same version
// before the scan and after the answer. So the first results after a quiet time are not kept.
// What makes the node doubtful drops what waits: a failed check, a failed or hung node, no room for
// temporary files, other signatures.

const (
	// confirmSoon is how long the first result waits for a health check.
	confirmSoon = 2 * time.Second
	// confirmPause is the shortest time from the beginning of one such check to the next.
	confirmPause = 3 * time.Second
	// confirmShare bounds what these checks cost: the node has that many times as long for
	// scans. A check that waits long for its slots counts in full, so a busy node is
	// checked more rarely.
	confirmShare = 20
	// confirmWithin is the longest time between the checks before and after a result that
	// confirm it together. An engine that is blind for longer cannot be so between two of
	// them.
	confirmWithin = 9 * time.Second
)

// waiting holds the results of a node that are not confirmed yet. pool.mu guards it.
type waiting struct {
	results *cache.Pending // nil: there has not been any
	cache   *cache.Cache   // of results
	version string         // of all results, see versionText
	epoch   int            // counts drops: what was answered before one is not added after it
	checked time.Time      // when the last check began that found the node up; zero: dropped since
	took    time.Duration  // how long it took
}

// given is what a result in the cache is worth: the state of its node when it got the object.
type given struct {
	version string // see versionText
	known   bool   // version is known, or not needed
	epoch   int    // waiting.epoch
	reload  uint64 // the number of the last reload, on any host
}

// dropWaiting drops the results that wait. The caller holds mu.
func (n *node) dropWaiting() {
	n.waiting.epoch++
	n.waiting.checked = time.Time{}
	if n.waiting.results != nil {
		n.waiting.results.Drop()
	}
}

// beforeScan returns the state of n, which is about to get an object.
func (p *pool) beforeScan(n *node, c *Config) given {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, _, known := p.versionOf(n, c)
	last, isKnown := c.Cache.LastReload(c.key)
	return given{versionText(v), known && isKnown, n.waiting.epoch, last.Number}
}

// await lets a result of n wait. It does not if the node has been in doubt since it got the
// object. The caller holds mu.
func (p *pool) await(n *node, g given, c *Config, k cache.Key, e cache.Entry) {
	w := &n.waiting
	if !p.config().Canary || n.health.Retired() || n.health.State() != health.Up || w.epoch != g.epoch || e.Scanned.Before(n.changed) {
		return
	}
	if last, ok := c.Cache.LastReload(c.key); !ok || last.Number != 0 && e.Scanned.Before(last.Noticed.Add(loadTime)) {
		return // another host's node may be this one, and still be loading
	}
	if w.results == nil || w.cache != c.Cache || w.version != g.version {
		if w.results != nil {
			w.results.Drop()
		}
		*w = waiting{
			results: cache.NewPending(c.Cache), cache: c.Cache, version: g.version,
			epoch: w.epoch, checked: w.checked, took: w.took,
		}
	}
	if w.results.Add(k, e, c.CacheTTL) {
		p.confirmSoon(n)
	}
}

// confirmSoon makes a check of n due because results wait. The caller holds mu.
func (p *pool) confirmSoon(n *node) {
	w := &n.waiting
	due := time.Now().Add(confirmSoon)
	if earliest := w.checked.Add(max(confirmPause, confirmShare*w.took)); due.Before(earliest) {
		due = earliest
	}
	if n.health.DueBy(due) {
		p.wakeRun()
	}
}

// confirm adds to the cache what n answered before the health check c, which has found it up.
func (p *pool) confirm(n *node, c *health.Check, found proof) {
	p.mu.Lock()
	if n.waiting.checked.IsZero() || c.Began.Sub(n.waiting.checked) > confirmWithin {
		n.dropWaiting()
	}
	w := n.waiting // a copy: what waits may be dropped at any time
	n.waiting.checked, n.waiting.took = c.Began, time.Since(c.Began)
	p.mu.Unlock()
	if w.results == nil || !p.confirms(n, c, found, w) {
		return
	}
	if more := w.results.Confirm(c.Began); more {
		p.mu.Lock()
		p.confirmSoon(n)
		p.mu.Unlock()
	}
}

// confirms reports whether a health check confirms what waited when it ended, w. It drops
// that if the check shows the opposite.
func (p *pool) confirms(n *node, c *health.Check, found proof, w waiting) bool {
	version, known := "", true
	if _, ok := n.backend.(backends.Versioner); ok {
		var v backends.Version
		if v, known = p.versionSince(n, c.Began); known {
			version = versionText(v)
		} else if _, state := n.versions.recent(versionTrust); state == versionRefused {
			version, known = versionText(backends.Version{}), true
		}
	} else {
		version = versionText(backends.Version{})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case n.waiting.epoch != w.epoch:
		return false // dropped in the meantime
	case known && version != w.version, found.refused && !n.heuristics.refuses:
		n.dropWaiting()
		return false
	case !known, !found.learned && !n.heuristics.refuses:
		p.confirmSoon(n) // the next check may show it
		return false
	}
	return true
}
