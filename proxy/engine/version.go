package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"polyclam/backends"
)

const (
	versionAge  = 5 * time.Second // an older version is asked for again
	versionWait = time.Second     // how long somebody waits for the answer
	versionTime = 5 * time.Second // how long an engine may take to answer
)

// versionCache is what a node last said of its version.
type versionCache struct {
	mu      sync.Mutex
	value   backends.Version
	known   bool
	at      time.Time     // of the last answer, or refusal; zero: ask
	asking  chan struct{} // closed when the answer under way is there; nil: none
	since   time.Time     // of asking
	dropped int           // times value was dropped: an older answer is not kept
}

// Version is the version of the first node that can tell, preferring those that
// are up. It may be 5 s old, and older when the engine does not answer within
// a second; it is false if no node ever told.
func (u *pool) Version(ctx context.Context) (backends.Version, bool) {
	ctx, cancel := context.WithTimeout(ctx, versionWait)
	defer cancel()
	nodes := u.preferred()
	for _, n := range nodes { // all at once, lest one that hangs hide the others
		if v, ok := n.backend.(backends.Versioner); ok {
			u.askVersion(n, v)
		}
	}
	for _, n := range nodes {
		if v, ok := u.version(ctx, n); ok {
			return v, true
		}
	}
	return backends.Version{}, false
}

// preferred returns the nodes, those that are used for scans first.
func (u *pool) preferred() []*node {
	u.mu.Lock()
	defer u.mu.Unlock()
	var first, rest []*node
	for _, n := range u.nodes {
		if u.usable(n) {
			first = append(first, n)
		} else {
			rest = append(rest, n)
		}
	}
	return append(first, rest...)
}

// version is the version of n, from the cache if that is recent.
func (u *pool) version(ctx context.Context, n *node) (backends.Version, bool) {
	v, ok := n.backend.(backends.Versioner)
	if !ok {
		return backends.Version{}, false
	}
	if asking := u.askVersion(n, v); asking != nil {
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

// askVersion sees to it that n is being asked, if its version is old, and
// returns what is closed when it has answered. Nil: do not wait, it is recent,
// or others wait in vain already.
func (u *pool) askVersion(n *node, v backends.Versioner) <-chan struct{} {
	c := &n.versions
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.asking != nil {
		if now.Sub(c.since) >= versionWait {
			return nil
		}
		return c.asking
	}
	if !c.at.IsZero() && now.Sub(c.at) < versionAge {
		return nil
	}
	c.asking, c.since = make(chan struct{}), now
	go u.fetchVersion(n, v, c.dropped)
	return c.asking
}

func (u *pool) fetchVersion(n *node, v backends.Versioner, dropped int) {
	ctx, cancel := context.WithTimeout(u.life, versionTime)
	defer cancel()
	var version backends.Version
	err := errors.New("backend ended without an answer")
	defer func() {
		c := &n.versions
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.dropped == dropped {
			c.at = time.Now()
			if err == nil {
				c.value, c.known = version, true
			}
		}
		close(c.asking)
		c.asking = nil
	}()
	err = u.protect(n, func() (err error) {
		version, err = v.Version(ctx)
		return err
	})
}

func (c *versionCache) last() (backends.Version, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, c.known
}

// drop forgets the version: signatures were loaded anew.
func (c *versionCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value, c.known, c.at = backends.Version{}, false, time.Time{}
	c.dropped++
}

// compareVersion notes what n says it is. Another engine, or the same with other
// signatures, may have been started with other limits.
func (u *pool) compareVersion(n *node, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n.versionText != "" && n.versionText != text {
		n.renewSize()
	}
	n.versionText = text
}
