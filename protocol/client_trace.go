package protocol

import "context"

// A ClientTrace receives what a [Client] or [ClientSession] sends and receives for one
// request, for debugging. Any field may be nil.
type ClientTrace struct {
	// Connected is called after an attempt to connect.
	Connected func(err error)
	// Sent is called when a request is sent, or partly sent if err is not nil: the command
	// as it was written, and how many bytes of an object followed it.
	Sent func(command string, object int64, err error)
	// Received is called for each line of the reply, without its end.
	Received func(line string)
}

type clientTraceKey struct{}

// WithClientTrace returns a context in which requests report to t.
func WithClientTrace(ctx context.Context, t *ClientTrace) context.Context {
	return context.WithValue(ctx, clientTraceKey{}, t)
}

// traceOf returns the trace of ctx, or nil if there is none.
func traceOf(ctx context.Context) *ClientTrace {
	t, _ := ctx.Value(clientTraceKey{}).(*ClientTrace)
	return t
}

func (t *ClientTrace) connected(err error) {
	if t != nil && t.Connected != nil {
		t.Connected(err)
	}
}

func (t *ClientTrace) sent(prefix string, q *request, object int64, err error) {
	if t != nil && t.Sent != nil {
		t.Sent(string(q.command(prefix)), object, err)
	}
}

func (t *ClientTrace) received(line string) {
	if t != nil && t.Received != nil {
		t.Received(line)
	}
}
