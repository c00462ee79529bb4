package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
)

// TestLoadingGoesOn checks that nothing ends the time after RELOAD in which nothing is kept,
// and that no earlier result counts again.
func TestLoadingGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, e *Engine, f *versioned) *Engine
	}{
		{"an outage", func(_ *testing.T, e *Engine, f *versioned) *Engine {
			f.set(func(f *fakeEngine) { f.canary = errRefused })
			e.checkNode(0)
			f.set(func(f *fakeEngine) { f.canary = nil })
			time.Sleep(time.Minute)
			return e
		}},
		{"another configuration of the node", func(t *testing.T, e *Engine, f *versioned) *Engine {
			cfg := *e.cfg
			cfg.Nodes = []Node{{Address: e.nodes[0].address, Identity: "changed", Backend: f}}
			next := succeed(t, e, cfg)
			run(t, next)
			synctest.Wait()
			return next
		}},
		{"another node", func(t *testing.T, e *Engine, f *versioned) *Engine {
			cfg := *e.cfg
			cfg.Nodes = []Node{{Address: "elsewhere", Identity: "elsewhere", Backend: f}}
			next := succeed(t, e, cfg)
			run(t, next)
			synctest.Wait()
			return next
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &versioned{text: "one"}
				c := withCache(f)
				e := New(c)
				run(t, e)
				confirmed(t, e, streamOf("object"))
				if err := e.Reload(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				e = tt.change(t, e, f)
				for range 3 {
					e.Version(t.Context())
					wantCached(t, e, streamOf("object"), "")
					time.Sleep(confirmTime)
				}
				if added := c.Cache.Stats().Memory.Added; tt.name != "another node" && added != 1 {
					t.Errorf("%d results were kept, one of them before", added)
				}
			})
		})
	}
}

// TestKeptSingly checks that a result that was merged from two nodes is not kept: each may have
// found only a part of it.
func TestKeptSingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []struct {
			r   backends.Result
			err error
		}{{backends.Result{Category: backends.Encrypted, Code: 1}, errOther}, {backends.Clean(0), nil}}
		asked := 0
		answer := func(context.Context, backends.Object) (backends.Result, error) {
			a := answers[min(asked, 1)]
			asked++
			return a.r, a.err
		}
		a, b := &versioned{text: "one"}, &versioned{text: "one"}
		a.answer, b.answer = answer, answer
		c := withCache(a, b)
		e := New(c)
		run(t, e)
		confirmed(t, e, streamOf("object"))
		time.Sleep(time.Minute)
		if asked != 2 {
			t.Fatalf("%d nodes were asked", asked)
		}
		if added := c.Cache.Stats().Memory.Added; added != 0 {
			t.Errorf("%d results were kept", added)
		}
	})
}

// TestNoRoomBefore checks that a health check does not confirm what was answered after the
// engine had no room, and before a check that it passed.
func TestNoRoomBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &versioned{text: "one"}
		c := withCache(f)
		e := New(c)
		run(t, e)
		synctest.Wait()
		f.set(func(*fakeEngine) { f.err, f.canary = errNoRoom, nil })
		wantScan(t, e, "another", backends.SWErr)
		f.set(func(*fakeEngine) { f.err = nil })
		wantCached(t, e, streamOf("object"), "")
		time.Sleep(confirmTime)
		if added := c.Cache.Stats().Memory.Added; added != 0 {
			t.Errorf("%d results were kept", added)
		}
	})
}

// TestNameDoesNotMatter checks that the name of an object is no part of the key unless the
// engine gets it.
func TestNameDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(withCache(&versioned{text: "one"}))
		run(t, e)
		confirmed(t, e, &stream{text("object"), "a.doc"})
		wantCached(t, e, &stream{text("object"), "b.doc"}, cache.Memory)
	})
}

// keyNow returns the key under which the cache has results about o now.
func keyNow(t *testing.T, e *Engine, o Object) cache.Key {
	t.Helper()
	known := LookUp(t.Context(), []*Engine{e}, o, false)
	if known == nil {
		t.Fatal("not looked up")
	}
	return e.cfg.resultKey(known[0].object, known[0].state.version, known[0].state.reload)
}

