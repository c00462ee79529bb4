// Package engine asks one configured engine. It knows the engine's nodes and limits, picks
// a node that is able to detect malware, and asks another one when it fails.
//
// # Slots
//
// Every node has Config.MaxScans slots. A scan that finds all of them taken waits for the
// first slot that becomes free on any node it may use. Clients take turns; the scans of
// one client are served in the order in which they came. While more than one client asks,
// an eighth of a node's slots, but at least one, is kept back from each client for the
// others, unless the node has fewer than four.
//
// A slot stays taken until the backend has returned, so a hung engine never holds more
// than MaxScans scans. An engine that does not answer in time has fewer of its slots used
// for a while, see package aimd: it may serve several daemons.
//
// # Health
//
// A node is used while it proves that it can distinguish good from bad. A health check
// sends test objects through the same slots and the same Scan as real ones: first the
// clean control, a short text with a random nonce, then EICAR.
//
//	unknown   no check has finished yet. A scan that finds no node up starts a check,
//	          waits for it for ten seconds at most, and is then scanned or refused. So
//	          nothing is ever scanned by an engine of which nothing is known.
//	up        the clean control was ok and EICAR was found.
//	down      the node could not be reached, its engine failed or hangs, or two scans
//	          in a row had no answer. It is checked immediately, and again after 1 s,
//	          2 s ... 30 s, and at least every CanaryInterval. Scans that have no other
//	          node fail immediately, with the reason.
//	blind     the engine does not find EICAR (full temporary directory, empty database,
//	          expired licence), calls the clean control a virus, or asks polyclam itself,
//	          see [CameBack]. It is not used, even if every other node is down, until a
//	          check succeeds. Answers still under way are discarded.
//
// A check also shows whether the engine reports encryption, and whether it stops at the
// first heuristic finding: what it then calls encrypted or partial is suspicious, since
// the rest of the object was not scanned. The first check, and the first after something
// may have changed that, shows how large the objects are that the engine scans.
//
// Without a canary every node that is not down is used. One that is down is left alone for
// the same pauses; then one scan at a time tries it.
//
// # Several nodes
//
// A scan that a node fails is replayed on another one. So is a scan whose node is taken
// out, or is silent when half of the time is over. A scan that takes longer than usual is
// hedged: a second node gets it too, within a budget. The first answer wins.
//
// # How the package is built
//
// The parts that know neither the pool nor its mutex are packages of their own, below
// internal: the state machine of a node (health), tickets and turns (queue), the adaptive
// limit (aimd), usual times (timing), the budget of hedges (budget) and the objects on
// which engines die (poison). The files here come in layers. A file uses only its own
// layer and those above it:
//
//	pool, node, ticket           the data, under one mutex; canary, heuristics, size,
//	                             nonces and versioncache are parts of it
//	wait, slots, dispatch,       slots are handed out
//	acquire, state               a node changes its state
//	question, ask, settle,       one object is put to one node, and what the answer says
//	poison                       about both
//	check, try, learn,           health checks, and what else a node is asked
//	checksize, version
//	run, reload, status          the schedule of checks, RELOAD, the status
//	scan, race, hedge,           one scan over several nodes; a new configuration
//	succeed, selfcheck
package engine

import (
	"context"
	"time"
)

// Engine is one configured engine. It is made by [New] and safe for concurrent use. A scan
// that has begun keeps its Engine, and so its configuration; the nodes may outlive it, see
// [Engine.Succeed].
type Engine struct {
	cfg *Config
	*pool
}

// New returns the engine for cfg. It asks nothing and starts nothing: call Run in a
// goroutine for the health checks, and Close when done.
func New(cfg Config) *Engine {
	cfg.setDefaults()
	p := newPool(&cfg)
	p.runCheck = p.check
	return &Engine{cfg: &cfg, pool: p}
}

// Name is the engine's name in the configuration.
func (e *Engine) Name() string { return e.cfg.Name }

// Kind is the engine's key in the registry of backends.
func (e *Engine) Kind() string { return e.cfg.Kind }

// Required reports whether the engine's failure always counts.
func (e *Engine) Required() bool { return e.cfg.Required }

// MaxDelay is how long a reply waits for the engine after the others have answered, if it
// is not required.
func (e *Engine) MaxDelay() time.Duration { return e.cfg.MaxDelay }

// Close ends an engine that a reload has replaced. Health checks end, scans in flight
// finish, then backends that are io.Closers are closed. A later scan, of a command begun
// before the reload, is still passed on, and its backend's Close is called once more after
// it. Close does not wait for scans, and waits one second at most for the backends. It may
// be called again.
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
