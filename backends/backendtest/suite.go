package backendtest

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
)

// Options say what is particular to the backend under test. The zero value is
// right for an engine that finds EICAR.
type Options struct {
	// NoEICAR is for an engine that does not know the test file.
	NoEICAR bool
	// Encrypted is for an engine that says Encrypted of [EncryptedZip].
	Encrypted bool
	// Large is the size of the large content; 20 MiB if zero.
	Large int
	// Parallel is the number of scans at once; 50 if zero.
	Parallel int
	// Dial opens the backend for the engine at address, if it has an address.
	// The suite then plays engines that are missing, mad or silent.
	Dial func(t *testing.T, address string) backends.Backend
	// Network is where these engines listen, "unix" (if empty) or "tcp".
	Network string
	// Greeting is what an engine of this kind says first, if it does.
	Greeting string
	// Half are beginnings of answers, such as "stream: O", that must not pass
	// for whole ones when the engine then goes away.
	Half []Words
}

// What an engine may report of one content; more is not bounded.
const (
	mostFindings = 1000
	mostText     = 64 << 10 // bytes of all names and the detail
)

// Run is the conformance suite: what every backend must do, whatever engine is
// behind it. open makes the backend; the suite closes it if it is an io.Closer.
func Run(t *testing.T, open func(t *testing.T) backends.Backend, opts Options) {
	s := &suite{open: open, opts: opts}
	t.Run("clean", s.clean)
	t.Run("EICAR", s.eicar)
	t.Run("encrypted", s.encrypted)
	t.Run("empty", s.empty)
	t.Run("large", s.large)
	t.Run("at once", s.atOnce)
	t.Run("context ended before", s.endedBefore)
	t.Run("context ends in the middle", s.endsInTheMiddle)
	t.Run("content breaks off", s.breaksOff)
	if opts.Dial != nil {
		t.Run("erratic", s.erratic)
	}
}

type suite struct {
	open func(t *testing.T) backends.Backend
	opts Options
}

// start opens the backend and sees that nothing of it is left in the end.
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

// scan scans c without an end in sight and wants a result.
func scan(t *testing.T, b backends.Backend, o backends.Object) backends.Result {
	t.Helper()
	r, err, ok := scanWithin(t.Context(), b, o)
	if !ok {
		t.Fatal("the scan does not end")
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

// scanWithin reports ok = false if the scan does not end in time: it hangs.
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

// Check says what is wrong with a result, or nothing: a category that is not
// valid or is a failure, findings without end, an OK with findings, findings
// stronger than the whole.
func Check(r backends.Result) string {
	if !r.Category.Valid() || r.Category.IsFailure() {
		return "not the category of a result"
	}
	if len(r.Findings) > mostFindings {
		return "too many findings"
	}
	text := len(r.Detail)
	for _, f := range r.Findings {
		text += len(f.Name)
		if !f.Category.Valid() || f.Category.IsFailure() {
			return "not the category of a finding"
		}
		if f.Category != backends.OK && r.Category == backends.OK {
			return "OK in spite of a finding"
		}
		if backends.Stronger(f.Category, r.Category) {
			return "a finding is stronger than the whole"
		}
	}
	if text > mostText {
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
		t.Skip("the engine does not know it")
	}
	b := s.start(t)
	r := scan(t, b, Bytes(t, EICAR()))
	wantCategory(t, r, backends.Virus)
	if len(r.Findings) == 0 || r.Findings[0].Name == "" {
		t.Errorf("%+v: no name", r)
	}
	if all, ok := b.(backends.AllMatcher); ok {
		r, err := all.ScanAll(t.Context(), Bytes(t, EICAR()))
		if err != nil {
			t.Fatalf("ScanAll: %v", err)
		}
		wantCategory(t, r, backends.Virus)
	}
}

func (s *suite) encrypted(t *testing.T) {
	r := scan(t, s.start(t), Bytes(t, EncryptedZip()))
	if s.opts.Encrypted {
		wantCategory(t, r, backends.Encrypted)
	}
}

func (s *suite) empty(t *testing.T) {
	wantCategory(t, scan(t, s.start(t), Bytes(t, nil)), backends.OK)
}

// largeOne keeps several tests from having large objects in memory at the same time, and
// from taking the processor from those in which moments count: they hold it for reading.
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

// atOnce mixes contents, so that an answer that reaches another scan shows.
func (s *suite) atOnce(t *testing.T) {
	n := s.opts.Parallel
	if n == 0 {
		n = 50
	}
	b := s.start(t)
	clean, virus := CleanObject(t), Bytes(t, EICAR())
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
				t.Errorf("scan %d does not end", i)
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
