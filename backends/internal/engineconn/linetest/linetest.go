// Package linetest tests backends of engines with line protocols. It plays every answer
// of an engine's table in one write, in pieces, and cut off at every byte. It is only for
// tests.
package linetest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// Engine describes the engine under test.
type Engine struct {
	// Open opens the backend for the engine at address.
	Open func(t *testing.T, address string) backends.Backend
	// Hello is what the engine does on a new connection.
	Hello backendtest.Script
	// Request is the request about the object with this path.
	Request func(path string) backendtest.Step
	// Binary is set if line breaks in an answer must not be changed.
	Binary bool
}

// A Case is one answer and the outcome wanted. All answers are composed.
type Case struct {
	Reply   string            // PATH is replaced by the path of the object
	Want    backends.Category // of the result; empty: none
	Code    int               // of the result
	Names   string            // of the result, separated by commas
	Failure backends.Category // of the error; empty: none
	whole   bool              // must be sent in one write
}

// Says returns an answer with a result.
func Says(reply string, want backends.Category, code int, names ...string) Case {
	return Case{Reply: reply, Want: want, Code: code, Names: strings.Join(names, ",")}
}

// Fails returns an answer that is a failure.
func Fails(reply string, failure backends.Category) Case {
	return Case{Reply: reply, Failure: failure}
}

// Both returns an answer with a finding and a failure.
func Both(reply string, failure, want backends.Category, code int, names ...string) Case {
	c := Says(reply, want, code, names...)
	c.Failure = failure
	return c
}

// Trails returns a complete answer with something after it in the same write.
func Trails(reply string) Case { return Case{Reply: reply, Failure: backends.SWErr, whole: true} }

// Together returns the case with everything sent in one write.
func (tt Case) Together() Case {
	tt.whole = true
	return tt
}

// Path is replaced by the path of the object in a [Case].
const Path = "PATH"

// newObject returns an object of one byte and its path.
func newObject(t *testing.T) (backends.Object, string) {
	t.Helper()
	o := backendtest.Bytes(t, []byte("x"))
	return o, backendtest.RealPath(t, o)
}

// Answers plays each case in one write, byte by byte (several bytes for long ones), and
// with LF and CRLF exchanged. Call it in a test whose name may be part of a path.
func Answers(t *testing.T, e Engine, cases []Case) {
	o, path := newObject(t)
	g := backendtest.Together(t)
	defer g.Wait()
	for _, tt := range cases {
		reply := strings.ReplaceAll(tt.Reply, Path, path)
		variants := map[string]backendtest.Step{
			"whole":     backendtest.Send(backendtest.Composed(reply)),
			"in pieces": backendtest.SendSplit(backendtest.Composed(reply), 1+len(reply)/150),
		}
		if len(reply) > 4<<10 || tt.whole {
			delete(variants, "in pieces")
		}
		if !e.Binary {
			other := strings.ReplaceAll(strings.ReplaceAll(reply, "\r\n", "\n"), "\n", "\r\n")
			if other == reply {
				other = strings.ReplaceAll(reply, "\r\n", "\n")
			}
			variants["other line breaks"] = backendtest.Send(backendtest.Composed(other))
		}
		for name, send := range variants {
			ask := e.asks(t, path, send, backendtest.CloseWrite(), backendtest.Drain())
			g.Go(func() {
				if problem := tt.problem(ask(o)); problem != "" {
					t.Errorf("%.300q, %s: %s", tt.Reply, name, problem)
				}
			})
		}
	}
}

// Breaks plays replies cut off after every byte. Each is a failure, possibly with
// findings.
func Breaks(t *testing.T, e Engine, replies ...string) {
	o, path := newObject(t)
	g := backendtest.Together(t)
	defer g.Wait()
	for _, reply := range replies {
		reply = strings.ReplaceAll(reply, Path, path)
		for n := range len(reply) {
			if n > 8 && n < len(path)-4 && n%7 != 0 {
				continue // not every byte of the path
			}
			for _, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
				ask := e.asks(t, path, backendtest.Send(backendtest.Composed(reply[:n])), end)
				g.Go(func() {
					r, err := ask(o)
					if err == nil || r.Category == backends.OK {
						t.Errorf("%q: %+v, %v", reply[:n], r, err)
					}
					if err != nil && !backends.CategoryOf(err).IsFailure() {
						t.Errorf("%q: %v is not a failure", reply[:n], err)
					}
				})
			}
		}
	}
}

