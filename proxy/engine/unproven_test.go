package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// restarting is limited with a version. It can be down, and knows RELOAD.
type restarting struct {
	limited
	down    error
	version string
}

// Scan implements backends.Backend.
func (r *restarting) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	r.mu.Lock()
	down := r.down
	r.mu.Unlock()
	if down != nil {
		return backends.Result{}, down
	}
	return r.limited.Scan(ctx, o)
}

// Version implements backends.Versioner.
func (r *restarting) Version(context.Context) (backends.Version, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return backends.Version{Text: r.version}, nil
}

// Reload implements backends.Reloader.
func (r *restarting) Reload(context.Context) error { return nil }

const unprovenText = "not proven yet"

// wantLarge scans an object of size bytes and checks the category and detail.
func wantLarge(t *testing.T, e *Engine, when string, size int64, want backends.Category, detail string) {
	t.Helper()
	r := e.Scan(t.Context(), zeros{text("x"), size}, false)
	if r.Err != nil || r.Result.Category != want || !strings.Contains(r.Result.Detail, detail) {
		t.Errorf("%s: %+v, %v, want %s", when, r.Result, r.Err, want)
	}
}

// TestSizeAgain: whatever may have changed the limits of a node renews the size check.
func TestSizeAgain(t *testing.T) {
	tests := []struct {
		name   string
		happen func(t *testing.T, e *Engine, f *restarting)
	}{
		{"down", func(t *testing.T, e *Engine, f *restarting) {
			f.set(func(*limited) { f.down = errRefused })
			e.Scan(t.Context(), text("x"), false)
			f.set(func(*limited) { f.down = nil })
		}},
		{"RELOAD", func(t *testing.T, e *Engine, f *restarting) {
			if err := e.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		{"another version", func(t *testing.T, e *Engine, f *restarting) {
			f.set(func(*limited) { f.version = "two" })
			time.Sleep(2 * time.Minute) // the health check asks for the version
		}},
		{"nothing visible", func(*testing.T, *Engine, *restarting) { time.Sleep(sizeEvery * time.Minute) }},
	}
	for _, tt := range tests {
		for _, limits := range []struct{ before, after int64 }{{1 << 40, 25 * mib}, {50 * mib, 25 * mib}, {25 * mib, 50 * mib}, {25 * mib, 1 << 40}} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &restarting{limited: limited{limit: limits.before, over: backends.Clean(0)}, version: "one"}
					e := New(sized(&f.limited))
					e.nodes[0].backend = f
					run(t, e)
					time.Sleep(10 * time.Minute)
					f.set(func(*limited) { f.limit = limits.after })
					tt.happen(t, e, f)
					time.Sleep(30 * time.Second)
					synctest.Wait()
					got := e.Status().Nodes[0]
					limit := got.UnscannedAbove
					if limits.after > 100*mib && limit != 0 || limits.after < 100*mib && (limit > limits.after || limit < limits.after-limits.after/10) {
						t.Errorf("%d to %d: %+v", limits.before, limits.after, got)
					}
				})
			})
		}
	}
}

// TestLimitKept: a known limit holds until another one is proven.
func TestLimitKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &restarting{limited: limited{limit: 25 * mib, over: backends.Clean(0)}, version: "one"}
		e := New(sized(&f.limited))
		e.nodes[0].backend = f
		run(t, e)
		synctest.Wait()
		gate := make(chan struct{})
		f.set(func(*limited) { f.gate = gate })
		for range 2 {
			if err := e.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			f.set(func(*limited) { f.gate = nil }) // for scans
			wantLarge(t, e, "after RELOAD", 30*mib, backends.Partial, "MaxFileSize")
			wantLarge(t, e, "after RELOAD", 20*mib, backends.OK, "")
			f.set(func(*limited) { f.gate = gate })
		}
		close(gate)
	})
}

