package engine

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/budget"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/engine/internal/poison"
	"polyclam/proxy/engine/internal/queue"
)

// pool holds the nodes of an engine and the queue for their slots. It outlives an [Engine]
// that a reload replaces.
type pool struct {
	current atomic.Pointer[Config] // of the newest Engine
	log     zerolog.Logger
	wake    chan struct{}   // makes Run look at its nodes again
	life    context.Context // ends with Close
	end     context.CancelCauseFunc
	// runCheck runs one health check. It is a field, set once, because slots start
	// checks, and checks need slots.
	runCheck func(context.Context, *node, *health.Check)

	counts *engineCounts
	budget budget.Budget // of hedges
	poison poison.List

	flights flights
	kept    atomic.Bool // the cache may have results

	set         atomic.Pointer[setMode] // nil: SetMode was never called
	modeChanges int                     // of the configured mode, by reloads; guarded by mu

	mu       sync.Mutex
	nodes    []*node // those of fixed and names, without duplicates, see rebuild
	queue    queue.Queue[*node, *ticket]
	inline   inlineScans
	recent   queue.Recent // clients
	shared   bool         // some slots are kept back for other clients
	hashing  int          // objects being hashed in the background
	rotation int          // index of the node to look at first
	inFlight int          // slots taken on all nodes
	closing  bool

	fixed      []*node // those of Config.Nodes
	names      []*name
	candidates map[*node]bool // all nodes of names; some of them may not be in use
	leaving    []*node        // no longer wanted, but with scans; they may come back
	short      bool           // nodes wait for leaving ones to end
	ranked     bool           // nodes differ in rank
	weighted   bool           // nodes differ in their share
	changed    time.Time      // until when nodes that are gone may have got other signatures
	parked     []string       // addresses whose nodes were drained when they left
	ledger     *Ledger        // nil: none

	reloading  bool // a Reload is under way
	reloadNext bool // another one follows
}

func newPool(cfg *Config) *pool {
	p := &pool{
		log:  cfg.Log.With().Str("engine", bounded(cfg.Name)).Logger(),
		wake: make(chan struct{}, 1), counts: &engineCounts{}, candidates: map[*node]bool{},
	}
	p.current.Store(cfg)
	p.life, p.end = context.WithCancelCause(context.Background())
	for _, n := range cfg.Nodes {
		p.fixed = append(p.fixed, newNode(n))
	}
	for _, n := range cfg.Names {
		p.names = append(p.names, newName(n))
	}
	p.rebuild()
	return p
}

// config returns the current configuration. Scans that began before a reload use that of
// their Engine.
func (p *pool) config() *Config { return p.current.Load() }

// usable reports whether scans may use n. The caller holds mu.
func (p *pool) usable(n *node) bool {
	return !p.isWithdrawn(n) && n.health.Usable(p.config().Canary, n.inFlight > 0)
}

func (p *pool) isRetired(n *node) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return n.health.Retired()
}

// wakeRun makes Run look at its nodes again.
func (p *pool) wakeRun() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// withTimeout bounds one scan by Config.Timeout.
func withTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, &backends.TimeoutError{After: timeout, Key: "timeout"})
}

// protect runs f and turns a panic into an error.
func (p *pool) protect(n *node, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = p.panicked(n.address, v)
		}
	}()
	return f()
}

// panicked logs a panic with its stack, which the error cannot carry to a client.
func (p *pool) panicked(address string, v any) error {
	text := bounded(fmt.Sprint(v))
	stack := debug.Stack()
	p.log.Error().Str("node", bounded(address)).Str("panic", text).
		Bytes("stack", stack[:min(len(stack), 4096)]).Msg("backend panicked")
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: "backend panicked: " + text}
}

func (p *pool) closeBackends() {
	p.mu.Lock()
	nodes := slices.Clone(p.nodes)
	for n := range p.candidates {
		if !slices.Contains(nodes, n) && !slices.Contains(p.leaving, n) {
			nodes = append(nodes, n)
		}
	}
	p.mu.Unlock()
	for _, n := range nodes {
		p.closeBackend(n)
	}
}

// closeBackend closes the backend of n, if it can be closed, and drops references to n.
func (p *pool) closeBackend(n *node) {
	ownNonces.release(n)
	closer, ok := n.backend.(io.Closer)
	if !ok {
		return
	}
	if err := p.protect(n, closer.Close); err != nil {
		p.log.Debug().Str("node", bounded(n.address)).Str("reason", bounded(err.Error())).Msg("backend close")
	}
}
