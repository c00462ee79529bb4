package engine

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// allMatcher is an engine with ScanAll.
type allMatcher struct{ fakeEngine }

func (*allMatcher) ScanAll(context.Context, backends.Object) (backends.Result, error) {
	return backends.Found(1, "One", "Two"), nil
}

func TestScan(t *testing.T) {
	e := New(config(&allMatcher{}))
	defer e.Close()
	r := e.Scan(t.Context(), text("a virus"), false)
	wantCategory(t, r.Result, r.Err, backends.Virus)
	if r.Engine != "fake" || !r.Required || r.Node != "a" || r.Elapsed <= 0 || len(r.Result.Findings) != 1 {
		t.Errorf("report %+v", r)
	}
	if r = e.Scan(t.Context(), text("a virus"), true); len(r.Result.Findings) != 2 {
		t.Errorf("all matches: %+v", r.Result)
	}
	r = e.Scan(t.Context(), text("nothing"), false)
	wantCategory(t, r.Result, r.Err, backends.OK)

	plain := New(config(&fakeEngine{}))
	defer plain.Close()
	r = plain.Scan(t.Context(), text("a virus"), true) // has no ScanAll
	wantCategory(t, r.Result, r.Err, backends.Virus)
	wantIdle(t, e)
}

func TestMaxSize(t *testing.T) {
	f := &fakeEngine{}
	cfg := config(f)
	cfg.MaxSize = 5
	e := New(cfg)
	defer e.Close()
	r := e.Scan(t.Context(), text("123456"), false)
	wantCategory(t, r.Result, r.Err, backends.Partial)
	if r.Result.Code != backends.NoCode || len(r.Result.Findings) != 1 ||
		backends.NameCategory(r.Result.Findings[0].Name) != backends.Partial {
		t.Errorf("result %+v", r.Result)
	}
	if f.asked() != 0 {
		t.Error("an object over the limit was sent")
	}
	r = e.Scan(t.Context(), text("virus"), false)
	wantCategory(t, r.Result, r.Err, backends.Virus)
}

// TestBadBackend has backends break their contract: they never pass an object, and never
// crash the daemon.
func TestBadBackend(t *testing.T) {
	result := func(r backends.Result) func() (backends.Result, error) {
		return func() (backends.Result, error) { return r, nil }
	}
	virus := []backends.Finding{{Name: "X", Category: backends.Virus}}
	tests := []struct {
		name string
		scan func() (backends.Result, error)
		want backends.Category
	}{
		{"no category", result(backends.Result{}), backends.SWErr},
		{"unknown category", result(backends.Result{Category: "fine"}), backends.SWErr},
		{"failure as result", result(backends.Result{Category: backends.NotInstalled, Code: 3}), backends.NotInstalled},
		{"ok with a virus", result(backends.Result{Category: backends.OK, Findings: virus}), backends.Virus},
		{"ok with a nameless category", result(backends.Result{Category: backends.OK, Findings: make([]backends.Finding, 1)}), backends.SWErr},
		{"result and error", func() (backends.Result, error) { return backends.Clean(0), errors.New("x") }, backends.SWErr},
		{"ok with a finding that is ok", result(backends.Result{Category: backends.OK, Findings: []backends.Finding{{Name: "X", Category: backends.OK}}}), backends.OK},
		{"panic", func() (backends.Result, error) { panic("boom") }, backends.SWErr},
		{"nil panic", func() (backends.Result, error) { panic(nil) }, backends.SWErr},
		{"goroutine ended", func() (backends.Result, error) { runtime.Goexit(); return backends.Clean(0), nil }, backends.SWErr},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := New(config(backends.Func(func(context.Context, backends.Object) (backends.Result, error) { return tt.scan() })))
			defer e.Close()
			r := e.Scan(t.Context(), text("x"), false)
			wantCategory(t, r.Result, r.Err, tt.want)
			wantIdle(t, e)
		})
	}
	t.Run("no backend", func(t *testing.T) {
		e := New(config(nil))
		defer e.Close()
		wantScan(t, e, "x", backends.SWErr)
	})
	t.Run("no node", func(t *testing.T) {
		e := New(config())
		defer e.Close()
		wantScan(t, e, "x", backends.SWErr)
	})
	t.Run("no object", func(t *testing.T) {
		e := New(config(&fakeEngine{}))
		defer e.Close()
		r := e.Scan(t.Context(), nil, false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
	})
}

