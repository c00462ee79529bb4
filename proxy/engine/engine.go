// Package engine asks one configured engine: it knows its nodes and limits,
// picks a node that detects things, and asks another when one fails.
//
// # Slots
//
// Every node has Config.MaxScans slots. A scan that finds all of them taken waits for
// the first one that becomes free on any node it may use. Clients take turns; the scans
// of one client are served in the order in which they came. While more than one client
// asks, an eighth of a node's slots, one at least, is kept back from each of them for
// the others, unless the node has fewer than four.
//
// A slot stays taken until the backend has really returned, so a hung engine never
// holds more than MaxScans scans. An engine that does not answer in time has fewer of
// its slots used for a while, see limit: it may have several daemons to serve.
//
// # Health
//
// A node is used while it proves that it can distinguish good from bad. A health
// check sends test objects through the same slots and the same Scan as real ones:
// first the clean control, a short text with a random nonce, then EICAR.
//
//	unknown   no check has come back yet. A scan that finds no node known to be
//	          up starts a check, waits for it for ten seconds at most, and is then
//	          scanned or refused; so nothing is ever scanned by an engine of
//	          which nothing is known.
//	up        the clean control was ok and EICAR was found.
//	down      the node could not be reached, its engine failed or hangs, or two
//	          scans in a row had no answer. It is checked immediately, and again
//	          after 1 s, 2 s ... 30 s, and not more rarely than CanaryInterval. Scans
//	          that have no other node fail immediately, with the reason.
//	blind     the engine does not find EICAR (full temporary directory, empty
//	          database, expired licence), calls the clean control a virus, or asks
//	          polyclam itself: see [CameBack]. It is not used, whatever else is
//	          down, until a check succeeds, and an answer still under way when
//	          this comes out is thrown away.
//
// A check also shows whether the engine reports encryption, and whether it stops at
// the first heuristic finding: what it then calls encrypted or partial is suspicious,
// since the rest of the object was not scanned. The first one, and the first after
// something may have changed that, shows how large the objects are that the engine
// scans.
//
// Without a canary every node that is not down is used. One that is down is left alone
// for such a pause; then one scan at a time tries it.
//
// # Two nodes
//
// A scan that a node fails is given to another, and so is one whose node is taken out or
// silent when half of the time is over. One that takes longer than usual is hedged: put
// to a second node too, within a budget. The first answer wins. See race.
package engine

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// The defaults of a [Config].
const (
	DefaultTimeout        = 60 * time.Second
	DefaultMaxScans       = 10 // clamd 1.4.6's MaxThreads
	DefaultCanaryInterval = 5 * time.Minute
)

// Node is one address of an engine.
type Node struct {
	Address string // as in the configuration; empty for an engine without one
	Backend backends.Backend
	// Identity identifies everything that the backend was made from. A reload keeps a
	// node whose address and identity stay the same; an empty identity is never the same.
	Identity string
}

// Config is one [[engine]] of the configuration. It is not changed once in
// use.
type Config struct {
	Name     string
	Kind     string // the key of the registry
	Required bool
	// Timeout bounds one scan from the moment it has a slot, replays included;
	// 0: DefaultTimeout.
	Timeout  time.Duration
	MaxScans int   // in flight on each node; 0: DefaultMaxScans
	MaxSize  int64 // larger contents are not sent: Partial; 0: no limit
	// Canary says that nodes must pass health checks to be used.
	Canary         bool
	CanaryInterval time.Duration // 0: DefaultCanaryInterval
	// MaxDelay is how long an answer waits for this engine, if it is not required, after
	// the others have answered; 0: a tenth of Timeout.
	MaxDelay time.Duration
	// PoisonTime is how long an object is not given to the engine after it has died or
	// hung on it maxStrikes times; 0: it always is.
	PoisonTime time.Duration
	Nodes      []Node
	Log        zerolog.Logger

	// NoHedge says that a slow node is waited for: no object is put to two nodes at a
	// time. Backends with [backends.SideEffects] never are hedged.
	NoHedge bool

	// SizeCheck says that nodes are asked whether they scan objects as large as are
	// sent to them, see checkSize.
	SizeCheck bool
	// MaxStream is the largest stream that listeners take; 0: no limit. The size
	// check uses it where MaxSize is 0.
	MaxStream int64

	// Spool makes the content of a test object the way real content is kept, so
	// that the health check proves the spool's permissions too; release is called
	// once, when nothing reads the content any more. Nil: anonymous memory, whose
	// Path only processes of the same user can open.
	Spool func(data *io.SectionReader) (o backends.Object, release func(), err error)
}

// Engine is one configured engine. It is made by [New] and safe for
// concurrent use. A scan that has begun keeps the Engine it began with, and so its
// configuration; the nodes behind it may live on over reloads, see [Engine.Succeed].
type Engine struct {
	cfg *Config
	*pool
}

// pool is the nodes of an engine and the queue for their slots, with what is known of
// them. It outlives the [Engine] that a reload replaces.
type pool struct {
	current atomic.Pointer[Config] // of the newest Engine
	log     zerolog.Logger
	wake    chan struct{}   // tells Run that a canary became due
	life    context.Context // ends with Close
	end     context.CancelCauseFunc
	scans   atomic.Uint64
	failed  atomic.Uint64
	replay  atomic.Uint64

	budget    budget        // of hedges
	hedged    atomic.Uint64 // scans put to a second node
	hedgesWon atomic.Uint64 // that the second node answered first
	suspects  suspects

	mu       sync.Mutex
	nodes    []*node
	queue    queue
	recent   recent // clients
	shared   bool   // between them: some slots are kept back
	hashing  int    // objects that are hashed in the background
	rotation int    // index of the node to begin looking at
	inFlight int    // slots taken on all nodes
	closing  bool

	reloading  bool // a Reload is under way
	reloadNext bool // another one has to follow it
}

