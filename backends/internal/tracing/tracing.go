// Package tracing collects the steps of a conversation for a [backends.Trace].
package tracing

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"polyclam/backends"
)

// A Tracer reports the steps of one conversation. A nil Tracer does nothing. One goroutine
// at a time may send, and one may receive.
type Tracer struct {
	to    *backends.Trace
	since time.Time
	out   text
	in    text
}

// New returns a tracer for the trace of ctx, or nil if there is none.
func New(ctx context.Context) *Tracer {
	to := backends.TraceOf(ctx)
	if to == nil {
		return nil
	}
	return &Tracer{to: to, since: time.Now()}
}

// Step reports a step, after those that have been collected.
func (t *Tracer) Step(step, detail string, err error) {
	if t == nil {
		return
	}
	t.Received()
	t.event(backends.TraceEvent{Step: step, Text: clip(detail, t.to.Limit), Err: err})
}

// Connected reports an attempt to connect.
func (t *Tracer) Connected(err error) {
	step := backends.TraceConnected
	if err != nil {
		step = backends.TraceNotConnected
	}
	t.Step(step, "", err)
}

// Write collects bytes of the protocol that are being sent.
func (t *Tracer) Write(s string) {
	if t != nil {
		t.out.add(s, t.to.Limit)
	}
}

// WriteObject counts bytes of the object that are being sent.
func (t *Tracer) WriteObject(n int64) {
	if t != nil {
		t.out.hide(n)
	}
}

// Sent reports what was collected, if anything, as a request.
func (t *Tracer) Sent(err error) {
	if t == nil || t.out.total == 0 && err == nil {
		return
	}
	t.event(backends.TraceEvent{Step: backends.TraceAsked, Text: redact(t.out.take(t.to.Limit)), Bytes: t.out.total, Err: err})
	t.out = text{}
}

// Read collects bytes that were received.
func (t *Tracer) Read(p []byte) {
	if t != nil {
		t.in.add(string(p), t.to.Limit)
	}
}

// HideRest hides the last n bytes that were received, and all later ones of this answer:
// an engine may send the object back.
func (t *Tracer) HideRest(n int) {
	if t != nil {
		t.in.hideFrom(t.in.total - int64(n))
	}
}

// Received reports what was received since the last request, if anything.
func (t *Tracer) Received() {
	if t == nil || t.in.total == 0 {
		return
	}
	t.event(backends.TraceEvent{Step: backends.TraceAnswered, Text: t.in.take(t.to.Limit), Bytes: t.in.total})
	t.in = text{}
}

func (t *Tracer) event(e backends.TraceEvent) {
	now := time.Now()
	e.Took, t.since = now.Sub(t.since), now
	t.to.Event(e)
}

// text is the beginning of what was sent or received in one step.
type text struct {
	b      []byte
	total  int64
	hidden int64 // bytes of the object since the end of b
	closed bool  // the rest is hidden
}

func (x *text) add(s string, limit int) {
	x.total += int64(len(s))
	if x.closed {
		x.hidden += int64(len(s))
		return
	}
	x.showHidden(limit)
	x.b = append(x.b, clip(s, limit-len(x.b))...)
}

func (x *text) hide(n int64) {
	x.total += n
	x.hidden += n
}

// hideFrom hides everything from an offset on.
func (x *text) hideFrom(offset int64) {
	x.closed = true
	x.hidden = x.total - offset
	x.b = x.b[:min(int64(len(x.b)), offset)]
}

// showHidden says in b how many bytes are hidden at its end.
func (x *text) showHidden(limit int) {
	if x.hidden > 0 && len(x.b) < limit {
		x.b = append(x.b, "<"+strconv.FormatInt(x.hidden, 10)+" bytes of the object>"...)
	}
	x.hidden = 0
}

func (x *text) take(limit int) string {
	x.showHidden(limit)
	return string(x.b)
}

// credential matches a header field whose value must not be logged.
var credential = regexp.MustCompile(`(?im)^([a-z0-9-]*(?:auth|cookie|key|token|secret|password|credential)[a-z0-9-]*:[ \t]*)[^\r\n]*`)

// redact hides the values of fields with credentials.
func redact(s string) string {
	return credential.ReplaceAllString(s, "${1}<hidden>")
}

func clip(s string, n int) string { return s[:max(0, min(len(s), n))] }
