// Package admin serves the commands that steer a running server, for the polyclam tool. It
// belongs on a Unix socket that only the administrator can open.
//
// Requests and answers are JSON. A command that cannot be done, or that is refused, is
// answered with {"error": "..."}, and with {"error": "...", "force": true} if the same
// request with "force": true would do it.
package admin

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy"
	"polyclam/proxy/engine"
)

// Controls are the commands for the program around the server.
type Controls interface {
	// Reload reloads the configuration, and returns a line for each change. A line that
	// begins with [WarningPrefix] is a warning about the new configuration. The error says
	// why it was refused. If ctx ends first, Reload returns its cause, and the reload goes
	// on.
	Reload(ctx context.Context) (changes []string, err error)
	// SetLogLevel changes the level of the log until the daemon ends or a reload changes
	// the configured one, and returns the level before.
	SetLogLevel(level string) (before string, err error)
}

// WarningPrefix begins the warnings among the lines that [Controls] return.
const WarningPrefix = "warning: "

// Handler serves the commands. It logs each one with the user that ByUser put into the
// context of its request.
func Handler(s *proxy.Server, c Controls, log zerolog.Logger) http.Handler {
	h := newHandler(c, log, why(s))
	h.snapshot, h.sets = s.Snapshot, s.EngineSets
	h.cache = func() flusher { return s.Cache() }
	h.engines = func() (list []steered) {
		for _, e := range s.Engines() {
			list = append(list, e)
		}
		return list
	}
	return h
}

func newHandler(c Controls, log zerolog.Logger, why http.Handler) *handler {
	h := &handler{controls: c, log: log, checks: make(places, maxChecks), reloads: make(places, maxReloads), checkTime: checkTime, reloadTime: reloadTime, flushes: make(places, maxFlushes), flushTime: flushTime}
	h.routes = map[string]route{
		"/node/drain":  {http.MethodPost, command(h.drain)},
		"/node/resume": {http.MethodPost, command(h.resume)},
		"/engine/mode": {http.MethodPost, command(h.setMode)},
		"/log":         {http.MethodPost, command(h.setLogLevel)},
		"/reload":      {http.MethodPost, command(h.reload)},
		"/health":      {http.MethodPost, command(h.checkHealth)},
		"/status":      {http.MethodGet, h.status},
		"/cache":       {http.MethodGet, h.cacheStats},
		"/cache/flush": {http.MethodPost, command(h.flushCache)},
		"/why":         {http.MethodGet, why.ServeHTTP},
	}
	return h
}

// steered is an [engine.Engine].
type steered interface {
	Name() string
	Required() bool
	Status() engine.Status
	Mode() engine.Mode
	SetMode(engine.Mode) error
	Drain(address string) error
	Resume(address string) error
	CheckNow(context.Context) error
}

type handler struct {
	engines   func() []steered           // of the newest configuration
	sets      func() map[string][]string // the engines of each listener that does not use all
	snapshot  func() proxy.Snapshot
	cache     func() flusher // of the newest configuration
	controls  Controls
	log       zerolog.Logger
	routes    map[string]route
	checks    places        // for requests that wait for health checks
	checkTime time.Duration // how long such a request waits at most

	reloads    places // for requests that wait for a reload
	reloadTime time.Duration

	flushes   places // for requests that wait for the shared store of the cache
	flushTime time.Duration

	// mu lets one command at a time look at the engines and change them, so that two
	// commands cannot each take out one of the last two nodes.
	mu sync.Mutex
}

// places bound the requests that wait for something.
type places chan struct{}

func (p places) enter() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) leave() { <-p }

type route struct {
	method string
	serve  http.HandlerFunc
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt, ok := h.routes[r.URL.Path]
	switch {
	case !ok:
		writeError(w, &refusal{status: http.StatusNotFound, text: "this polyclamd has no such command; its version may be older than the tool's"})
	case r.Method != rt.method:
		w.Header().Set("Allow", rt.method)
		writeError(w, &refusal{status: http.StatusMethodNotAllowed, text: "this command wants the method " + rt.method})
	case r.Header.Get("Origin") != "":
		writeError(w, &refusal{status: http.StatusForbidden, text: "commands are not accepted from web pages"})
	default:
		rt.serve(w, r)
	}
}

// list joins names for a message: "clamav, inspect".
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

type userKey struct{}

// ByUser returns a context for a request, with the credentials of the process at the other
// end of its connection, as text for the log: "uid=0 (root), pid=4711".
func ByUser(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// userOf returns what ByUser has put into ctx.
func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}
