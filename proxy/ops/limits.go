package ops

import (
	"context"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy/client"
	"polyclam/proxy/lograte"
)

// The bounds on connections. docs/limits.md has them.
const (
	// MaxConnections is how many connections the HTTP listener has at a time.
	MaxConnections = 64
	// MaxAdminConnections is how many connections the admin socket has at a time.
	MaxAdminConnections = 16
	// MaxAgents is how many agent checks are answered at a time.
	MaxAgents = 64
)

// limits bound what clients of an [endpoint] may use.
type limits struct {
	connections int
	requests    int           // answered at a time; more wait for requestWait
	headerBytes int           // of a request
	header      time.Duration // for the header of a request, and a TLS handshake
	read        time.Duration // for a whole request
	write       time.Duration // from the header of a request to the end of the reply
	idle        time.Duration // between requests
}

var (
	httpLimits = limits{
		connections: MaxConnections, requests: 4, headerBytes: 16 << 10,
		header: 5 * time.Second, read: 10 * time.Second, write: 30 * time.Second, idle: 90 * time.Second,
	}
	// Commands may take long: a health check, or a reload with a name server that hangs.
	adminLimits = limits{
		connections: MaxAdminConnections, requests: 8, headerBytes: 16 << 10,
		header: 5 * time.Second, read: 10 * time.Second, write: 5 * time.Minute, idle: 90 * time.Second,
	}
)

// requestWait is how long a request waits while as many as allowed are answered.
const requestWait = 2 * time.Second

// maxStreams is how many requests one HTTP/2 connection may have under way.
const maxStreams = 8

func newEndpoint(l limits, h http.Handler, log zerolog.Logger) *endpoint {
	g := newGate(l.connections)
	return &endpoint{gate: g, server: &http.Server{
		Handler:           g.counted(h),
		ReadHeaderTimeout: l.header, ReadTimeout: l.read, WriteTimeout: l.write, IdleTimeout: l.idle,
		MaxHeaderBytes: l.headerBytes,
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReadFrameSize: 16 << 10},
		ErrorLog:       stdlog.New(&errorLog{log: log, limiter: lograte.New(errorPause, time.Now)}, "", 0),
		ConnContext:    func(ctx context.Context, nc net.Conn) context.Context { return withConn(ctx, nc) },
	}}
}

// errorPause is the least time between two log lines about failed requests.
const errorPause = time.Minute

// errorLog logs the errors of net/http, which are about clients and connections.
type errorLog struct {
	log     zerolog.Logger
	limiter *lograte.Limiter
}

// Write implements [io.Writer].
func (e *errorLog) Write(line []byte) (int, error) {
	if suppressed, ok := e.limiter.Allow(client.Key{}, ""); ok {
		e.log.Debug().Bytes("error", trimLine(line)).Int("suppressed", suppressed).Msg("http")
	}
	return len(line), nil
}

// maxErrorLine bounds an error in the log.
const maxErrorLine = 300

func trimLine(line []byte) []byte {
	for len(line) > 0 && line[len(line)-1] == '\n' {
		line = line[:len(line)-1]
	}
	return line[:min(len(line), maxErrorLine)]
}

// A limiter bounds the requests that are answered at a time.
type limiter chan struct{}

func newLimiter(n int) limiter { return make(limiter, n) }

// limit returns h, bounded together with all other handlers of l.
func (l limiter) limit(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait := time.NewTimer(requestWait)
		defer wait.Stop()
		select {
		case l <- struct{}{}:
			defer func() { <-l }()
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		case <-wait.C:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests at a time", http.StatusServiceUnavailable)
		}
	})
}
