package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/cache"
	"polyclam/proxy/policy"
)

// stream is an object whose bytes are polyclam's own.
type stream struct {
	*textObject
	name string
}

func streamOf(s string) *stream { return &stream{textObject: text(s)} }

func (s *stream) Spooled() int64 { return s.Size() }
func (s *stream) Name() string   { return s.name }

// withCache is a configuration with a cache and health checks.
func withCache(engines ...backends.Backend) Config {
	c := withCanary(engines...)
	c.Cache, c.CacheTTL, c.Fingerprint = cache.New(cache.Config{Memory: 1 << 20}), time.Hour, "options"
	return c
}

// askCached is what a listener does with an object for one engine.
func askCached(ctx context.Context, e *Engine, o Object, all bool) policy.Report {
	var k *Known
	if known := LookUp(ctx, []*Engine{e}, o, all); known != nil {
		k = known[0]
	}
	return e.ScanKnown(ctx, o, all, k)
}

// wantCached scans o, and checks where the result comes from: "memory", or "" for the engine.
func wantCached(t *testing.T, e *Engine, o Object, want cache.Source) policy.Report {
	t.Helper()
	r := askCached(t.Context(), e, o, false)
	if r.Cached != string(want) {
		t.Errorf("result %+v, error %v: cached %q, want %q", r.Result, r.Err, r.Cached, want)
	}
	return r
}

// confirmTime is longer than a result waits for its confirmation.
const confirmTime = confirmPause + confirmSoon

// confirmed scans o and waits until the result is confirmed.
func confirmed(t *testing.T, e *Engine, o Object) {
	t.Helper()
	synctest.Wait() // for the first health check
	wantCached(t, e, o, "")
	time.Sleep(confirmTime)
	synctest.Wait()
}

func TestCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &versioned{text: "one"}
		f.answer = func(_ context.Context, o backends.Object) (backends.Result, error) {
			if string(read(o)) == "bad" {
				return backends.Result{
					Category: backends.Encrypted, Code: 7, Detail: "words",
					Findings: []backends.Finding{{Name: "A b", Category: backends.Encrypted}, {Category: backends.Encrypted}},
				}, nil
			}
			return backends.Clean(0), nil
		}
		e := New(withCache(f))
		run(t, e)
		synctest.Wait()
		for _, s := range []string{"good", "bad"} {
			fresh := wantCached(t, e, streamOf(s), "")
			wantCached(t, e, streamOf(s), "") // not confirmed yet
			asked := f.fakeEngine.asked()
			time.Sleep(confirmTime)
			r := wantCached(t, e, streamOf(s), cache.Memory)
			if !sameResult(r.Result, fresh.Result) || r.Err != nil || r.Engine != "fake" || !r.Required || r.CachedAge < confirmSoon {
				t.Errorf("%s: %+v, want %+v", s, r, fresh)
			}
			if f.fakeEngine.asked() != asked {
				t.Errorf("%s: the engine was asked", s)
			}
		}
		if c := e.Status().Cache; c.Memory != 2 || c.Misses != 4 || c.NotCacheable != 0 {
			t.Errorf("counters %+v", c)
		}
		if s := e.Status(); s.Counters.Scans != 4 {
			t.Errorf("%d scans", s.Counters.Scans)
		}
	})
}

// TestCacheMiss makes a result obsolete in every way.
func TestCacheMiss(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, e *Engine, f *versioned)
		object *stream
		all    bool
		hit    bool
	}{
		{name: "nothing", hit: true},
		{name: "half an hour", change: func(*testing.T, *Engine, *versioned) { time.Sleep(30 * time.Minute) }, hit: true},
		{name: "cache_ttl is over", change: func(*testing.T, *Engine, *versioned) { time.Sleep(time.Hour) }},
		{name: "another version", change: func(_ *testing.T, _ *Engine, f *versioned) {
			f.set(func(*fakeEngine) { f.text = "two" })
			time.Sleep(versionTrust + time.Second)
		}},
		{name: "no version", change: func(_ *testing.T, _ *Engine, f *versioned) {
			f.set(func(*fakeEngine) { f.verr = errors.New("refused") })
			time.Sleep(versionTrust + time.Second)
		}},
		{name: "no answer to VERSION", change: func(t *testing.T, _ *Engine, f *versioned) {
			gate := make(chan struct{})
			f.set(func(*fakeEngine) { f.vgate = gate })
			t.Cleanup(func() { close(gate) })
			time.Sleep(versionTrust + time.Second)
		}},
		{name: "a reload", change: func(_ *testing.T, e *Engine, _ *versioned) {
			_ = e.Reload(context.Background())
			time.Sleep(time.Second)
		}},
		{name: "an outage", change: func(_ *testing.T, e *Engine, f *versioned) {
			f.set(func(f *fakeEngine) { f.canary = errRefused })
			e.checkNode(0)
			f.set(func(f *fakeEngine) { f.canary = nil })
			time.Sleep(time.Minute)
		}},
		{name: "stops at heuristics", change: func(_ *testing.T, e *Engine, _ *versioned) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.nodes[0].heuristics.first = true
		}},
		{name: "every match", all: true},
		{name: "another object", object: streamOf("sealed?")},
		{name: "another name", object: &stream{text("sealed"), "a.doc"}},
		{name: "a client's file", object: nil, hit: true, change: nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &versioned{text: "one"}
				f.answer = func(context.Context, backends.Object) (backends.Result, error) {
					return backends.Found(1, "Heuristics.Encrypted.Zip"), nil
				}
				c := withCache(f)
				c.CacheNames = true
				e := New(c)
				run(t, e)
				confirmed(t, e, streamOf("sealed"))
				if tt.change != nil {
					tt.change(t, e, f)
				}
				var o Object = streamOf("sealed")
				switch {
				case tt.object != nil:
					o = tt.object
				case tt.name == "a client's file":
					o = text("sealed")
				}
				r := askCached(t.Context(), e, o, tt.all)
				if hit := r.Cached != ""; hit != tt.hit || r.Err != nil {
					t.Errorf("%+v; want a hit: %v", r, tt.hit)
				}
				cancelGates(f)
			})
		})
	}
}

