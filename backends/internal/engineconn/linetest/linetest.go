// Package linetest tests the dialogues of backends whose engines speak in lines: it
// plays every answer of their tables whole, in pieces, and broken off at every byte.
//
// It is meant for tests and imports the standard library only.
package linetest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// Engine is what is particular to the engine under test.
type Engine struct {
	// Open makes the backend for the engine at address.
	Open func(t *testing.T, address string) backends.Backend
	// Hello is what the engine does on a new connection.
	Hello backendtest.Script
	// Request is what it is then asked; path is the one of the content.
	Request func(path string) backendtest.Step
	// Binary is for answers whose ends of lines must stay as they are.
	Binary bool
}

// Case is one answer. All of them are composed.
type Case struct {
	Reply   string            // PATH is replaced by the path of the object
	Want    backends.Category // of the result; empty: nothing is found
	Code    int               // of the result
	Names   string            // of the result, with commas between
	Failure backends.Category // of the error; empty: none
	whole   bool              // what follows the answer has to come with it to be seen
}

// Says is an answer with a result.
func Says(reply string, want backends.Category, code int, names ...string) Case {
	return Case{Reply: reply, Want: want, Code: code, Names: strings.Join(names, ",")}
}

// Fails is an answer that is a failure.
func Fails(reply string, failure backends.Category) Case {
	return Case{Reply: reply, Failure: failure}
}

// Both is an answer with a finding and a failure beside it.
func Both(reply string, failure, want backends.Category, code int, names ...string) Case {
	c := Says(reply, want, code, names...)
	c.Failure = failure
	return c
}

// Trails is a whole answer with something after it, in the same write.
func Trails(reply string) Case { return Case{Reply: reply, Failure: backends.SWErr, whole: true} }

// Together makes what follows the answer come in the same write.
func (tt Case) Together() Case {
	tt.whole = true
	return tt
}

// Path is what stands for the path in a [Case].
const Path = "PATH"

// content has one byte and a file with a harmless name.
func content(t *testing.T) (backends.Object, string) {
	t.Helper()
	o := backendtest.Bytes(t, []byte("x"))
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	return o, path
}

// Answers plays each case: in one write, byte by byte (a few at a time for long
// ones), and with the other end of lines. Run it from a test with a plain name.
func Answers(t *testing.T, e Engine, cases []Case) {
	o, path := content(t)
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
			variants["other end of lines"] = backendtest.Send(backendtest.Composed(other))
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

// Breaks plays replies that end after every number of bytes: they are failures, beside
// the findings that stand.
func Breaks(t *testing.T, e Engine, replies ...string) {
	o, path := content(t)
	g := backendtest.Together(t)
	defer g.Wait()
	for _, reply := range replies {
		reply = strings.ReplaceAll(reply, Path, path)
		for n := range len(reply) {
			if n > 8 && n < len(path)-4 && n%7 != 0 {
				continue // in the midst of the path it is always the same
			}
			for _, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
				ask := e.asks(t, path, backendtest.Send(backendtest.Composed(reply[:n])), end)
				g.Go(func() {
					r, err := ask(o)
					if err == nil || r.Category == backends.OK {
						t.Errorf("%q: %+v, %v", reply[:n], r, err)
					}
					if err != nil && !backends.CategoryOf(err).IsFailure() {
						t.Errorf("%q: %v is no failure", reply[:n], err)
					}
				})
			}
		}
	}
}

