package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"polyclam/proxy/engine"
)

const (
	// checkTime is how long a request waits for health checks. An engine may take its
	// timeout for each test object.
	checkTime = 3 * time.Minute
	// reloadTime is how long a request waits for a reload, which may hang.
	reloadTime = 2 * time.Minute
	// maxChecks and maxReloads are how many requests may wait for these. The other commands
	// must stay possible, so together they are fewer than the requests that the admin socket
	// takes at a time.
	maxChecks, maxReloads = 3, 3
	// maxLogged is how many changes of a reload are in its log line.
	maxLogged = 20
)

type levelRequest struct {
	Level string `json:"level"`
}

type levelAnswer struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

func (h *handler) setLogLevel(r *http.Request, o levelRequest) (answer any, err error) {
	entry := h.entry(r, "log")
	entry.wanted = o.Level
	defer func() { entry.write(err) }()
	before, err := h.controls.SetLogLevel(o.Level)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	entry.changed(before, o.Level)
	return levelAnswer{before, o.Level}, nil
}

type reloadAnswer struct {
	Changes  []string `json:"changes"`
	Warnings []string `json:"warnings,omitempty"`
}

func (h *handler) reload(r *http.Request, _ struct{}) (answer any, err error) {
	entry := h.entry(r, "reload")
	defer func() { entry.write(err) }()
	if !h.reloads.enter() {
		return nil, &refusal{status: http.StatusServiceUnavailable, text: fmt.Sprintf("%d other commands wait for a reload; try again when they have ended", maxReloads)}
	}
	defer h.reloads.leave()
	ctx, cancel := context.WithTimeoutCause(r.Context(), h.reloadTime, errSlowReload)
	defer cancel()
	lines, err := h.controls.Reload(ctx)
	switch {
	case r.Context().Err() != nil:
		return nil, &refusal{status: http.StatusServiceUnavailable, text: "the client did not wait for the end of the reload, which goes on"}
	case errors.Is(err, errSlowReload):
		return nil, &refusal{status: http.StatusGatewayTimeout, text: err.Error()}
	case err != nil:
		return nil, &refusal{status: http.StatusConflict, text: err.Error()}
	}
	out := reloadAnswer{Changes: []string{}}
	for _, line := range lines {
		if warning, ok := strings.CutPrefix(line, WarningPrefix); ok {
			out.Warnings = append(out.Warnings, warning)
			continue
		}
		out.Changes = append(out.Changes, line)
	}
	entry.changes = firstOf(out.Changes, maxLogged)
	return out, nil
}

// errSlowReload is the cause of a context that ends before a reload does.
var errSlowReload = errors.New("the reload takes long and goes on; the log says in which step it is (\"slow reload\") and how it ends")

// firstOf returns the first n lines, and how many more there are.
func firstOf(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	return append(lines[:n:n], fmt.Sprintf("%d more", len(lines)-n))
}

type healthRequest struct {
	Engine string `json:"engine"`
}

// healthAnswer is the answer to /health.
type healthAnswer struct {
	engine.Status
	// Unfinished says that a check had not ended when the request had to be answered.
	Unfinished bool `json:"unfinished,omitempty"`
}

func (h *handler) checkHealth(r *http.Request, o healthRequest) (answer any, err error) {
	entry := h.entry(r, "health").target(o.Engine, "")
	defer func() { entry.write(err) }()
	e, err := find(h.engines(), o.Engine)
	if err != nil {
		return nil, err
	}
	if !h.checks.enter() {
		return nil, &refusal{status: http.StatusServiceUnavailable, text: fmt.Sprintf("%d other commands wait for health checks; try again when they have ended", maxChecks)}
	}
	defer h.checks.leave()
	v := look([]steered{e})
	ctx, cancel := context.WithTimeout(r.Context(), h.checkTime)
	defer cancel()
	err = e.CheckNow(ctx)
	if err != nil && ctx.Err() == nil {
		return nil, &refusal{status: http.StatusConflict, text: fmt.Sprintf("%s: %v", e.Name(), err)}
	}
	if r.Context().Err() != nil {
		return nil, &refusal{status: http.StatusServiceUnavailable, text: "the client did not wait for the end of the check, which goes on"}
	}
	entry.changed(states(v.nodesOf(o.Engine, "")), states(look([]steered{e}).nodesOf(o.Engine, "")))
	return healthAnswer{e.Status(), err != nil}, nil
}