func cancelGates(f *versioned) { f.set(func(*fakeEngine) { f.vgate = nil }) }

// checkNode runs a health check of a node now.
func (e *Engine) checkNode(i int) {
	e.mu.Lock()
	n := e.nodes[i]
	n.health.CheckNow()
	e.mu.Unlock()
	e.wakeRun()
	synctest.Wait()
}

// TestNotKept lists the results that never get into the cache.
func TestNotKept(t *testing.T) {
	partial := backends.Finding{Name: "Heuristics.Limits.Exceeded.MaxScanTime", Category: backends.Partial}
	for _, tt := range []struct {
		name   string
		result backends.Result
		err    error
		config func(c *Config)
		object Object
		during func(e *Engine, f *versioned) // the scan
		kept   bool
	}{
		{name: "ok", result: backends.Clean(0), kept: true},
		{name: "virus", result: backends.Found(1, "Some.Virus"), kept: true},
		{name: "suspicious", result: backends.Result{Category: backends.Suspicious, Code: 1}, kept: true},
		{name: "encrypted", result: backends.Found(1, "Heuristics.Encrypted.Zip"), kept: true},
		{name: "partial", result: backends.Result{Category: backends.Partial}},
		{name: "virus and partial", result: backends.Result{Category: backends.Virus, Findings: []backends.Finding{{Name: "V", Category: backends.Virus}, partial}}},
		{name: "a failure", err: &backends.Failure{Category: backends.SWErr}},
		{name: "a failure as a result", result: backends.Result{Category: backends.Interrupted}},
		{name: "a virus and a failure", result: backends.Found(1, "V"), err: &backends.Failure{Category: backends.Interrupted}},
		{name: "an invalid category", result: backends.Result{Category: "odd"}},
		{name: "a client's file", result: backends.Clean(0), object: text("object")},
		{name: "an empty object", result: backends.Clean(0), object: streamOf("")},
		{name: "EICAR", result: backends.Found(1, "Eicar"), object: streamOf(string(testfile.EICAR()))},
		{name: "a clean control", result: backends.Clean(0), object: streamOf(string(testfile.Clean(testfile.NewNonce())))},
		{name: "a test mail", result: backends.Found(1, "Eicar"), object: streamOf(string(testfile.MailedEICAR(testfile.NewNonce())))},
		{name: "no health checks", result: backends.Clean(0), config: func(c *Config) { c.Canary = false }},
		{name: "cache_ttl 0", result: backends.Clean(0), config: func(c *Config) { c.CacheTTL = 0 }},
		{name: "an unknown configuration", result: backends.Clean(0), config: func(c *Config) { c.Fingerprint = "" }},
		{name: "too large", result: backends.Clean(0), config: func(c *Config) { c.MaxSize = 3 }},
		{name: "other signatures during the scan", result: backends.Clean(0), during: func(_ *Engine, f *versioned) {
			f.set(func(*fakeEngine) { f.text = "two" })
		}},
		{name: "a reload during the scan", result: backends.Clean(0), during: func(e *Engine, _ *versioned) { go e.Reload(context.Background()) }},
		{name: "heuristics first", result: backends.Found(1, "Heuristics.Encrypted.Zip"), during: func(e *Engine, _ *versioned) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.nodes[0].heuristics.first = true
		}},
		{name: "an unproven size", result: backends.Clean(0), during: func(e *Engine, _ *versioned) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.nodes[0].size.limit = 2
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &versioned{text: "one"}
				var e *Engine
				f.answer = func(context.Context, backends.Object) (backends.Result, error) {
					if tt.during != nil {
						tt.during(e, f)
					}
					return tt.result, tt.err
				}
				c := withCache(f)
				if tt.config != nil {
					tt.config(&c)
				}
				e = New(c)
				e.kept.Store(true) // so that clients' files are hashed
				run(t, e)
				o := tt.object
				if o == nil {
					o = streamOf("object")
				}
				confirmed(t, e, o)
				time.Sleep(time.Minute)
				if added := c.Cache.Stats().Memory.Added; added != 0 != tt.kept {
					t.Errorf("%d results were kept", added)
				}
			})
		})
	}
}

