package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// talker reports n steps with the text for each scan.
func talker(n int, text string) backends.Backend {
	return backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		if trace := backends.TraceOf(ctx); trace != nil {
			for range n {
				trace.Event(backends.TraceEvent{Step: backends.TraceAsked, Text: text, Bytes: int64(len(text)), Err: errors.New("broken\n")})
			}
		}
		return backends.Clean(0), nil
	})
}

func TestTraceLevels(t *testing.T) {
	defer zerolog.SetGlobalLevel(zerolog.GlobalLevel())
	log := &lines{}
	cfg := config(talker(1, "SCAN \x1b\r\nmore"))
	cfg.Log = zerolog.New(log)
	e := New(cfg)
	defer e.Close()
	ctx := WithTraceFields(t.Context(), func(e *zerolog.Event) *zerolog.Event { return e.Str("id", "4711") })
	for _, tt := range []struct {
		level       zerolog.Level
		lines, raws int // so far
	}{
		{zerolog.InfoLevel, 0, 0}, {zerolog.DebugLevel, 1, 0}, {zerolog.TraceLevel, 2, 1}, {zerolog.InfoLevel, 2, 1},
	} {
		zerolog.SetGlobalLevel(tt.level)
		e.Scan(ctx, text("x"), false)
		if n := log.count(`"conversation"`, `"level":"debug"`, `"node":"a"`, `"for":"scan"`, `"id":"4711"`, `"step":"asked"`, `"text":"SCAN \\x1b"`, `"bytes":12`, `"error":"broken\\x0a"`); n != tt.lines {
			t.Errorf("%v: %d lines, want %d:\n%s", tt.level, n, tt.lines, log.buf.String())
		}
		if n := log.count(`"raw":"SCAN \\x1b\\x0d\\x0amore"`); n != tt.raws {
			t.Errorf("%v: %d lines with raw bytes, want %d:\n%s", tt.level, n, tt.raws, log.buf.String())
		}
	}
}

// TestTraceIsBounded checks that neither many steps nor long texts flood the log.
func TestTraceIsBounded(t *testing.T) {
	defer zerolog.SetGlobalLevel(zerolog.GlobalLevel())
	zerolog.SetGlobalLevel(zerolog.TraceLevel)
	log := &lines{}
	cfg := config(talker(10_000, strings.Repeat("\xff", 1<<20)))
	cfg.Log = zerolog.New(log)
	e := New(cfg)
	defer e.Close()
	e.Scan(t.Context(), text("x"), false)
	if n := log.count(`"conversation"`); n != maxTraceLines || log.count(`"hint"`) != 1 {
		t.Errorf("%d lines", n)
	}
	if n := log.buf.Len(); n > maxTraceLines*(5*maxTraceRaw+5*maxTraceText+500) {
		t.Errorf("%d bytes", n)
	}
}

func TestTraceOfHealthCheck(t *testing.T) {
	defer zerolog.SetGlobalLevel(zerolog.GlobalLevel())
	zerolog.SetGlobalLevel(zerolog.DebugLevel)
	log := &lines{}
	cfg := config(talker(1, "x"))
	cfg.Log = zerolog.New(log)
	e := New(cfg)
	defer e.Close()
	if _, err := e.try(t.Context(), e.nodes[0], "clean text", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if n := log.count(`"for":"health check"`); n != 1 {
		t.Errorf("%d lines:\n%s", n, log.buf.String())
	}
}

// TestTraceOff checks that a scan costs nothing for a trace that the level hides.
func TestTraceOff(t *testing.T) {
	defer zerolog.SetGlobalLevel(zerolog.GlobalLevel())
	zerolog.SetGlobalLevel(zerolog.InfoLevel)
	cfg := config(nil)
	cfg.Log = zerolog.New(&lines{})
	e := New(cfg)
	defer e.Close()
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { ctx = e.traced(ctx, e.nodes[0], forScan) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReasonText(t *testing.T) {
	n := newNode(Node{Address: "unix:/x"})
	for text, want := range map[string]string{
		"clamd unix:/x: cannot connect":                         "cannot connect",
		"test file (clean text): clamd unix:/x: cannot connect": "test file (clean text): cannot connect",
		"calls a harmless text a virus":                         "calls a harmless text a virus",
		"clamd unix:/xy: cannot connect":                        "clamd unix:/xy: cannot connect",
		strings.Repeat("a", maxReason+1):                        strings.Repeat("a", maxReason) + "...",
	} {
		if got := n.reasonText(errors.New(text)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := newNode(Node{}).reasonText(errors.New("command x: y")); got != "command x: y" {
		t.Errorf("%q", got)
	}
}