// config is the configuration that is in force for everything but scans that began
// before a reload.
func (u *pool) config() *Config { return u.current.Load() }

// New returns the engine for cfg. It asks nothing and starts nothing: call
// Run in a goroutine for the canaries, and Close when done.
func New(cfg Config) *Engine {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxDelay <= 0 {
		cfg.MaxDelay = cfg.Timeout / 10
	}
	if cfg.MaxScans <= 0 {
		cfg.MaxScans = DefaultMaxScans
	}
	if cfg.CanaryInterval <= 0 {
		cfg.CanaryInterval = DefaultCanaryInterval
	}
	if cfg.Spool == nil {
		cfg.Spool = inMemory
	}
	p := &pool{
		log:  cfg.Log.With().Str("engine", bounded(cfg.Name)).Logger(),
		wake: make(chan struct{}, 1),
	}
	p.current.Store(&cfg)
	p.life, p.end = context.WithCancelCause(context.Background())
	for _, n := range cfg.Nodes {
		p.nodes = append(p.nodes, newNode(n))
	}
	return &Engine{cfg: &cfg, pool: p}
}

// Name is the engine's name in the configuration.
func (u *Engine) Name() string { return u.cfg.Name }

// Kind is the engine's key in the registry of backends.
func (u *Engine) Kind() string { return u.cfg.Kind }

// Required says whether the engine's failure counts in any case.
func (u *Engine) Required() bool { return u.cfg.Required }

// MaxDelay is how long an answer waits for the engine after the others, if it is not
// required.
func (u *Engine) MaxDelay() time.Duration { return u.cfg.MaxDelay }

// Scan asks the engine about c; with all set for every match, if it can. It
// always comes back with a report: a panic of the backend, a category that does
// not exist, no healthy node and the end of time are errors in it. It returns
// within 100 ms after the end of ctx or of Config.Timeout, even when the backend
// does not.
//
// A scan that waits for a slot is bounded by ctx; by Config.Timeout if ctx has
// no deadline. A node that fails is replaced by another one while time remains,
// each being asked once.
//
// c stays the caller's. When a hung backend has to be left behind with it, and c
// has the methods Retain() and Release(), Retain is called before Scan returns
// and Release when the backend is through.
func (u *Engine) Scan(ctx context.Context, o backends.Object, all bool) (report policy.Report) {
	begin := time.Now()
	u.scans.Add(1)
	defer func() {
		if p := recover(); p != nil {
			report.Result, report.Err = backends.Result{}, u.panicked(report.Node, p)
		}
		report.Engine, report.Required = u.cfg.Name, u.cfg.Required
		report.Elapsed = time.Since(begin)
		if report.Err != nil && ctx.Err() != context.Canceled {
			u.failed.Add(1)
		}
	}()
	if size := o.Size(); u.cfg.MaxSize > 0 && size > u.cfg.MaxSize {
		report.Result = tooLarge(size, u.cfg.MaxSize)
		return report
	}
	report.Result, report.Node, report.Err = u.scan(ctx, o, all)
	return report
}

// firstSlot is acquire with a bound for a caller that has none.
func (u *Engine) firstSlot(ctx context.Context, t *ticket) (*node, error) {
	if _, ok := ctx.Deadline(); ok {
		return u.acquire(ctx, t)
	}
	ctx, cancel := limited(ctx, u.cfg.Timeout)
	defer cancel()
	return u.acquire(ctx, t)
}

// tooLarge is the result for content that is not sent. It has the name that
// clamd 1.4.6 gives with AlertExceedsMax.
func tooLarge(size, limit int64) backends.Result {
	return backends.Result{
		Category: backends.Partial,
		Code:     backends.NoCode,
		Findings: []backends.Finding{{Name: "Heuristics.Limits.Exceeded.MaxSize", Category: backends.Partial}},
		Detail:   fmt.Sprintf("%d bytes are more than max_size, %d: not sent", size, limit),
	}
}

// Close is for an engine that a reload has replaced. Canaries end, scans in
// flight finish, then the backends that are io.Closers are closed. A scan that
// comes later (of a command begun before the reload) is still passed on, and
// its backend's Close is called once more after it. Close does not wait for
// scans, and for the backends a second at most; it may be called again.
func (u *Engine) Close() {
	u.mu.Lock()
	again := u.closing
	u.closing = true
	idle := u.inFlight == 0
	for _, n := range u.nodes {
		n.stopTimer()
		n.stopSizeTimer()
	}
	u.mu.Unlock()
	u.end(CalledOff("the engine is closed"))
	if again || !idle {
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		u.closeBackends()
	}()
	patience := time.NewTimer(time.Second)
	defer patience.Stop()
	select {
	case <-closed:
	case <-patience.C:
	}
}

func (u *pool) closeBackends() {
	u.mu.Lock()
	nodes := u.nodes
	u.mu.Unlock()
	for _, n := range nodes {
		closeBackend(u, n)
	}
}