// TestUnproven: until the first proof, and the first after a node was down, an ok for a
// large object is partial. If there is no proof, that ends soon.
func TestUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		f := &restarting{limited: limited{limit: 25 * mib, over: backends.Clean(0), gate: make(chan struct{})}}
		cfg := sized(&f.limited)
		cfg.Timeout, cfg.Log = time.Hour, zerolog.New(log)
		cfg.Nodes[0].Backend = f
		e := New(cfg)
		run(t, e)
		synctest.Wait() // the size check hangs
		wantLarge(t, e, "small", mib, backends.OK, "")
		wantLarge(t, e, "before the proof", mib+1, backends.Partial, unprovenText)
		time.Sleep(sizeWait)
		synctest.Wait()
		wantLarge(t, e, "no proof in time", 20*mib, backends.OK, "")
		if n := log.count("size check", "not proven"); n != 1 {
			t.Errorf("%d warnings", n)
		}
		close(f.gate)
		synctest.Wait()
		wantLarge(t, e, "late proof", 30*mib, backends.Partial, "MaxFileSize")
		wantLarge(t, e, "late proof", 20*mib, backends.OK, "")

		f.set(func(*limited) { f.gate, f.down = make(chan struct{}), errRefused })
		e.Scan(t.Context(), text("x"), false)
		f.set(func(*limited) { f.down = nil })
		time.Sleep(3 * time.Second)
		wantLarge(t, e, "up again", 20*mib, backends.Partial, unprovenText)
		close(f.gate)
		synctest.Wait()
		wantLarge(t, e, "up again, and proven", 20*mib, backends.OK, "")
		if n := log.count("not proven"); n != 1 {
			t.Errorf("%d warnings", n)
		}
	})
}

// TestNothingToProve: where nothing can be proven, an ok for a large object counts.
func TestNothingToProve(t *testing.T) {
	for name, change := range map[string]func(*Config, *restarting){
		"switched off":                func(c *Config, _ *restarting) { c.SizeCheck = false },
		"no canary":                   func(c *Config, _ *restarting) { c.Canary = false },
		"does not look into archives": func(_ *Config, f *restarting) { f.flat = true },
		"fails with the largest":      func(_ *Config, f *restarting) { f.limit, f.err = 60*mib, errors.New("too large") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &restarting{limited: limited{limit: 1 << 40}}
				cfg := sized(&f.limited)
				cfg.Nodes[0].Backend = f
				change(&cfg, f)
				e := New(cfg)
				run(t, e)
				time.Sleep(sizeWait + time.Second)
				wantLarge(t, e, "ok", 50*mib, backends.OK, "")
			})
		})
	}
}

// TestCaught: while the limit of a node is looked for that passed its largest object, its
// ok for large objects does not count, however long that takes.
func TestCaught(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &restarting{limited: limited{limit: 25 * mib, over: backends.Clean(0)}}
		cfg := sized(&f.limited)
		slow := make(chan struct{})
		cfg.Timeout = time.Hour
		cfg.Nodes[0].Backend = backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
			if _, mail := o.(zeros); !mail && o.Size() > mib && o.Size() < 100*mib {
				<-slow
			}
			return f.Scan(ctx, o)
		})
		e := New(cfg)
		run(t, e)
		time.Sleep(3 * sizeWait)
		wantLarge(t, e, "searching", 20*mib, backends.Partial, unprovenText)
		close(slow)
		synctest.Wait()
		wantLarge(t, e, "found", 20*mib, backends.OK, "")
	})
}

// TestSizeRarely: if nothing happens, few health checks include the large object.
func TestSizeRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &restarting{limited: limited{limit: 1 << 40}}
		e := New(sized(&f.limited))
		run(t, e)
		time.Sleep(3*sizeEvery*time.Minute + time.Second)
		synctest.Wait()
		if n := len(f.asked); n < 4 || n > 5 { // two the first time
			t.Errorf("asked for %d", f.asked)
		}
	})
}