// Silence plays an engine that says the beginning of an answer and no more.
func Silence(t *testing.T, e Engine, begin string) {
	o, path := content(t)
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

// Reuses scans three objects, and wants n connections for that, 1 or 3.
func Reuses(t *testing.T, e Engine, reply string, n int) {
	var objects []backends.Object
	var turns, scripts []backendtest.Script
	for range 3 {
		o, path := content(t)
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

// asks starts an engine that does the steps when it is asked, and returns the scan that
// asks it.
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

// problem says how an outcome differs from the one wanted.
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
		return fmt.Sprintf("got the code %d, want %d", r.Code, tt.Code)
	case joined != tt.Names:
		return "got the names " + joined
	case len(r.Detail) > 512:
		return "too much detail"
	}
	return backendtest.Check(r)
}

// Serve plays an engine that answers by what is in the files: it reads commands up
// to the byte end and writes what answer says, until the peer goes or quit is true.
func Serve(greeting string, end byte, answer func(command string, body io.Reader) (reply string, quit bool)) backendtest.Step {
	return Misbehave(backendtest.Misbehaviour{}, greeting, end, answer)
}

// Misbehave is Serve with an engine that misbehaves, for files: [Path] in the odd answer
// is replaced by the path, and answers about files are repeated.
func Misbehave(m backendtest.Misbehaviour, greeting string, end byte, answer func(command string, body io.Reader) (reply string, quit bool)) backendtest.Step {
	return func(s *backendtest.Session) error {
		var wg sync.WaitGroup
		defer wg.Wait()
		if _, err := io.WriteString(s, greeting); err != nil {
			return err
		}
		r := bufio.NewReader(s)
		for {
			command, err := r.ReadString(end)
			if err != nil {
				return err
			}
			command = strings.TrimRight(command, "\r\n\x00")
			reply, quit := answer(command, r)
			path := fileIn.FindString(command)
			if data, err := os.ReadFile(path); err == nil && m.Odd != "" && bytes.Contains(data, []byte(backendtest.MarkOdd)) {
				reply = strings.ReplaceAll(m.Odd, Path, path)
			}
			if _, err := io.WriteString(s, reply); err != nil {
				return err
			}
			if path != "" && m.Repeat > 0 {
				wg.Go(func() {
					time.Sleep(m.Repeat)
					io.WriteString(s, reply)
				})
			}
			if quit {
				return errors.New("it is all said")
			}
		}
	}
}

// fileIn is the path in a command.
var fileIn = regexp.MustCompile(`/[^\s?]+`)

// Alternate scans 300 objects, clean and infected in turn, some workers at a time, with
// an engine that misbehaves. Failures are fine; a clean object that is found to be
// infected, or an infected one that is OK, is not. It reports how many had a verdict.
func Alternate(t *testing.T, b backends.Backend, workers int) (verdicts int) {
	t.Helper()
	objects := map[backends.Category]backends.Object{
		backends.OK: backendtest.CleanObject(t), backends.Virus: backendtest.Bytes(t, backendtest.EICAR()),
	}
	var wg sync.WaitGroup
	var right atomic.Int64
	for w := range workers {
		wg.Go(func() {
			for i := w; i < 300; i += workers {
				want := backends.OK
				if i/workers%2 == 1 {
					want = backends.Virus
				}
				r, err := b.Scan(t.Context(), objects[want])
				switch {
				case r.Category != want && r.Category != "":
					t.Errorf("object %d is %s: %+v, %v", i, want, r, err)
				case r.Category == want:
					right.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(right.Load())
}

// Repeats makes a connection that sends everything that is written to it again, up to
// 60 ms later.
func Repeats(step backendtest.Step) backendtest.Step {
	return func(s *backendtest.Session) error {
		r := &repeating{Conn: s.Conn}
		defer r.wg.Wait()
		return step(&backendtest.Session{Conn: r, Done: s.Done})
	}
}

type repeating struct {
	net.Conn
	mu sync.Mutex
	wg sync.WaitGroup
}

func (r *repeating) Write(p []byte) (int, error) {
	again := bytes.Clone(p)
	r.wg.Go(func() {
		time.Sleep(time.Duration(rand.IntN(61)) * time.Millisecond)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Conn.Write(again)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Conn.Write(p)
}

// Deaf is a connection that says text and then ends, and does not listen. It is for fuzz
// targets of parsers that read a connection.
func Deaf(text string) net.Conn { return deaf{strings.NewReader(text)} }

type deaf struct{ *strings.Reader }

func (deaf) Write(p []byte) (int, error)      { return len(p), nil }
func (deaf) Close() error                     { return nil }
func (deaf) LocalAddr() net.Addr              { return nil }
func (deaf) RemoteAddr() net.Addr             { return nil }
func (deaf) SetDeadline(time.Time) error      { return nil }
func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }

// Marked is what [backendtest.Marked] says of a file; ok is false if it cannot be
// read.
func Marked(path string) (category backends.Category, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	return backendtest.Marked(data), true
}
