// Package proxy is the daemon's core: it takes clamd's commands from clients, has
// every engine scan the content, merges what they found and says it in clamd's
// words.
//
// A [Server] serves any number of listeners. Each client's connection is a session,
// one goroutine that waits for a command without holding a buffer; the content is
// received whole into the spool before any engine is asked.
package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/protocol"
	"polyclam/proxy/client"
	"polyclam/proxy/files"
	"polyclam/proxy/spool"
)

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = errors.New("proxy: server closed")

// ServerOptions is what a Server is made of.
type ServerOptions struct {
	Config  *Config
	Spool   *spool.Spool
	Log     zerolog.Logger
	Version string // polyclam's own version, for XSTATUS
	// Stop is called for the SHUTDOWN command, where a listener allows it. It
	// must not wait for the server to end.
	Stop func()
}

// Server answers clients. It is safe for concurrent use.
type Server struct {
	cfg     atomic.Pointer[Config] // of the newest generation
	spool   *spool.Spool
	log     zerolog.Logger
	version string
	stop    func()
	started time.Time

	ctx    context.Context // ends when the grace of Shutdown is over
	cancel context.CancelCauseFunc

	objects   objects // of sessions, beyond one for each connection
	walking   objects // descriptors of walks through directories
	unwatched watchList
	files     *files.Pool   // of operations on what clients hand over
	walks     *files.Memory // of these walks
	hashes    *hashing      // of what is hashed after its reply

	requests  atomic.Uint64 // the last request's number
	running   scans
	reloading atomic.Int32 // engines that are loading signatures

	serving sync.WaitGroup // calls of Serve

	mu          sync.Mutex
	generations []*generation     // in use, the oldest first
	room        *sync.Cond        // signalled when a connection ends
	stopping    bool              // Shutdown has begun; what is in the backlogs is still accepted
	closing     bool              // nothing is accepted any more
	sessions    map[*session]bool // true: waiting for a command
	places      places
	listeners   map[net.Listener]struct{}
	former      map[string]*Listener // by address: removed by a reload
	wg          sync.WaitGroup
}

// NewServer returns a server that runs the health checks of its engines from now
// on. Shutdown ends them.
func NewServer(o ServerOptions) *Server {
	s := &Server{
		spool: o.Spool, log: o.Log, version: o.Version, stop: o.Stop, started: time.Now(),
		sessions:  map[*session]bool{},
		listeners: map[net.Listener]struct{}{},
		former:    map[string]*Listener{},
		files:     files.NewPool(0),
		walks:     files.NewMemory(),
		hashes:    newHashing(),
	}
	s.room = sync.NewCond(&s.mu)
	limits := func() Limits { return s.cfg.Load().Limits }
	s.objects.limits, s.objects.total = limits, Limits.SessionObjects
	s.walking.limits, s.walking.total = limits, Limits.WalkDescriptors
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.Apply(o.Config)
	return s
}

// Serve answers the clients of ln, which is the configuration's listener of that
// address, until ln is closed or Shutdown is called. It always returns an error:
// ErrServerClosed after Shutdown, otherwise that of Accept.
func (s *Server) Serve(ln net.Listener, address string) error {
	if !s.track(ln) {
		ln.Close()
		return ErrServerClosed
	}
	defer s.untrack(ln)
	a := acceptor{srv: s, ln: ln, address: address}
	for {
		if !s.waitForRoom() {
			return ErrServerClosed
		}
		nc, err := a.next()
		if err != nil {
			s.leave()
			if err := a.failed(err); err != nil {
				return err
			}
			continue
		}
		s.start(nc, address)
	}
}

// start serves nc, or lets it wait until its client may have one more. A listener that was
// never in the configuration serves no client.
func (s *Server) start(nc net.Conn, address string) {
	key := client.Of(nc)
	c := &session{
		srv: s, nc: nc, conn: protocol.NewConn(nc), key: key, ctx: client.NewContext(s.ctx, key),
		address: address, lst: s.listener(address),
	}
	if c.lst == nil {
		nc.Close()
		s.leave()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		nc.Close()
		s.places.accepts--
		return
	}
	if !s.admit(c) {
		nc.Close()
	}
}

// end is the last thing a session does.
func (s *Server) end(c *session) {
	s.mu.Lock()
	s.depart(c)
	s.mu.Unlock()
	s.wg.Done()
}

// idle marks c as waiting for a command. It reports false when the server is
// closing and no further command is to be read.
func (s *Server) idle(c *session, timeout time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping && c.begun {
		return false
	}
	if s.stopping {
		timeout = min(timeout, firstCommand)
	}
	s.sessions[c] = true
	c.conn.SetReadDeadline(time.Now().Add(timeout)) // under mu, or it undoes Shutdown's
	return true
}

// busy marks c as having a command to answer.
func (s *Server) busy(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c] = false
	c.begun = true
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

func (s *Server) track(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.serving.Add(1)
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) untrack(ln net.Listener) {
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
	ln.Close()
	s.serving.Done()
}

// sleep waits for d or until the server ends.
func (s *Server) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}
