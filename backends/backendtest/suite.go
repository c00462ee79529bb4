package backendtest

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// Options adapt [Run] to a backend. The zero value suits an engine that finds EICAR.
type Options struct {
	// NoEICAR is set for an engine that does not find the EICAR test file.
	NoEICAR bool
	// NoTrace is set for a backend that has no conversation to trace.
	NoTrace bool
	// Encrypted is set for an engine that reports [testfile.Encrypted] as Encrypted.
	Encrypted bool
	// Large is the size of the large object; 20 MiB if zero.
	Large int
	// Parallel is the number of concurrent scans; 50 if zero.
	Parallel int
	// Dial opens the backend for the engine at address. If it is set, the suite also
	// plays engines that are missing, erratic or silent.
	Dial func(t *testing.T, address string) backends.Backend
	// Network is the network of these engines, "unix" (if empty) or "tcp".
	Network string
	// Greeting is what such an engine sends first, if anything.
	Greeting string
	// Half are incomplete answers, such as "stream: O". If the engine closes the
	// connection after one, it must not pass for a complete answer.
	Half []Words
}

// Limits on what a backend may return about one object.
const (
	maxFindings = 1000
	maxText     = 64 << 10 // bytes of all names and the detail
)

// Run is the conformance suite that every backend must pass. open opens the backend; the
// suite closes it if it is an io.Closer.
func Run(t *testing.T, open func(t *testing.T) backends.Backend, opts Options) {
	s := &suite{open: open, opts: opts}
	t.Run("clean", s.clean)
	t.Run("EICAR", s.eicar)
	t.Run("encrypted", s.encrypted)
	t.Run("empty", s.empty)
	t.Run("large", s.large)
	t.Run("concurrent", s.concurrent)
	t.Run("context already ended", s.contextEnded)
	t.Run("context ends during the scan", s.contextEnds)
	t.Run("unreadable object", s.unreadable)
	t.Run("trace", s.trace)
	if opts.Dial != nil {
		t.Run("erratic", s.erratic)
	}
}

type suite struct {
	open func(t *testing.T) backends.Backend
	opts Options
}

// start opens the backend and checks that it leaks nothing.
func (s *suite) start(t *testing.T) backends.Backend {
	t.Helper()
	NoLeaks(t)
	b := s.open(t)
	closeAfter(t, b)
	return b
}

func closeAfter(t *testing.T, b backends.Backend) {
	if c, ok := b.(io.Closer); ok {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// scan scans o and wants a result without an error.
func scan(t *testing.T, b backends.Backend, o backends.Object) backends.Result {
	t.Helper()
	r, err, ok := scanWithin(t.Context(), b, o)
	if !ok {
		t.Fatal("the scan does not return")
	}
	if err != nil {
		t.Fatalf("%v (%v)", err, backends.CategoryOf(err))
	}
	if problem := Check(r); problem != "" {
		t.Fatalf("%+v: %s", r, problem)
	}
	return r
}

// outcome is what Scan returned.
type outcome struct {
	result backends.Result
	err    error
}

// scanWithin reports ok = false if the scan hangs.
func scanWithin(ctx context.Context, b backends.Backend, obj backends.Object) (r backends.Result, err error, ok bool) {
	done := make(chan outcome, 1)
	go func() {
		r, err := b.Scan(ctx, obj)
		done <- outcome{r, err}
	}()
	timer := time.NewTimer(12 * patience)
	defer timer.Stop()
	select {
	case o := <-done:
		return o.result, o.err, true
	case <-timer.C:
		return backends.Result{}, nil, false
	}
}

// Check returns what is wrong with a result, if anything: an invalid category or a
// failure, too many findings, OK with findings, or a finding that is stronger than the
// category of the result.
func Check(r backends.Result) string {
	if !r.Category.Valid() || r.Category.IsFailure() {
		return "a result cannot have this category"
	}
	if len(r.Findings) > maxFindings {
		return "too many findings"
	}
	text := len(r.Detail)
	for _, f := range r.Findings {
		text += len(f.Name)
		if !f.Category.Valid() || f.Category.IsFailure() {
			return "a finding cannot have this category"
		}
		if f.Category != backends.OK && r.Category == backends.OK {
			return "OK with a finding"
		}
		if backends.Stronger(f.Category, r.Category) {
			return "a finding is stronger than the result"
		}
	}
	if text > maxText {
		return "too much text"
	}
	return ""
}

func (s *suite) clean(t *testing.T) {
	r := scan(t, s.start(t), CleanObject(t))
	wantCategory(t, r, backends.OK)
}

func (s *suite) eicar(t *testing.T) {
	if s.opts.NoEICAR {
		t.Skip("the engine does not find EICAR")
	}
	b := s.start(t)
	r := scan(t, b, Bytes(t, testfile.EICAR()))
	wantCategory(t, r, backends.Virus)
	if len(r.Findings) == 0 || r.Findings[0].Name == "" {
		t.Errorf("%+v: no name", r)
	}
	if all, ok := b.(backends.AllMatcher); ok {
		r, err := all.ScanAll(t.Context(), Bytes(t, testfile.EICAR()))
		if err != nil {
			t.Fatalf("ScanAll: %v", err)
		}
		wantCategory(t, r, backends.Virus)
	}
}

func (s *suite) encrypted(t *testing.T) {
	r := scan(t, s.start(t), Bytes(t, testfile.Encrypted()))
	if s.opts.Encrypted {
		wantCategory(t, r, backends.Encrypted)
	}
}

func (s *suite) empty(t *testing.T) {
	wantCategory(t, scan(t, s.start(t), Bytes(t, nil)), backends.OK)
}

// largeOne allows one test with a large object at a time. Tests that depend on short
// delays hold it for reading, because large objects would keep the processor busy.
var largeOne sync.RWMutex

func (s *suite) large(t *testing.T) {
	largeOne.Lock()
	defer largeOne.Unlock()
	size := s.opts.Large
	if size == 0 {
		size = 20 << 20
	}
	wantCategory(t, scan(t, s.start(t), LargeObject(t, size)), backends.OK)
}

// concurrent mixes clean and infected objects, so that an answer that reaches another
// scan is noticed.
func (s *suite) concurrent(t *testing.T) {
	n := s.opts.Parallel
	if n == 0 {
		n = 50
	}
	b := s.start(t)
	clean, virus := CleanObject(t), Bytes(t, testfile.EICAR())
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			o, want := clean, backends.OK
			if i%2 == 1 && !s.opts.NoEICAR {
				o, want = virus, backends.Virus
			}
			r, err, ok := scanWithin(t.Context(), b, o)
			switch {
			case !ok:
				t.Errorf("scan %d does not return", i)
			case err != nil:
				t.Errorf("scan %d: %v", i, err)
			case r.Category != want:
				t.Errorf("scan %d: %v, want %v", i, r, want)
			}
		})
	}
	wg.Wait()
}

func wantCategory(t *testing.T, r backends.Result, want backends.Category) {
	t.Helper()
	if r.Category != want {
		t.Errorf("category %q, want %q: %+v", r.Category, want, r)
	}
}
