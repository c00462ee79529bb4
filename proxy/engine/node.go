package engine

import (
	"time"

	"polyclam/backends"
	"polyclam/proxy/client"
	"polyclam/proxy/engine/internal/aimd"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/engine/internal/poison"
	"polyclam/proxy/engine/internal/timing"
)

// node is one address of an engine and its state.
type node struct {
	address  string
	identity string // see Node.Identity
	backend  backends.Backend
	versions versionCache
	counts   *nodeCounts

	// The rest is guarded by pool.mu.
	origin string  // the name that it was found by; empty: configured
	rank   int     // nodes of a lower rank come first
	share  float64 // of the load, compared with the others of its rank; 1: an equal one
	given  float64 // see pool.burden
	used   bool    // it is or was among the nodes of its pool

	health     *health.Node
	canary     Canary      // the last health check
	retryTimer *time.Timer // without health checks: makes a down node usable again
	reloading  bool        // its engine is loading signatures, see Reload
	drained    bool        // by an administrator, see Drain

	inFlight int
	held     map[client.Key]int // inFlight by client
	limit    aimd.Limit
	times    [timing.Classes]timing.Times
	evidence poison.Evidence

	heuristics  heuristics
	mail        mailHistory
	size        sizes
	versionText string // at the last health check
	signatures  signatures

	waiting waiting
	changed time.Time // when it may have got other signatures, or came back; zero: never
}

func newNode(n Node) *node {
	return &node{address: n.Address, identity: n.Identity, backend: n.Backend, counts: &nodeCounts{}, health: health.New(), share: 1}
}

// addressOf returns the address of n, or "" if n is nil.
func addressOf(n *node) string {
	if n == nil {
		return ""
	}
	return n.address
}

// sameConfig reports whether n and other are configured identically.
func (n *node) sameConfig(other *node) bool {
	return n == other || n.address == other.address && n.identity != "" && n.identity == other.identity
}

// loadTime is how long an engine may load signatures after it was asked to. clamd scans with
// the old ones until then, and its version does not show which it uses if only signatures of
// the site have changed. So the cache has nothing from that time.
const loadTime = 3 * time.Minute

// signaturesChanged records that n may have other signatures and limits from now on. The
// caller holds mu.
func (n *node) signaturesChanged() {
	n.versions.drop()
	n.size.renew()
	n.changedUntil(time.Now().Add(loadTime))
	n.dropWaiting()
}

// signaturesChanged is that of n, for all hosts that use the engine. The caller holds mu.
func (p *pool) signaturesChanged(n *node) {
	n.signaturesChanged()
	p.addReload()
}

// addReload makes results given before obsolete on all hosts that ask the engine.
func (p *pool) addReload() {
	if c := p.config(); c.Fingerprint != "" {
		c.Cache.AddReload(c.key)
	}
}

// changedUntil records that n may have got other signatures until t. A node that comes back
// while it may still be loading does not end that time. The caller holds mu.
func (n *node) changedUntil(t time.Time) {
	if t.After(n.changed) {
		n.changed = t
	}
}

// stopTimers stops the timers of a node that is no longer used. The caller holds mu.
func (n *node) stopTimers() {
	n.stopRetryTimer()
	n.size.stopTimer()
}

func (n *node) stopRetryTimer() {
	if n.retryTimer != nil {
		n.retryTimer.Stop()
		n.retryTimer = nil
	}
}
