package backends

import (
	"context"
	"time"
)

// A Trace receives the steps of a backend's conversations with its engine, for debugging.
// Its caller passes it in the context of a request, see [WithTrace]; a backend gets it
// with [TraceOf]. Without a trace a backend does no work for it.
//
// Credentials and the bytes of the object never reach a trace.
type Trace struct {
	// Event is called for each step, possibly by several goroutines concurrently, and
	// possibly after the request has returned.
	Event func(TraceEvent)
	// Limit is the length of the longest text of an event.
	Limit int
}

// A TraceEvent is one step of a conversation.
type TraceEvent struct {
	Step  string        // one of the constants below
	Text  string        // what was sent, received or started: foreign bytes, not escaped
	Bytes int64         // sent or received in this step, including those of the object
	Took  time.Duration // since the previous step
	Err   error         // why it failed; nil if it did not
}

// The steps of a conversation.
const (
	TraceConnected    = "connected"
	TraceNotConnected = "not connected"
	TraceReused       = "reused a connection"
	TraceAsked        = "asked"
	TraceAnswered     = "answered"
	TraceKept         = "kept the connection"
	TraceClosed       = "closed the connection"
	TraceStarted      = "started" // a program
	TraceEnded        = "ended"   // the program
)

type traceKey struct{}

// WithTrace returns a context that carries t.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace of ctx, or nil if there is none. It does not allocate.
func TraceOf(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}
