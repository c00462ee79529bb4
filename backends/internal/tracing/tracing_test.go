package tracing

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"polyclam/backends"
)

// record returns a tracer and the events that it has reported.
func record(t *testing.T, limit int) (*Tracer, *[]backends.TraceEvent) {
	var events []backends.TraceEvent
	ctx := backends.WithTrace(t.Context(), &backends.Trace{Limit: limit, Event: func(e backends.TraceEvent) { events = append(events, e) }})
	return New(ctx), &events
}

func TestSent(t *testing.T) {
	tr, events := record(t, 100)
	tr.Write("HEAD\r\n")
	tr.WriteObject(4096)
	tr.WriteObject(4)
	tr.Write("0\r\n")
	tr.Sent(nil)
	tr.Sent(nil) // nothing
	want := backends.TraceEvent{Step: backends.TraceAsked, Text: "HEAD\r\n<4100 bytes of the object>0\r\n", Bytes: 4109}
	if len(*events) != 1 {
		t.Fatalf("%+v", *events)
	}
	got := (*events)[0]
	if got.Took = 0; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	tr.Sent(errors.New("lost"))
	if got := (*events)[1]; got.Err == nil || got.Text != "" || got.Bytes != 0 {
		t.Errorf("%+v", got)
	}
}

func TestReceived(t *testing.T) {
	tr, events := record(t, 10)
	tr.Read(bytes.Repeat([]byte("a"), 8))
	tr.Read(bytes.Repeat([]byte("b"), 1<<20))
	tr.Step(backends.TraceClosed, "", nil)
	got := *events
	if len(got) != 2 || got[0].Text != "aaaaaaaabb" || got[0].Bytes != 8+1<<20 || got[1].Step != backends.TraceClosed {
		t.Errorf("%+v", got)
	}
}

func TestHideRest(t *testing.T) {
	tr, events := record(t, 100)
	tr.Read([]byte("head\r\nprivate"))
	tr.HideRest(len("private"))
	tr.Read([]byte("more"))
	tr.Received()
	tr.Read([]byte("next"))
	tr.Received()
	got := *events
	if len(got) != 2 || got[0].Text != "head\r\n<11 bytes of the object>" || got[0].Bytes != 17 || got[1].Text != "next" {
		t.Errorf("%+v", got)
	}
}

func TestRedact(t *testing.T) {
	const head = "POST /scan HTTP/1.1\r\nAuthorization: Basic c2VjcmV0\r\nx-api-key:secret\r\nX-Auth-Token: secret\r\nCookie: a=secret\r\nHost: h\r\n\r\n"
	tr, events := record(t, 1000)
	tr.Write(head)
	tr.Sent(nil)
	text := (*events)[0].Text
	if strings.Contains(text, "c2VjcmV0") || strings.Contains(text, "secret") || !strings.Contains(text, "\r\nHost: h\r\n\r\n") || strings.Count(text, "<hidden>") != 4 {
		t.Errorf("%q", text)
	}
}

// TestOff checks that a request without a trace costs no allocation.
func TestOff(t *testing.T) {
	ctx := t.Context()
	p := make([]byte, 100)
	allocs := testing.AllocsPerRun(100, func() {
		tr := New(ctx)
		tr.Step(backends.TraceConnected, "", nil)
		tr.Write("x")
		tr.WriteObject(1)
		tr.Sent(nil)
		tr.Read(p)
		tr.HideRest(1)
		tr.Received()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
