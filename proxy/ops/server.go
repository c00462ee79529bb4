package ops

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy"
	"polyclam/proxy/ops/admin"
	"polyclam/proxy/ops/metrics"
	"polyclam/proxy/ops/page"
)

// ErrServerClosed is returned by Serve after Close.
var ErrServerClosed = errors.New("ops: server closed")

// A Service is what a listener serves.
type Service int

// The services.
const (
	HTTP  Service = iota // probes, metrics and the status
	Admin                // commands
	Agent                // HAProxy's agent checks
)

// A Config is the part of the configuration that a reload may change.
type Config struct {
	HTTP  bool        // there is a listener for HTTP
	TLS   *tls.Config // for HTTP; nil: none
	Token string      // that clients on HTTP must have; empty: none
	Scans bool        // the page shows the last scans
}

// Options are the parts of a Server.
type Options struct {
	Proxy    *proxy.Server
	Controls admin.Controls
	Log      zerolog.Logger
	Config   Config
}

// A Server serves operators. It is safe for concurrent use.
type Server struct {
	proxy  *proxy.Server
	log    zerolog.Logger
	config atomic.Pointer[Config]
	live   *liveness
	http   *endpoint
	admin  *endpoint
	agents *agents
	page   atomic.Pointer[page.Page]

	mu      sync.Mutex
	closed  bool
	endPage context.CancelFunc // of the page's samples; nil: none are taken
}

// New returns a server. Close ends it.
func New(o Options) *Server {
	s := &Server{proxy: o.Proxy, log: o.Log, live: newLiveness(o.Proxy.Alive), agents: newAgents(o.Proxy.Readiness)}
	s.config.Store(&Config{})
	s.page.Store(page.New(o.Proxy, page.Options{}))
	s.http = newEndpoint(httpLimits, s.httpHandler(metrics.Handler(o.Proxy)), o.Log)
	s.http.tls = func() *tls.Config { return s.config.Load().TLS }
	commands := byUser(admin.Handler(o.Proxy, o.Controls, o.Log))
	s.admin = newEndpoint(adminLimits, s.safe(newLimiter(adminLimits.requests).limit(commands)), o.Log)
	s.Apply(o.Config)
	return s
}

// Apply makes c the configuration of every request that begins from now on.
func (s *Server) Apply(c Config) {
	c.TLS = withProtocols(c.TLS)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.config.Swap(&c)
	if s.closed || before.HTTP == c.HTTP && before.Scans == c.Scans {
		return
	}
	if s.endPage != nil {
		s.endPage()
		s.endPage = nil
	}
	p := page.New(s.proxy, page.Options{Scans: c.Scans})
	s.page.Store(p)
	if c.HTTP {
		var ctx context.Context
		ctx, s.endPage = context.WithCancel(context.Background())
		go s.samplePage(ctx, p)
	}
}

// samplePage takes the samples of the page until ctx ends. After a panic it takes no more:
// scans must not end with the page.
func (s *Server) samplePage(ctx context.Context, p *page.Page) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error().Interface("panic", v).Bytes("stack", debug.Stack()).Msg("panic")
		}
	}()
	p.Run(ctx)
}

// withProtocols returns c with HTTP/2 and HTTP/1.1, or nil if c is nil.
func withProtocols(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	protocols := []string{"h2", "http/1.1"}
	c = c.Clone()
	c.NextProtos = protocols
	if next := c.GetConfigForClient; next != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			one, err := next(hello)
			if one == nil || slices.Equal(one.NextProtos, protocols) {
				return one, err
			}
			one = one.Clone()
			one.NextProtos = protocols
			return one, err
		}
	}
	return c
}

// Serve serves the clients of ln until ln is closed, or Retire or Close is called. It
// always returns an error: ErrServerClosed after Close, otherwise that of Accept.
func (s *Server) Serve(ln net.Listener, service Service) error {
	switch service {
	case Admin:
		return s.admin.serve(ln)
	case Agent:
		return s.agents.serve(ln)
	default:
		return s.http.serve(ln)
	}
}

// Retire closes a listener and its connections. Requests under way may finish.
func (s *Server) Retire(ln net.Listener) {
	ln.Close()
	s.http.gate.retire(ln)
	s.admin.gate.retire(ln)
}

// closeGrace is how long Close lets requests under way finish.
const closeGrace = 500 * time.Millisecond

// Close closes all listeners and connections. Requests under way have closeGrace.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	if s.endPage != nil {
		s.endPage()
		s.endPage = nil
	}
	s.mu.Unlock()
	var closing sync.WaitGroup
	closing.Go(s.agents.close)
	closing.Go(s.http.close)
	closing.Go(s.admin.close)
	closing.Wait()
}

// An endpoint is an HTTP server with its limits.
type endpoint struct {
	server *http.Server
	gate   *gate
	tls    func() *tls.Config // nil: never TLS
}

// close ends the requests after closeGrace.
func (e *endpoint) close() {
	e.gate.retire(nil)
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if e.server.Shutdown(ctx) != nil {
		e.server.Close()
	}
}

func (e *endpoint) serve(ln net.Listener) error {
	err := e.server.Serve(&gateListener{Listener: ln, endpoint: e})
	if errors.Is(err, http.ErrServerClosed) {
		return ErrServerClosed
	}
	return err
}