// TestFoundIsKeepable checks that a result in the cache that must not be kept is not used.
func TestFoundIsKeepable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCache(&versioned{text: "one"})
		e := New(c)
		run(t, e)
		synctest.Wait()
		o := streamOf("object")
		key := keyNow(t, e, o)
		for _, want := range []struct {
			r      backends.Result
			origin cache.Source
		}{{backends.Clean(0), cache.Memory}, {backends.Result{Category: backends.Partial}, ""}} {
			c.Cache.Add(key, cache.Entry{Result: want.r, Scanned: time.Now()}, time.Hour)
			wantCached(t, e, o, want.origin)
		}
	})
}

func TestIsKeepable(t *testing.T) {
	for _, c := range append(backends.Categories(), "odd", "") {
		want := c.Valid() && !c.IsFailure() && c != backends.Partial
		if got := isKeepable(backends.Result{Category: c}); got != want {
			t.Errorf("%q: %v", c, got)
		}
		r := backends.Result{Category: backends.Virus, Findings: []backends.Finding{{Category: backends.Virus}, {Category: c}}}
		if got := isKeepable(r); c.Valid() && got != want {
			t.Errorf("virus and %q: %v", c, got)
		}
	}
}

// TestKeyParts checks that keys differ in every part that results and failures depend on.
func TestKeyParts(t *testing.T) {
	at := time.Unix(1700000000, 0)
	versions := []backends.Version{
		{}, {Text: "a"}, {Engine: "a"}, {Database: "a"}, {Text: "a", Engine: "a"}, {Text: "a", Database: "a"},
		{DatabaseTime: at}, {DatabaseTime: at.Add(time.Minute)},
	}
	seen := map[string]backends.Version{}
	for _, v := range versions {
		if other, ok := seen[versionText(v)]; ok {
			t.Errorf("%+v and %+v are the same", v, other)
		}
		seen[versionText(v)] = v
	}
	if versionText(backends.Version{Database: "a", DatabaseTime: at}) != versionText(backends.Version{Database: "a"}) {
		t.Error("the time counts although the database has a name")
	}
	a, b := &Config{Fingerprint: "a"}, &Config{Fingerprint: "b"}
	keys := map[cache.Key]string{}
	for name, key := range map[string]cache.Key{
		"a": a.failureKey([32]byte{1}, 1), "another engine": b.failureKey([32]byte{1}, 1),
		"another object": a.failureKey([32]byte{2}, 1), "a result": a.resultKey(objectID{sum: [32]byte{1}, size: 1}, "", 0),
	} {
		if other, ok := keys[key]; ok {
			t.Errorf("%s and %s have the same key", name, other)
		}
		keys[key] = name
	}
}

// TestPromisedTimes pins the times that docs/cache.md names.
func TestPromisedTimes(t *testing.T) {
	for name, d := range map[string][2]time.Duration{
		"the age of a version": {versionTrust, 10 * time.Second}, "between two health checks": {confirmWithin, 9 * time.Second},
		"after RELOAD": {loadTime, 3 * time.Minute},
	} {
		if d[0] != d[1] {
			t.Errorf("%s: %v, docs/cache.md says %v", name, d[0], d[1])
		}
	}
}

// TestFoundInTime checks that the age of a result counts, not only how long it was kept: the
// store may have it from a host with another cache_ttl or another clock.
func TestFoundInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCache(&versioned{text: "one"})
		e := New(c)
		run(t, e)
		synctest.Wait()
		o := streamOf("object")
		key := keyNow(t, e, o)
		for _, tt := range []struct {
			age    time.Duration
			origin cache.Source
		}{{c.CacheTTL - time.Second, cache.Memory}, {c.CacheTTL + time.Second, ""}, {-maxAhead, cache.Memory}, {-maxAhead - time.Second, ""}} {
			c.Cache.Add(key, cache.Entry{Result: backends.Clean(0), Scanned: time.Now().Add(-tt.age)}, 24*time.Hour)
			wantCached(t, e, o, tt.origin)
		}
	})
}
