package engine

import (
	"time"

	"polyclam/backends"
)

const (
	// versionTrust is how old a version may be to look for results that were given with it.
	versionTrust = 2 * versionAge
	// versionBudget is how long a lookup waits for a version that is older.
	versionBudget = 20 * time.Millisecond
)

// signatureState is what results in the cache must have been given with.
type signatureState struct {
	version string    // see versionText; empty: the engine reports none
	since   time.Time // older results are obsolete: signatures were loaded, or a node was down
	reload  uint64    // the number of the last reload, on any host
}

// signaturesNow returns what results must have been given with to be used for a scan that
// begins now. If the nodes have different signatures, those are the newest. It returns false
// if that is not known. asking is then a question to a node, if there is one, whose answer
// may change that. It neither waits nor contacts a node itself.
func (p *pool) signaturesNow(c *Config) (s signatureState, asking <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.since = p.changed
	var newest backends.Version
	nodes, ok := 0, true
	for _, n := range p.nodes {
		if !p.usable(n) {
			continue
		}
		v, wait, known := p.versionOf(n, c)
		if wait != nil && !known {
			asking = wait
		}
		if !known {
			ok = false
			continue
		}
		if n.changed.After(s.since) {
			s.since = n.changed
		}
		text := versionText(v)
		switch nodes++; {
		case nodes == 1 || v.DatabaseTime.After(newest.DatabaseTime):
			newest, s.version = v, text
		case text != s.version && !v.DatabaseTime.Before(newest.DatabaseTime):
			ok = false // nothing shows which is newer
		}
	}
	last, isKnown := c.Cache.LastReload(c.key)
	s.reload = last.Number
	return s, asking, ok && nodes > 0 && isKnown
}

// versionOf returns the version of n, if it is recent and says which signatures it has, or
// if c does not require that. Otherwise it returns the question to n that is under way.
func (p *pool) versionOf(n *node, c *Config) (v backends.Version, asking <-chan struct{}, ok bool) {
	r, isVersioner := n.backend.(backends.Versioner)
	if !isVersioner {
		return backends.Version{}, nil, c.CacheUnversioned
	}
	asking = p.askVersion(n, r)
	switch v, state := n.versions.recent(versionTrust); state {
	case versionKnown:
		return v, asking, hasDatabase(v) || c.CacheUnversioned
	case versionRefused:
		return backends.Version{}, asking, c.CacheUnversioned
	}
	return backends.Version{}, asking, false
}

// versionSince returns a version that n was asked for at begin or later. It waits for the
// answer, at most twice as long as other callers.
func (p *pool) versionSince(n *node, begin time.Time) (v backends.Version, known bool) {
	r, ok := n.backend.(backends.Versioner)
	if !ok {
		return backends.Version{}, false
	}
	for range 2 { // a question under way may have been asked before
		asking := p.askVersionSince(n, r, begin)
		if asking == nil {
			break
		}
		patience := time.NewTimer(versionWait)
		select {
		case <-asking:
		case <-p.life.Done():
		case <-patience.C:
		}
		patience.Stop()
	}
	return n.versions.since(begin)
}
