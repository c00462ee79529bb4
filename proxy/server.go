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
	"polyclam/proxy/upstream"
)

// lastReplies is how long sessions have to answer once Shutdown has cut them off. A
// walk through a directory must say what it did not come to: to some clients an end
// without a word is clean.
const lastReplies = 500 * time.Millisecond

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = errors.New("proxy: server closed")

// errStopping is why scans are called off when the grace of Shutdown is over.
const errStopping = upstream.CalledOff("polyclamd is stopping")

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

	requests  atomic.Uint64 // the last request's number
	running   scans
	reloading atomic.Int32 // engines that are loading signatures

	mu          sync.Mutex
	generations []*generation // in use, the oldest first
	room        *sync.Cond    // signalled when a connection ends
	closing     bool
	sessions    map[*session]bool // true: waiting for a command
	accepted    int               // sessions and accepts under way
	listeners   map[net.Listener]struct{}
	former      map[string]*Listener // by address: removed by a reload
	wg          sync.WaitGroup
}

// NewServer returns a server that runs the health checks of its upstreams from now
// on. Shutdown ends them.
func NewServer(o ServerOptions) *Server {
	s := &Server{
		spool: o.Spool, log: o.Log, version: o.Version, stop: o.Stop, started: time.Now(),
		sessions:  map[*session]bool{},
		listeners: map[net.Listener]struct{}{},
		former:    map[string]*Listener{},
	}
	s.room = sync.NewCond(&s.mu)
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

// start serves nc on a goroutine of its own.
// A listener that was never in the configuration serves no client.
func (s *Server) start(nc net.Conn, address string) {
	c := &session{
		srv: s, nc: nc, conn: protocol.NewConn(nc), ctx: client.NewContext(s.ctx, client.Of(nc)),
		address: address, lst: s.listener(address),
	}
	s.mu.Lock()
	if s.closing || c.lst == nil {
		s.mu.Unlock()
		nc.Close()
		s.leave()
		return
	}
	s.sessions[c] = false
	s.wg.Add(1)
	s.mu.Unlock()
	go c.serve()
}

// end is the last thing a session does.
func (s *Server) end(c *session) {
	s.mu.Lock()
	delete(s.sessions, c)
	s.mu.Unlock()
	s.leave()
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

// waitForRoom waits until one more connection may be accepted, and reserves it.
// Beyond the limit clients wait in the listener's backlog, as they do with clamd.
func (s *Server) waitForRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closing && s.accepted >= s.cfg.Load().Limits.Connections {
		s.room.Wait()
	}
	if s.closing {
		return false
	}
	s.accepted++
	return true
}

// moreRoom reserves the room of one more connection for a session that needs it, and
// reports false when there is none: those who wait would hold what they wait for.
func (s *Server) moreRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.accepted >= s.cfg.Load().Limits.Connections {
		return false
	}
	s.accepted++
	return true
}

// leave gives back what waitForRoom or moreRoom reserved.
func (s *Server) leave() {
	s.mu.Lock()
	s.accepted--
	s.room.Signal()
	s.mu.Unlock()
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

// Shutdown closes the listeners and the idle connections, lets streams and scans
// that have begun finish and be answered, and returns when all is done. When ctx
// ends first, what is left is cut off and answered with an error where that is
// possible soon, and the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for ln := range s.listeners {
		ln.Close()
	}
	for c, idle := range s.sessions {
		if idle {
			c.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
	s.room.Broadcast()
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.cancel(errStopping)
	select { // scans that were cut off still say so
	case <-done:
	case <-time.After(lastReplies):
	}
	s.mu.Lock()
	for c := range s.sessions {
		c.nc.Close()
	}
	s.mu.Unlock()
	<-done
	for _, u := range s.cfg.Load().Upstreams {
		u.Close()
	}
	return err
}