// TestObservedNotKept checks that an observed engine neither fills nor uses the cache.
func TestObservedNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCache(&versioned{text: "one"})
		e := New(c)
		run(t, e)
		synctest.Wait()
		scan, ok := e.Observe(t.Context(), streamOf("object"), false)
		if !ok {
			t.Fatal("no slot")
		}
		scan()
		time.Sleep(time.Minute)
		if added := c.Cache.Stats().Memory.Added; added != 0 {
			t.Errorf("%d results were kept", added)
		}
		confirmed(t, e, streamOf("object"))
		scan, _ = e.Observe(t.Context(), streamOf("object"), false)
		if r := scan(); r.Cached != "" {
			t.Errorf("%+v", r)
		}
	})
}

// TestUnversioned covers an engine that does not report its signatures.
func TestUnversioned(t *testing.T) {
	for _, tt := range []struct {
		name     string
		backend  backends.Backend
		explicit bool
		kept     bool
	}{
		{"no VERSION", &fakeEngine{}, false, false},
		{"no VERSION, explicit", &fakeEngine{}, true, true},
		{"no database", &withoutDatabase{}, false, false},
		{"no database, explicit", &withoutDatabase{}, true, true},
		{"VERSION refused", &versioned{verr: errors.New("refused")}, false, false},
		{"VERSION refused, explicit", &versioned{verr: errors.New("refused")}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := withCache(tt.backend)
				c.CacheUnversioned = tt.explicit
				e := New(c)
				run(t, e)
				confirmed(t, e, streamOf("object"))
				want := cache.Source("")
				if tt.kept {
					want = cache.Memory
				}
				wantCached(t, e, streamOf("object"), want)
			})
		})
	}
}

// withoutDatabase is an engine that reports its program's version only.
type withoutDatabase struct{ fakeEngine }

func (*withoutDatabase) Version(context.Context) (backends.Version, error) {
	return backends.Version{Text: "Scanner 1", Engine: "Scanner 1"}, nil
}

// ofDay is an engine with a database of some age.
type ofDay struct {
	fakeEngine
	day  int
	text string
}

func (d *ofDay) Version(context.Context) (backends.Version, error) {
	return backends.Version{Text: fmt.Sprint(d.day, d.text), Database: fmt.Sprint(d.day), DatabaseTime: time.Unix(int64(d.day)*86400, 0)}, nil
}

// TestSeveralVersions has nodes with different signatures: only what the newest gave is used.
func TestSeveralVersions(t *testing.T) {
	for _, tt := range []struct {
		name     string
		a, b     int // days
		more     string
		ok       bool
		wantDays int
	}{
		{"the same", 1, 1, "", true, 1},
		{"the second is newer", 1, 2, "", true, 2},
		{"the first is newer", 3, 2, "", true, 3},
		{"of the same day, but different", 1, 1, " other", false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := withCache(&ofDay{day: tt.a}, &ofDay{day: tt.b, text: tt.more})
				e := New(c)
				run(t, e)
				synctest.Wait()
				e.Version(t.Context())
				synctest.Wait()
				s, _, ok := e.signaturesNow(e.cfg)
				if ok != tt.ok {
					t.Fatalf("ok: %v", ok)
				}
				want, _ := (&ofDay{day: tt.wantDays}).Version(t.Context())
				if ok && s.version != versionText(want) {
					t.Errorf("version %q", s.version)
				}
			})
		})
	}
}

// TestResultKey checks that every part of a key counts, and that no two parts can be mixed up.
func TestResultKey(t *testing.T) {
	seen := map[cache.Key]string{}
	for _, tt := range []struct {
		name                 string
		fingerprint, version string
		object               objectID
		reload               uint64
	}{
		{"plain", "f", "v", objectID{}, 0},
		{"sum", "f", "v", objectID{sum: [32]byte{1}}, 0},
		{"size", "f", "v", objectID{size: 1}, 0},
		{"all", "f", "v", objectID{all: true}, 0},
		{"name", "f", "v", objectID{name: "f"}, 0},
		{"fingerprint", "ff", "v", objectID{}, 0},
		{"version", "f", "vv", objectID{}, 0},
		{"shifted", "fv", "", objectID{}, 0},
		{"shifted twice", "", "fv", objectID{}, 0},
		{"name and fingerprint", "", "v", objectID{name: "f"}, 0},
		{"reload", "f", "v", objectID{}, 1},
	} {
		c := &Config{Fingerprint: tt.fingerprint}
		k := c.resultKey(tt.object, tt.version, tt.reload)
		if other, taken := seen[k]; taken {
			t.Errorf("%s has the key of %s", tt.name, other)
		}
		if k != c.resultKey(tt.object, tt.version, tt.reload) || k == c.engineKey() || k == c.failureKey(tt.object.sum, tt.object.size) {
			t.Errorf("%s: %x", tt.name, k)
		}
		seen[k] = tt.name
	}
}
