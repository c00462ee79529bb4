package backendtest

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"polyclam/backends"
)

// A Recorder keeps what a backend reports to its trace.
type Recorder struct {
	mu     sync.Mutex
	events []backends.TraceEvent
}

// Trace returns a trace that the recorder keeps.
func (r *Recorder) Trace() *backends.Trace {
	return &backends.Trace{Limit: 64 << 10, Event: func(e backends.TraceEvent) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}}
}

// Steps returns the steps so far, for example "connected, asked, answered".
func (r *Recorder) Steps() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps := make([]string, len(r.events))
	for i, e := range r.events {
		steps[i] = e.Step
	}
	return strings.Join(steps, ", ")
}

// Text returns the text of all steps.
func (r *Recorder) Text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		b.WriteString(e.Step + ": " + e.Text + "\n")
		if e.Err != nil {
			b.WriteString("error: " + e.Err.Error() + "\n")
		}
	}
	return b.String()
}

// private is a part of an object that no trace may contain. Its length is divisible by
// three, so that base64 encodes each repetition the same way.
const private = "private mail, for you only: 711; "

// trace checks that the backend reports its conversation, but never the object.
func (s *suite) trace(t *testing.T) {
	b := s.start(t)
	for _, repeat := range []int{1, 5000} {
		var record Recorder
		ctx := backends.WithTrace(t.Context(), record.Trace())
		object := Bytes(t, bytes.Repeat([]byte(private), repeat))
		if _, err, ok := scanWithin(ctx, b, object); err != nil || !ok {
			t.Fatalf("%v, returned: %v", err, ok)
		}
		text := record.Text()
		if s.opts.NoTrace != (text == "") {
			t.Errorf("the trace is %q", text)
		}
		for _, part := range []string{private, base64.StdEncoding.EncodeToString([]byte(private))} {
			if strings.Contains(text, part) {
				t.Errorf("the trace contains the object: %.2000q", text)
			}
		}
	}
}
