package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/printable"
)

const (
	// flushTime is how long a request waits for the shared store.
	flushTime = 10 * time.Second
	// maxFlushes is how many requests may wait for it, see maxChecks.
	maxFlushes = 1
)

// flusher is a [cache.Cache].
type flusher interface {
	Stats() cache.Stats
	Flush(ctx context.Context, shared bool) error
}

// Cache is the answer to GET /cache. Foreign texts in it are escaped.
type Cache struct {
	On bool `json:"on"` // there is a store for results, in memory or shared
	cache.Stats
	Engines []EngineCache `json:"engines"`
}

// EngineCache is what the cache did for one engine.
type EngineCache struct {
	Engine string `json:"engine"`
	engine.CacheCounters
}

// cacheStats serves GET /cache.
func (h *handler) cacheStats(w http.ResponseWriter, _ *http.Request) {
	s := h.snapshot()
	answer := Cache{On: s.Cache.On(), Stats: s.Cache, Engines: []EngineCache{}}
	if s.Cache.Shared != nil {
		shared := *s.Cache.Shared
		shared.Address, shared.Reason = printable.Escape(shared.Address, maxText), printable.Escape(shared.Reason, maxError)
		shared.Hint = printable.Escape(shared.Hint, maxError)
		answer.Shared = &shared
	}
	for _, e := range s.Engines {
		answer.Engines = append(answer.Engines, EngineCache{e.Name, e.Cache})
	}
	writeJSON(w, http.StatusOK, answer)
}

// flushRequest is the body of /cache/flush.
type flushRequest struct {
	Shared bool `json:"shared"` // the shared store too
	Force  bool `json:"force"`
}

// Flushed is the answer to it.
type Flushed struct {
	Entries int  `json:"entries"` // results that were in memory
	Shared  bool `json:"shared"`  // the shared store is flushed too
	Kept    bool `json:"kept"`    // there is a shared store, which keeps its results
}

func (h *handler) flushCache(r *http.Request, o flushRequest) (answer any, err error) {
	entry := h.entry(r, "cache flush").forced(o.Force)
	entry.wanted = "memory"
	if o.Shared {
		entry.wanted = "memory and shared store"
	}
	defer func() { entry.write(err) }()
	before := h.cache().Stats()
	switch {
	case !before.On():
		return nil, conflict("the cache is off: the configuration has memory = \"0\" and no redis in [cache]")
	case o.Shared && before.Shared == nil:
		return nil, conflict("there is no shared store: the configuration has no redis in [cache]")
	case o.Shared && !o.Force:
		return nil, &refusal{status: http.StatusConflict, text: "every host that uses the shared store would scan everything again; with force it is done nevertheless", force: true}
	}
	if !h.flushes.enter() {
		return nil, &refusal{status: http.StatusServiceUnavailable, text: "another command flushes the cache; try again when it has ended"}
	}
	defer h.flushes.leave()
	ctx, cancel := context.WithTimeoutCause(r.Context(), h.flushTime, errSlowFlush)
	defer cancel()
	err = h.cache().Flush(ctx, o.Shared)
	switch {
	case r.Context().Err() != nil:
		return nil, &refusal{status: http.StatusServiceUnavailable, text: "the client did not wait for the shared store, which may be flushed or not"}
	case err != nil:
		return nil, &refusal{status: http.StatusBadGateway, text: flushFailure(ctx, before.Shared, err)}
	}
	entry.changed(results(before), results(h.cache().Stats()))
	return Flushed{Entries: before.Memory.Entries, Shared: o.Shared, Kept: before.Shared != nil && !o.Shared}, nil
}

// errSlowFlush is the cause of a context that ends before the shared store answers.
var errSlowFlush = errors.New("it does not answer")

// flushFailure says what was flushed and what was not, and why.
func flushFailure(ctx context.Context, shared *cache.SharedStats, err error) string {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	address := ""
	if shared != nil {
		address = " " + printable.Escape(shared.Address, maxName)
	}
	return fmt.Sprintf("the memory of this polyclamd is flushed, but not the shared store%s: %s; try again when it is up, see polyclam cache stats", address, printable.Escape(err.Error(), maxError))
}

func conflict(text string) error { return &refusal{status: http.StatusConflict, text: text} }

// results is the number of results in memory, for the log.
func results(s cache.Stats) string { return fmt.Sprintf("%d results in memory", s.Memory.Entries) }