// Silence plays an engine that sends the beginning of an answer and nothing more.
func Silence(t *testing.T, e Engine, begin string) {
	o, path := newObject(t)
	begin = strings.ReplaceAll(begin, Path, path)
	script := append(append(backendtest.Script{}, e.Hello...), e.Request(path), backendtest.Send(backendtest.Composed(begin)), backendtest.Hang())
	d := backendtest.StartDaemon(t, "unix", script)
	b := e.Open(t, d.Address())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := b.Scan(ctx, o)
	if err == nil || backends.CategoryOf(err) != backends.Interrupted || r.Category == backends.OK {
		t.Errorf("%q and silence: %+v, %v", begin, r, err)
	}
	closeTwice(t, b)
}

// Reuses scans three objects and wants n connections for them, 1 or 3.
func Reuses(t *testing.T, e Engine, reply string, n int) {
	var objects []backends.Object
	var turns, scripts []backendtest.Script
	for range 3 {
		o, path := newObject(t)
		objects = append(objects, o)
		turns = append(turns, backendtest.Script{e.Request(path), backendtest.Send(backendtest.Composed(strings.ReplaceAll(reply, Path, path)))})
	}
	for len(turns) > 0 {
		script := append(backendtest.Script{}, e.Hello...)
		for _, turn := range turns[:4-n] {
			script = append(script, turn...)
		}
		turns = turns[4-n:]
		if n == 3 {
			script = append(script, backendtest.CloseWrite())
		}
		scripts = append(scripts, append(script, backendtest.Drain()))
	}
	d := backendtest.StartDaemon(t, "unix", scripts...)
	b := e.Open(t, d.Address())
	for _, o := range objects {
		if r, err := b.Scan(t.Context(), o); err != nil {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if got := d.Connections(); got != n {
		t.Errorf("%d connections, want %d", got, n)
	}
	closeTwice(t, b)
}

func closeTwice(t *testing.T, b backends.Backend) {
	t.Helper()
	closer, ok := b.(io.Closer)
	if !ok {
		return
	}
	for range 2 {
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// asks starts an engine that does the steps after a request, and returns the scan that
// sends the request.
func (e Engine) asks(t *testing.T, path string, steps ...backendtest.Step) func(backends.Object) (backends.Result, error) {
	t.Helper()
	script := append(append(append(backendtest.Script{}, e.Hello...), e.Request(path)), steps...)
	d := backendtest.StartDaemon(t, "unix", script)
	b := e.Open(t, d.Address())
	return func(o backends.Object) (backends.Result, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		defer closeTwice(t, b)
		return b.Scan(ctx, o)
	}
}

// problem describes how an outcome differs from the one wanted.
func (tt Case) problem(r backends.Result, err error) string {
	var got backends.Category
	if err != nil {
		got = backends.CategoryOf(err)
	}
	var names []string
	for _, f := range r.Findings {
		if f.Name != "" {
			names = append(names, f.Name)
		}
	}
	switch joined := strings.Join(names, ","); {
	case got != tt.Failure:
		return fmt.Sprintf("failed with %q, %v; want %q", got, err, tt.Failure)
	case r.Category != tt.Want:
		return fmt.Sprintf("got %q, want %q", r.Category, tt.Want)
	case r.Category == "":
		return ""
	case r.Code != tt.Code:
		return fmt.Sprintf("got code %d, want %d", r.Code, tt.Code)
	case joined != tt.Names:
		return "got names " + joined
	case len(r.Detail) > 512:
		return "too much detail"
	}
	return backendtest.Check(r)
}
