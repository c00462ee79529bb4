package engine

import (
	"context"
	"errors"
	"time"

	"polyclam/backends"
)

const (
	versionAge  = 5 * time.Second // an older version is asked for again
	versionWait = time.Second     // how long a caller waits for the answer
	versionTime = 5 * time.Second // how long an engine may take to answer
)

// Version returns the version of the first node that reports one, preferring nodes that are
// up. It may be 5 s old, or older if the engine does not answer within a second. Version
// returns false if no node has ever reported one.
func (p *pool) Version(ctx context.Context) (backends.Version, bool) {
	ctx, cancel := context.WithTimeout(ctx, versionWait)
	defer cancel()
	nodes := p.preferred()
	for _, n := range nodes { // ask all first, so that one that hangs does not delay the others
		if v, ok := n.backend.(backends.Versioner); ok {
			p.askVersion(n, v)
		}
	}
	for _, n := range nodes {
		if v, ok := p.version(ctx, n); ok {
			return v, true
		}
	}
	return backends.Version{}, false
}

// preferred returns the nodes, the usable ones first.
func (p *pool) preferred() []*node {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first, rest []*node
	for _, n := range p.nodes {
		if p.usable(n) {
			first = append(first, n)
		} else {
			rest = append(rest, n)
		}
	}
	return append(first, rest...)
}

// version is the version of n, from the cache if that is recent.
func (p *pool) version(ctx context.Context, n *node) (backends.Version, bool) {
	v, ok := n.backend.(backends.Versioner)
	if !ok {
		return backends.Version{}, false
	}
	if asking := p.askVersion(n, v); asking != nil {
		patience := time.NewTimer(versionWait)
		defer patience.Stop()
		select {
		case <-asking:
		case <-ctx.Done():
		case <-patience.C:
		}
	}
	return n.versions.last()
}

// askVersion asks n for its version if the cached one is old. It returns a channel that is
// closed when n answers. It returns nil if waiting is pointless: the version is recent, or
// earlier callers have already waited in vain.
func (p *pool) askVersion(n *node, v backends.Versioner) <-chan struct{} {
	return p.askVersionUnless(n, v, func(c *versionCache, now time.Time) bool {
		return !c.at.IsZero() && now.Sub(c.at) < versionAge
	})
}

// askVersionSince is askVersion unless n has answered a question since begin.
func (p *pool) askVersionSince(n *node, v backends.Versioner, begin time.Time) <-chan struct{} {
	return p.askVersionUnless(n, v, func(c *versionCache, _ time.Time) bool {
		return c.known && !c.asked.Before(begin)
	})
}

func (p *pool) askVersionUnless(n *node, v backends.Versioner, recent func(*versionCache, time.Time) bool) <-chan struct{} {
	c := &n.versions
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.asking != nil {
		if now.Sub(c.begun) >= versionWait {
			return nil
		}
		return c.asking
	}
	if recent(c, now) {
		return nil
	}
	c.asking, c.begun = make(chan struct{}), now
	go p.fetchVersion(n, v, c.dropped)
	return c.asking
}

func (p *pool) fetchVersion(n *node, v backends.Versioner, dropped int) {
	ctx, cancel := context.WithTimeout(p.life, versionTime)
	defer cancel()
	var version backends.Version
	err := errors.New("backend ended without an answer")
	defer func() {
		if n.versions.endAsking(version, err == nil, dropped) {
			p.checkAge(n, version.DatabaseTime)
		}
	}()
	err = p.protect(n, func() (err error) {
		version, err = v.Version(p.traced(ctx, n, forVersion))
		return err
	})
}

// compareVersion renews the size check if n reports a different version: its limits may
// have changed with it.
func (p *pool) compareVersion(n *node, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.versionText != "" && n.versionText != text {
		n.size.renew()
	}
	n.versionText = text
}