// TestTimeout has an engine that takes too long, but respects its context.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		e := New(config(f))
		defer e.Close()
		begin := time.Now()
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took != 10*time.Second || r.Elapsed != took {
			t.Errorf("took %v, elapsed %v", took, r.Elapsed)
		}
		begin = time.Now()
		r = e.Scan(within(t, time.Second), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v", took)
		}
		wantIdle(t, e)
	})
}

// TestCancel checks that a canceled scan is interrupted, whatever the cause and the
// backend's error, and does not count as a failure.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Result{}, errors.New("read: use of closed network connection")
		}}
		e := New(config(f))
		defer e.Close()
		settled := errors.New("verdict settled")
		for _, cause := range []error{nil, settled, &backends.Failure{Category: backends.SWErr, Text: "x"}} {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			r := e.Scan(ctx, text("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if cause == settled && !errors.Is(r.Err, settled) {
				t.Errorf("error %v does not name the cause", r.Err)
			}
			r = e.Scan(ctx, text("x"), false) // ctx has ended already
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
		}
		if s := e.Status(); s.Counters.Failures != 0 || s.Nodes[0].Counters.Failures != 0 || s.Nodes[0].Counters.Scans != 3 {
			t.Errorf("status %+v", s)
		}
	})
}

// TestHungBackend has a backend that ignores its context.
func TestHungBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		thaw := make(chan struct{})
		frozen := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
			<-thaw
			return backends.Clean(0), nil
		})
		cfg := config(frozen)
		cfg.MaxScans = 1
		e := New(cfg)
		defer e.Close()
		c := text("x")
		begin := time.Now()
		r := e.Scan(within(t, time.Second), c, false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took > time.Second+100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if n := c.users.Load(); n != 1 {
			t.Errorf("object has %d users, want one: the hung backend", n)
		}
		r = e.Scan(within(t, time.Second), c, false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if !strings.Contains(r.Err.Error(), "no free slot within 1s") {
			t.Errorf("error %v", r.Err)
		}
		close(thaw)
		synctest.Wait()
		if n := c.users.Load(); n != 0 {
			t.Errorf("object has %d users", n)
		}
		wantIdle(t, e)
		r = e.Scan(t.Context(), c, false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if s := e.Status(); s.Counters.Scans != 3 || s.Counters.Failures != 2 || s.Nodes[0].Counters.Failures != 1 {
			t.Errorf("counters %+v", s)
		}
	})
}

// closer counts how often it is closed, and notices if scans are still running.
type closer struct {
	fakeEngine
	closed  int
	tooSoon bool
}

func (c *closer) Close() error {
	c.set(func(f *fakeEngine) {
		c.closed++
		c.tooSoon = c.tooSoon || f.running > 0
	})
	return io.ErrClosedPipe
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &closer{fakeEngine: fakeEngine{gate: make(chan struct{})}}
		cfg := config(f)
		cfg.MaxScans = 1
		e := New(cfg)
		done := make(chan error, 2)
		for range 2 { // one in flight, one waiting
			go func() {
				r := e.Scan(t.Context(), text("x"), false)
				done <- r.Err
			}()
		}
		synctest.Wait()
		begin := time.Now()
		e.Close()
		e.Close()
		if time.Since(begin) != 0 || f.closed != 0 {
			t.Errorf("Close took %v, closed %d", time.Since(begin), f.closed)
		}
		close(f.gate)
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("scan during Close: %v", err)
			}
		}
		synctest.Wait()
		if f.closed != 1 || f.tooSoon {
			t.Errorf("closed %d times, too soon %v", f.closed, f.tooSoon)
		}
		r := e.Scan(t.Context(), text("x"), false) // of a command that began before the reload
		wantCategory(t, r.Result, r.Err, backends.OK)
		synctest.Wait()
		if f.closed != 2 {
			t.Errorf("closed %d times after a late scan", f.closed)
		}
		wantIdle(t, e)
	})
}

// stuckCloser is a backend whose Close hangs until it is released.
type stuckCloser struct {
	fakeEngine
	release chan struct{}
}

func (c *stuckCloser) Close() error { <-c.release; panic("after it hung") }

func TestCloseHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &stuckCloser{release: make(chan struct{})}
		e := New(config(f))
		begin := time.Now()
		e.Close()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		close(f.release)
	})
}
