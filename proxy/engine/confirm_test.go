package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestConfirm has something happen between an answer and the health check that would confirm
// it.
func TestConfirm(t *testing.T) {
	set := func(change func(f *versioned)) func(*testing.T, *Engine, *versioned) {
		return func(_ *testing.T, _ *Engine, f *versioned) { f.set(func(*fakeEngine) { change(f) }) }
	}
	for _, tt := range []struct {
		name   string
		before func(f *versioned) // the scan
		after  func(t *testing.T, e *Engine, f *versioned)
		kept   bool
	}{
		{name: "nothing", kept: true},
		{name: "blind", after: set(func(f *versioned) { f.blind = true })},
		{name: "blind since before the scan", before: func(f *versioned) { f.blind = true }},
		{name: "blind for four seconds", before: func(f *versioned) { f.blind = true }, after: func(_ *testing.T, _ *Engine, f *versioned) {
			time.Sleep(4 * time.Second)
			f.set(func(*fakeEngine) { f.blind = false })
		}},
		{name: "refused connection", after: set(func(f *versioned) { f.canary = errRefused })},
		{name: "no answer to the test objects", after: func(t *testing.T, _ *Engine, f *versioned) {
			hold := make(chan struct{})
			f.set(func(*fakeEngine) { f.hold = hold })
			t.Cleanup(func() { close(hold) })
		}},
		{name: "no room for archives", after: set(func(f *versioned) { f.archives = errNoRoom })},
		{name: "an error for archives", after: set(func(f *versioned) { f.archives = errOther })},
		{name: "no room for another object", after: func(t *testing.T, e *Engine, f *versioned) {
			f.set(func(*fakeEngine) { f.err, f.canary = errNoRoom, nil })
			wantScan(t, e, "another", backends.SWErr)
			f.set(func(*fakeEngine) { f.err = nil })
		}},
		{name: "a scan finds the node dead", after: func(t *testing.T, e *Engine, f *versioned) {
			f.set(func(*fakeEngine) { f.err = errRefused })
			wantScan(t, e, "another", backends.CannotExecute)
			f.set(func(*fakeEngine) { f.err = nil })
		}},
		{name: "another version", after: set(func(f *versioned) { f.text = "two" })},
		{name: "no answer to VERSION", after: func(t *testing.T, _ *Engine, f *versioned) {
			gate := make(chan struct{})
			f.set(func(*fakeEngine) { f.vgate = gate })
			t.Cleanup(func() { close(gate) })
		}},
		{name: "VERSION is refused", after: set(func(f *versioned) { f.verr = errOther })},
		{name: "a reload", after: func(t *testing.T, e *Engine, _ *versioned) { _ = e.Reload(t.Context()) }},
		{name: "new signatures, by RELOAD of another program", after: set(func(f *versioned) { f.text = "one+" })},
		{name: "long after the last check", before: func(*versioned) { time.Sleep(confirmWithin) }},
		{name: "soon after the last check", kept: true, before: func(*versioned) { time.Sleep(confirmWithin - confirmSoon - time.Second) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &versioned{text: "one"}
				c := withCache(f)
				e := New(c)
				run(t, e)
				synctest.Wait()
				if tt.before != nil {
					f.set(func(*fakeEngine) { tt.before(f) })
				}
				e.Version(t.Context())
				if r := askCached(t.Context(), e, streamOf("object"), false); r.Err != nil {
					t.Fatal(r.Err)
				}
				if tt.after != nil {
					tt.after(t, e, f)
				}
				time.Sleep(time.Minute)
				f.set(func(f *fakeEngine) { f.blind, f.canary, f.archives = false, nil, nil })
				time.Sleep(time.Minute) // what was dropped must not come back when all is well
				if added := c.Cache.Stats().Memory.Added; added != 0 != tt.kept {
					t.Errorf("%d results were kept", added)
				}
			})
		})
	}
}

// TestConfirmChecks bounds the health checks that results ask for.
func TestConfirmChecks(t *testing.T) {
	for _, tt := range []struct {
		name        string
		took        time.Duration // each test object
		least, most int           // checks in a minute
	}{
		{"quick", 0, 60/int(confirmTime/time.Second) - 1, 60/3 + 1},
		{"slow", 50 * time.Millisecond, 4, 60/5 + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &versioned{text: "one"}
				f.delay = tt.took
				c := withCache(f)
				e := New(c)
				run(t, e)
				time.Sleep(time.Second)
				before := len(f.checks())
				for i := range 600 {
					askCached(t.Context(), e, streamOf(string(rune('a'+i))), false)
					time.Sleep(100 * time.Millisecond)
				}
				if n := len(f.checks()) - before; n < tt.least || n > tt.most {
					t.Errorf("%d checks in a minute, want %d to %d", n, tt.least, tt.most)
				}
				time.Sleep(time.Minute)
				if added := c.Cache.Stats().Memory.Added; added != 600 {
					t.Errorf("%d results kept", added)
				}
				before = len(f.checks())
				time.Sleep(c.CanaryInterval / 2)
				if n := len(f.checks()) - before; n != 0 {
					t.Errorf("%d checks although nothing waits", n)
				}
			})
		})
	}
}

// TestConfirmLate has a result arrive after the node was in doubt, although its scan began
// before.
func TestConfirmLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &versioned{text: "one"}
		gate := make(chan struct{})
		f.answer = func(context.Context, backends.Object) (backends.Result, error) {
			<-gate
			return backends.Clean(0), nil
		}
		c := withCache(f)
		c.Timeout = 10 * time.Minute
		e := New(c)
		run(t, e)
		synctest.Wait()
		done := make(chan struct{})
		go func() {
			askCached(context.Background(), e, streamOf("object"), false)
			close(done)
		}()
		synctest.Wait()
		f.set(func(f *fakeEngine) { f.canary = errRefused })
		e.checkNode(0)
		f.set(func(f *fakeEngine) { f.canary = nil })
		time.Sleep(time.Minute)
		e.checkNode(0) // so that only the doubt is left
		close(gate)
		<-done
		time.Sleep(time.Minute)
		if added := c.Cache.Stats().Memory.Added; added != 0 {
			t.Errorf("%d results were kept", added)
		}
	})
}

// TestLoadingKeepsNothing checks that nothing is kept while an engine may still scan with its
// old signatures after RELOAD.
func TestLoadingKeepsNothing(t *testing.T) {
	for after, kept := range map[time.Duration]bool{time.Second: false, loadTime - 10*time.Second: false, loadTime + time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			c := withCache(&versioned{text: "one"})
			e := New(c)
			run(t, e)
			synctest.Wait()
			if err := e.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after)
			e.Version(t.Context())
			askCached(t.Context(), e, streamOf("another"), false) // asks for a check
			time.Sleep(confirmPause)
			if r := askCached(t.Context(), e, streamOf("object"), false); r.Err != nil {
				t.Fatal(r.Err)
			}
			time.Sleep(time.Minute)
			if added := c.Cache.Stats().Memory.Added; added != 0 != kept {
				t.Errorf("%v after a reload: %d results were kept", after, added)
			}
		})
	}
}
