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
type allMatcher struct{ engine }

func (*allMatcher) ScanAll(context.Context, backends.Object) (backends.Result, error) {
	return backends.Found(1, "One", "Two"), nil
}

func TestScan(t *testing.T) {
	u := New(config(&allMatcher{}))
	defer u.Close()
	r := u.Scan(t.Context(), content("a virus"), false)
	wantCategory(t, r.Result, r.Err, backends.Virus)
	if r.Engine != "fake" || !r.Required || r.Node != "a" || r.Elapsed <= 0 || len(r.Result.Findings) != 1 {
		t.Errorf("report %+v", r)
	}
	if r = u.Scan(t.Context(), content("a virus"), true); len(r.Result.Findings) != 2 {
		t.Errorf("all matches: %+v", r.Result)
	}
	r = u.Scan(t.Context(), content("nothing"), false)
	wantCategory(t, r.Result, r.Err, backends.OK)

	plain := New(config(&engine{}))
	defer plain.Close()
	r = plain.Scan(t.Context(), content("a virus"), true) // has no ScanAll
	wantCategory(t, r.Result, r.Err, backends.Virus)
	wantIdle(t, u)
}

func TestMaxSize(t *testing.T) {
	e := &engine{}
	cfg := config(e)
	cfg.MaxSize = 5
	u := New(cfg)
	defer u.Close()
	r := u.Scan(t.Context(), content("123456"), false)
	wantCategory(t, r.Result, r.Err, backends.Partial)
	if r.Result.Code != backends.NoCode || len(r.Result.Findings) != 1 ||
		backends.NameCategory(r.Result.Findings[0].Name) != backends.Partial {
		t.Errorf("result %+v", r.Result)
	}
	if e.asked() != 0 {
		t.Error("a content over the limit was sent")
	}
	r = u.Scan(t.Context(), content("virus"), false)
	wantCategory(t, r.Result, r.Err, backends.Virus)
}

// TestBadBackend has backends break their promises: never a pass, never a panic.
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
			u := New(config(backends.Func(func(context.Context, backends.Object) (backends.Result, error) { return tt.scan() })))
			defer u.Close()
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, tt.want)
			wantIdle(t, u)
		})
	}
	t.Run("no backend", func(t *testing.T) {
		u := New(config(nil))
		defer u.Close()
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
	})
	t.Run("no node", func(t *testing.T) {
		u := New(config())
		defer u.Close()
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
	})
	t.Run("no content", func(t *testing.T) {
		u := New(config(&engine{}))
		defer u.Close()
		r := u.Scan(t.Context(), nil, false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
	})
}

// TestTimeout has an engine that takes too long but heeds its context.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		u := New(config(e))
		defer u.Close()
		begin := time.Now()
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took != 10*time.Second || r.Elapsed != took {
			t.Errorf("took %v, elapsed %v", took, r.Elapsed)
		}
		begin = time.Now()
		r = u.Scan(within(t, time.Second), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v", took)
		}
		wantIdle(t, u)
	})
}

// TestCancel checks that a scan called off is interrupted, whatever the cause
// and the backend say, and does not count as a failure.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Result{}, errors.New("read: use of closed network connection")
		}}
		u := New(config(e))
		defer u.Close()
		settled := errors.New("verdict settled")
		for _, cause := range []error{nil, settled, &backends.Failure{Category: backends.SWErr, Text: "x"}} {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			r := u.Scan(ctx, content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
			if cause == settled && !errors.Is(r.Err, settled) {
				t.Errorf("error %v does not tell the cause", r.Err)
			}
			r = u.Scan(ctx, content("x"), false) // it is over before it begins
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
		}
		if s := u.Status(); s.Counters.Failures != 0 || s.Nodes[0].Counters.Failures != 0 || s.Nodes[0].Counters.Scans != 3 {
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
		u := New(cfg)
		defer u.Close()
		c := content("x")
		begin := time.Now()
		r := u.Scan(within(t, time.Second), c, false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took > time.Second+100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if n := c.users.Load(); n != 1 {
			t.Errorf("content has %d users, want the hung backend", n)
		}
		r = u.Scan(within(t, time.Second), c, false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if !strings.Contains(r.Err.Error(), "no free slot within 1s") {
			t.Errorf("error %v", r.Err)
		}
		close(thaw)
		synctest.Wait()
		if n := c.users.Load(); n != 0 {
			t.Errorf("content has %d users", n)
		}
		wantIdle(t, u)
		r = u.Scan(t.Context(), c, false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if s := u.Status(); s.Counters.Scans != 3 || s.Counters.Failures != 2 || s.Nodes[0].Counters.Failures != 1 {
			t.Errorf("counters %+v", s)
		}
	})
}

// closer counts how often it is closed, and scans under way then.
type closer struct {
	engine
	closed  int
	tooSoon bool
}

func (c *closer) Close() error {
	c.set(func(e *engine) {
		c.closed++
		c.tooSoon = c.tooSoon || e.running > 0
	})
	return io.ErrClosedPipe
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &closer{engine: engine{gate: make(chan struct{})}}
		cfg := config(e)
		cfg.MaxScans = 1
		u := New(cfg)
		done := make(chan error, 2)
		for range 2 { // one in flight, one waiting
			go func() {
				r := u.Scan(t.Context(), content("x"), false)
				done <- r.Err
			}()
		}
		synctest.Wait()
		begin := time.Now()
		u.Close()
		u.Close()
		if time.Since(begin) != 0 || e.closed != 0 {
			t.Errorf("Close took %v, closed %d", time.Since(begin), e.closed)
		}
		close(e.gate)
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("scan during Close: %v", err)
			}
		}
		synctest.Wait()
		if e.closed != 1 || e.tooSoon {
			t.Errorf("closed %d times, too soon %v", e.closed, e.tooSoon)
		}
		r := u.Scan(t.Context(), content("x"), false) // of a command begun before the reload
		wantCategory(t, r.Result, r.Err, backends.OK)
		synctest.Wait()
		if e.closed != 2 {
			t.Errorf("closed %d times after a late scan", e.closed)
		}
		wantIdle(t, u)
	})
}

// stuckCloser is a backend whose Close hangs until it is told.
type stuckCloser struct {
	engine
	release chan struct{}
}

func (c *stuckCloser) Close() error { <-c.release; panic("and then panics") }

func TestCloseHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &stuckCloser{release: make(chan struct{})}
		u := New(config(e))
		begin := time.Now()
		u.Close()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		close(e.release)
	})
}
