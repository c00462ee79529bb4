package engine

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/printable"
)

// Bounds on what one request to a node may log.
const (
	maxTraceLines = 200
	maxTraceText  = 200  // of a step, at level debug
	maxTraceRaw   = 1000 // of a step, at level trace
)

// What a conversation with a node is for.
const (
	forScan      = "scan"
	forCheck     = "health check"
	forVersion   = "version"
	forReload    = "reload"
	forSelfCheck = "self check"
)

type traceKey struct{}

// WithTraceFields returns a context whose conversations with engines are logged with the
// fields that add adds: those that identify the request. Ask [Traces] first.
func WithTraceFields(ctx context.Context, add func(*zerolog.Event) *zerolog.Event) context.Context {
	return context.WithValue(ctx, traceKey{}, add)
}

// Traces reports whether conversations with engines are logged. A reload may change it at
// any time.
func Traces() bool { return zerolog.GlobalLevel() <= zerolog.DebugLevel }

// traced returns a context that makes a request to n log its conversation, if the log's
// level shows it.
func (p *pool) traced(ctx context.Context, n *node, purpose string) context.Context {
	if !Traces() || p.log.GetLevel() > zerolog.DebugLevel {
		return ctx
	}
	add, _ := ctx.Value(traceKey{}).(func(*zerolog.Event) *zerolog.Event)
	t := &conversation{log: p.log, node: n.address, purpose: purpose, add: add}
	t.raw = zerolog.GlobalLevel() <= zerolog.TraceLevel && p.log.GetLevel() <= zerolog.TraceLevel
	limit := maxTraceText
	if t.raw {
		limit = maxTraceRaw
	}
	return backends.WithTrace(ctx, &backends.Trace{Event: t.event, Limit: limit})
}

// conversation logs the steps of one request to a node.
type conversation struct {
	log     zerolog.Logger
	node    string
	purpose string
	add     func(*zerolog.Event) *zerolog.Event // may be nil
	raw     bool
	lines   atomic.Int32
}

func (c *conversation) event(e backends.TraceEvent) {
	n := c.lines.Add(1)
	if n > maxTraceLines {
		return
	}
	line := c.log.Debug().Str("node", bounded(c.node)).Str("for", c.purpose)
	if c.add != nil {
		line = c.add(line)
	}
	line = line.Str("step", e.Step)
	if e.Text != "" {
		line = line.Str("text", printable.Escape(firstLine(e.Text), maxTraceText))
	}
	if e.Bytes > 0 {
		line = line.Int64("bytes", e.Bytes)
	}
	if e.Text != "" && c.raw && e.Bytes > 0 {
		line = line.Str("raw", printable.Escape(e.Text, maxTraceRaw))
	}
	line = line.Float64("ms", float64(e.Took.Microseconds())/1000)
	if e.Err != nil {
		line = line.Str("error", printable.Escape(e.Err.Error(), 2*maxTraceText))
	}
	if n == maxTraceLines {
		line = line.Str("hint", "this request has more steps, which are not logged")
	}
	line.Msg("conversation")
}

// firstLine returns the first line of s that is not empty.
func firstLine(s string) string {
	s = strings.TrimLeft(s, "\r\n\x00")
	if i := strings.IndexAny(s, "\n"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimRight(s, "\r\x00")
}
