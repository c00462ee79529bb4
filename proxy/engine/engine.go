// Package engine sends objects to one configured engine. It picks a node that is proven to
// detect malware, keeps to the node's limits, and tries another node when one fails.
//
// # Slots
//
// Every node has Config.MaxScans slots. A scan that finds them all taken waits for the
// first free slot on any node that it may use. Clients take turns; each client's scans are
// served in order of arrival. While several clients are active, none of them may take the
// last eighth of a node's slots (at least one slot; none if the node has fewer than four).
//
// A slot stays taken until the backend returns, so a hung engine never holds more than
// MaxScans scans. When an engine does not answer in time, fewer of its slots are used for a
// while, see package aimd: it may serve several daemons.
//
// # Health
//
// A node is used as long as it detects malware. A health check sends test objects
// through the same slots and the same Scan as real ones: first the clean control, a short
// text with a random nonce, then EICAR.
//
//	unknown   no check has finished yet. A scan that finds no node up starts a check,
//	          waits at most ten seconds for it, and then runs or fails. So no object
//	          ever goes to an engine that has not been checked.
//	up        the clean control was ok and EICAR was found.
//	down      the node could not be reached, its engine failed or hangs, or two scans
//	          in a row were not answered. It is checked immediately, and again after
//	          1 s, 2 s ... 30 s, and at least every CanaryInterval. A scan that has no
//	          other node fails immediately, with the reason.
//	blind     the engine does not find EICAR (full temporary directory, empty database,
//	          expired licence), or no longer in a mail, cannot write its temporary files,
//	          calls the clean control a virus, or asks polyclam itself, see [CameBack]. It is not used, even if every other node is down, until a
//	          check succeeds. Answers still under way are discarded.
//
// A check also shows whether the engine unpacks mail and reports encryption, and whether it stops at the
// first heuristic finding. If it does, its encrypted and partial results count as
// suspicious, since the rest of the object was not scanned. The first check, and the first
// one after a possible change, also finds the size of the largest object that the engine
// scans.
//
// A node that an administrator has drained, or whose signatures are too old, gets no new
// scans whatever its state is, and is checked as before.
//
// Without a canary, every node that is not down is used. A node that is down gets no scans
// for the same pauses; then one scan at a time tries it.
//
// # Several nodes
//
// A scan that fails on one node is replayed on another. So is a scan whose node is taken
// out, or has been silent for half of the scan's time. A scan that takes longer than usual
// is hedged: a second node gets it too, within a budget. The first answer wins.
//
// # Cache
//
// Where Config.Cache is set, [LookUp] looks for the results of all engines together before an
// object gets any slot, by what it contains and by what the engine reports about its program
// and signatures. A result is kept if the answer was complete, polyclam has not corrected it,
// and the node then passes a health check that began after the answer, see confirm.go. Identical
// objects are scanned together, see coalesce.go. Test objects and [Engine.Observe] do neither.
//
// # Files
//
// The parts that need neither the pool nor its mutex are internal packages: node states
// (health), tickets and turns (queue), the adaptive limit (aimd), usual scan times
// (timing), the hedging budget (budget) and objects that engines die on (poison). The files
// here form layers. A file uses only its own layer and those above it:
//
//	pool, node, ticket           the data, under one mutex; canary, heuristics, mail,
//	                             size, nonces and versioncache are parts of it
//	withdrawn, stale             nodes that get no scans although they are healthy
//	wait, slots, dispatch,       slots are handed out
//	acquire, state               a node changes its state
//	question, ask, outcome,      one object is sent to one node, and what the answer says
//	poison                       about both
//	check, try, learn, mailcheck, health checks, and what else a node is asked
//	checksize, version
//	run, reload, status          the schedule of checks, RELOAD, the status
//	cachekey, cacheversion,      which results may be in the cache, and when they are
//	cacheable, confirm           confirmed
//	scan, race, inline, hedge,   one scan over several nodes; a new configuration
//	observe, succeed, selfcheck,
//	steer
//	cached, coalesce             no scan: the result is known, or an identical scan runs
package engine

import (
	"context"
	"time"
)

// Engine is one configured engine, made by [New]. It is safe for concurrent use. A scan
// keeps the Engine, and so the configuration, that it began with. Nodes may outlive their
// Engine, see [Engine.Succeed].
type Engine struct {
	cfg        *Config
	modeChange int // pool.modeChanges with this configuration

	sharedStore bool // hosts share what the cache has
	*pool
}

// New returns the engine for cfg. It neither contacts nor starts anything: call Run in a
// goroutine for the health checks, and Close when done.
func New(cfg Config) *Engine {
	cfg.setDefaults()
	p := newPool(&cfg)
	p.runCheck = p.check
	if cfg.caches() {
		cfg.Cache.LastReload(cfg.key) // so that the store is asked before the first scan
	}
	return &Engine{cfg: &cfg, sharedStore: cfg.Cache.Stats().Shared != nil, pool: p}
}

// Name is the engine's name in the configuration.
func (e *Engine) Name() string { return e.cfg.Name }

// Kind is the engine's key in the registry of backends.
func (e *Engine) Kind() string { return e.cfg.Kind }

// Required reports whether failures of the engine always count.
func (e *Engine) Required() bool { return e.cfg.Required }

// MaxDelay is how long a reply waits for the engine, if it is not required, after the
// others have answered.
func (e *Engine) MaxDelay() time.Duration { return e.cfg.MaxDelay }

// Close ends an engine that a reload has replaced. Health checks end, scans in flight
// finish, then backends that are io.Closers are closed. A command that began before the
// reload may still scan after that; its backend is then closed once more. Close does not
// wait for scans, and waits at most one second for the backends. It may be called again.
func (e *Engine) Close() {
	e.mu.Lock()
	again := e.closing
	e.closing = true
	idle := e.inFlight == 0
	for _, n := range e.nodes {
		n.stopTimers()
	}
	e.mu.Unlock()
	e.end(CalledOff("the engine is closed"))
	if again || !idle {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	go func() {
		defer cancel()
		e.closeBackends()
	}()
	<-ctx.Done()
}
