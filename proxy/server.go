// Package proxy is the daemon's core: it takes clamd's commands from clients, has
// every upstream scan the content, merges what they found and says it in clamd's
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
	cfg     atomic.Pointer[Config]
	spool   *spool.Spool
	log     zerolog.Logger
	version string
	stop    func()
	started time.Time

	ctx    context.Context // ends when the grace of Shutdown is over
	cancel context.CancelCauseFunc

	objects   objects
	unwatched watchList
	requests  atomic.Uint64 // the last request's number
	running   scans
	reloading atomic.Bool

	mu        sync.Mutex
	room      *sync.Cond // signalled when a connection ends
	closing   bool
	sessions  map[*session]bool // true: waiting for a command
	places    places
	listeners map[net.Listener]struct{}
	retire    context.CancelFunc // ends the health checks of the current configuration
	wg        sync.WaitGroup
}

// NewServer returns a server that runs the health checks of its upstreams from now
// on. Shutdown ends them.
func NewServer(o ServerOptions) *Server {
	s := &Server{
		spool: o.Spool, log: o.Log, version: o.Version, stop: o.Stop, started: time.Now(),
		sessions:  map[*session]bool{},
		listeners: map[net.Listener]struct{}{},
	}
	s.room = sync.NewCond(&s.mu)
	s.objects.limits = func() Limits { return s.cfg.Load().Limits }
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.Apply(o.Config)
	return s
}

// Apply makes cfg the configuration of every command that begins from now on. A
// scan that has begun keeps the one it began with. The upstreams of the old
// configuration are closed once their scans are done.
func (s *Server) Apply(cfg *Config) {
	ctx, retire := context.WithCancel(s.ctx)
	for _, u := range cfg.Upstreams {
		go u.Run(ctx)
	}
	s.mu.Lock()
	old, oldRetire := s.cfg.Swap(cfg), s.retire
	s.retire = retire
	if !s.closing {
		s.fillRoom()
	}
	s.room.Broadcast()
	s.mu.Unlock()
	if old == nil {
		return
	}
	oldRetire()
	for _, u := range old.Upstreams {
		u.Close()
	}
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
	var pause time.Duration
	for {
		if !s.waitForRoom() {
			return ErrServerClosed
		}
		nc, err := ln.Accept()
		if err != nil {
			s.leave()
			if s.isClosing() {
				return ErrServerClosed
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of descriptors or a client that is gone already: it passes.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Warn().Err(err).Str("listener", address).Dur("pause", pause).Msg("accept")
			s.sleep(pause)
			continue
		}
		pause = 0
		s.start(nc, address)
	}
}

// start serves nc, or lets it wait until its client may have one more. A listener that
// the configuration does not know serves no client.
func (s *Server) start(nc net.Conn, address string) {
	key := client.Of(nc)
	c := &session{
		srv: s, nc: nc, conn: protocol.NewConn(nc), key: key, ctx: client.NewContext(s.ctx, key),
		address: address, lst: s.cfg.Load().listener(address),
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
	if s.closing {
		return false
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
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

func (s *Server) track(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) untrack(ln net.Listener) {
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
	ln.Close()
}

// sleep waits for d or until the server ends.
func (s *Server) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}
