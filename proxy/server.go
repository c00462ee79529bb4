// Package proxy is the core of the daemon. It takes clamd's commands from clients, has
// every engine scan the object, merges the results into one verdict and answers in
// clamd's words.
//
// A [Server] serves any number of listeners. Each connection is a session with one
// goroutine, which holds no buffer while it waits for a command. No engine sees an object
// before the spool holds all of it.
package proxy

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/protocol/extended"
	"polyclam/proxy/budget"
	"polyclam/proxy/engine"
	"polyclam/proxy/files"
	"polyclam/proxy/hook"
	"polyclam/proxy/lograte"
	"polyclam/proxy/rates"
	"polyclam/proxy/record"
	"polyclam/proxy/spool"
)

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = errors.New("proxy: server closed")

// ServerOptions are the parts of a Server.
type ServerOptions struct {
	Config  *Config
	Spool   *spool.Spool
	Log     zerolog.Logger
	Version string // polyclam's own version, for XSTATUS
	Records int64  // bytes for the records of recent scans; 0: RecordBytes
	// Stop is called for the SHUTDOWN command, where a listener allows it. It
	// must not wait for the server to end.
	Stop func()
	// LogLinesLost returns how many lines of the log have been dropped since the start; nil:
	// not known.
	LogLinesLost func() uint64

	now func() time.Time // of the limits on log lines, for tests; nil: time.Now
}

func (o *ServerOptions) clock() func() time.Time {
	if o.now == nil {
		return time.Now
	}
	return o.now
}

// Server answers clients. It is safe for concurrent use.
type Server struct {
	connections
	generations generations

	spool   *spool.Spool
	log     zerolog.Logger
	version string
	stop    func()
	started time.Time
	about   atomic.Pointer[extended.About]

	ctx    context.Context // ends when the grace of Shutdown is over
	cancel context.CancelCauseFunc

	objects   *budget.Descriptors // for objects of sessions, beyond one for each connection
	walking   *budget.Descriptors // for walks through directories
	unwatched watchList
	files     *files.Pool   // runs the operations on clients' files
	walks     *files.Memory // of the directory entries that walks hold
	hashes    *hashing      // of objects that are hashed after the reply
	onFind    *hook.Runner
	records   *record.Ring // of recent scans
	repeated  *lograte.Limiter
	tally     tally
	observers observers
	parting   parting
	ready     readiness
	rates     rates.Table // of the listeners
	counters  counters
	ledger    *engine.Ledger // of the engines' counters
	logLost   func() uint64

	requests  atomic.Uint64 // since the start
	running   scans
	reloading atomic.Int32 // engines that are loading signatures
}

// RecordBytes is the usual memory for the records of recent scans.
const RecordBytes = 8 << 20

// NewServer returns a server, and starts the health checks of its engines. Shutdown ends
// them.
func NewServer(o ServerOptions) *Server {
	s := &Server{
		spool: o.Spool, log: o.Log, version: o.Version, stop: o.Stop, started: time.Now(),
		files:  files.NewPool(0),
		walks:  files.NewMemory(),
		hashes: newHashing(),
		onFind: hook.NewRunner(o.Log),

		records:  record.NewRing(cmp.Or(o.Records, RecordBytes)),
		repeated: lograte.New(repeatPause, o.clock()),

		ledger: engine.NewLedger(), logLost: o.LogLinesLost,
	}
	if s.logLost == nil {
		s.logLost = func() uint64 { return 0 }
	}
	s.observers.init()
	s.generations.former = map[string]*Listener{}
	limits := func() Limits { return s.generations.config().Limits }
	s.connections.init(limits, o.Log)
	s.objects = budget.NewDescriptors(func() budget.Limit { return limits().sessionObjects() })
	s.walking = budget.NewDescriptors(func() budget.Limit { return limits().walkDescriptors() })
	s.SetAbout(extended.About{})
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.Apply(o.Config)
	return s
}

// Apply makes cfg the configuration of every command that begins from now on. Commands
// under way keep the one they began with. An engine in both configurations keeps its state.
// Every other old engine is closed after the last command that may use it.
func (s *Server) Apply(cfg *Config) {
	s.counters.apply(cfg, time.Now())
	s.ledger.Open(cfg.Engines)
	var gone []*engine.Engine
	if old := s.generations.config(); old != nil {
		gone = slices.Clone(old.Engines)
	}
	for _, e := range cfg.Engines {
		i := slices.IndexFunc(gone, e.Succeed)
		if i < 0 {
			go e.Run(s.ctx)
			continue
		}
		gone = slices.Delete(gone, i, i+1)
	}
	s.files.SetLimit(cfg.Limits.FileThreads)
	s.rates.Apply(cfg.rates())
	s.generations.add(cfg, gone)
	s.limitsChanged()
}

// Alive takes and releases every lock that commands need, one after another. It hangs if
// one of them is stuck. It does not wait for clients, engines or files: a busy server is
// alive.
func (s *Server) Alive() {
	s.isClosing()
	s.spool.Stats()
	s.running.list()
	s.Readiness()
	s.rates.Alive()
	s.records.Since()
	g := s.generations.hold()
	s.generations.release(g)
	for _, e := range g.cfg.Engines {
		e.Status()
	}
}
