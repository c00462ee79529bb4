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

// restarting is limited with a version, which can be down, and reload.
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

// wantLarge scans an object of size bytes and checks the category and the detail.
func wantLarge(t *testing.T, u *Engine, when string, size int64, want backends.Category, detail string) {
	t.Helper()
	r := u.Scan(t.Context(), zeros{content("x"), size}, false)
	if r.Err != nil || r.Result.Category != want || !strings.Contains(r.Result.Detail, detail) {
		t.Errorf("%s: %+v, %v, want %s", when, r.Result, r.Err, want)
	}
}

// TestSizeAgain: whatever may have changed the limits of a node has it asked again.
func TestSizeAgain(t *testing.T) {
	tests := []struct {
		name   string
		happen func(t *testing.T, u *Engine, e *restarting)
	}{
		{"down", func(t *testing.T, u *Engine, e *restarting) {
			e.set(func(*limited) { e.down = errRefused })
			u.Scan(t.Context(), content("x"), false)
			e.set(func(*limited) { e.down = nil })
		}},
		{"RELOAD", func(t *testing.T, u *Engine, e *restarting) {
			if err := u.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		{"another version", func(t *testing.T, u *Engine, e *restarting) {
			e.set(func(*limited) { e.version = "two" })
			time.Sleep(2 * time.Minute) // it is asked with the health check
		}},
		{"nothing that is seen", func(*testing.T, *Engine, *restarting) { time.Sleep(sizeEvery * time.Minute) }},
	}
	for _, tt := range tests {
		for _, limits := range []struct{ before, after int64 }{{1 << 40, 25 * mib}, {50 * mib, 25 * mib}, {25 * mib, 50 * mib}, {25 * mib, 1 << 40}} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := &restarting{limited: limited{limit: limits.before, over: backends.Clean(0)}, version: "one"}
					u := New(sized(&e.limited))
					u.nodes[0].backend = e
					run(t, u)
					time.Sleep(10 * time.Minute)
					e.set(func(*limited) { e.limit = limits.after })
					tt.happen(t, u, e)
					time.Sleep(30 * time.Second)
					synctest.Wait()
					got := u.Status().Nodes[0]
					limit := got.UnscannedAbove
					if limits.after > 100*mib && limit != 0 || limits.after < 100*mib && (limit > limits.after || limit < limits.after-limits.after/10) {
						t.Errorf("%d to %d: %+v", limits.before, limits.after, got)
					}
				})
			})
		}
	}
}

// TestLimitKept: what was found out about a node holds until something else is.
func TestLimitKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &restarting{limited: limited{limit: 25 * mib, over: backends.Clean(0)}, version: "one"}
		u := New(sized(&e.limited))
		u.nodes[0].backend = e
		run(t, u)
		synctest.Wait()
		gate := make(chan struct{})
		e.set(func(*limited) { e.gate = gate })
		for range 2 {
			if err := u.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			e.set(func(*limited) { e.gate = nil }) // of mails
			wantLarge(t, u, "after RELOAD", 30*mib, backends.Partial, "MaxFileSize")
			wantLarge(t, u, "after RELOAD", 20*mib, backends.OK, "")
			e.set(func(*limited) { e.gate = gate })
		}
		close(gate)
	})
}

// TestUnproven: until the first proof, and the first after a node was down, an ok for
// a large object is partial, but not for long where no proof is to be had.
func TestUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		e := &restarting{limited: limited{limit: 25 * mib, over: backends.Clean(0), gate: make(chan struct{})}}
		cfg := sized(&e.limited)
		cfg.Timeout, cfg.Log = time.Hour, zerolog.New(log)
		cfg.Nodes[0].Backend = e
		u := New(cfg)
		run(t, u)
		synctest.Wait() // the probe hangs
		wantLarge(t, u, "small", mib, backends.OK, "")
		wantLarge(t, u, "before the proof", mib+1, backends.Partial, unprovenText)
		time.Sleep(sizeWait)
		synctest.Wait()
		wantLarge(t, u, "no proof to be had", 20*mib, backends.OK, "")
		if n := log.count("size check", "not proven"); n != 1 {
			t.Errorf("%d warnings", n)
		}
		close(e.gate)
		synctest.Wait()
		wantLarge(t, u, "the proof after all", 30*mib, backends.Partial, "MaxFileSize")
		wantLarge(t, u, "the proof after all", 20*mib, backends.OK, "")

		e.set(func(*limited) { e.gate, e.down = make(chan struct{}), errRefused })
		u.Scan(t.Context(), content("x"), false)
		e.set(func(*limited) { e.down = nil })
		time.Sleep(3 * time.Second)
		wantLarge(t, u, "up again", 20*mib, backends.Partial, unprovenText)
		close(e.gate)
		synctest.Wait()
		wantLarge(t, u, "up again, and proven", 20*mib, backends.OK, "")
		if n := log.count("not proven"); n != 1 {
			t.Errorf("%d warnings", n)
		}
	})
}

// TestNothingToProve: large objects are not suspected where no proof can come.
func TestNothingToProve(t *testing.T) {
	for name, change := range map[string]func(*Config, *restarting){
		"not asked":                   func(c *Config, _ *restarting) { c.SizeCheck = false },
		"no canary":                   func(c *Config, _ *restarting) { c.Canary = false },
		"does not look into archives": func(_ *Config, e *restarting) { e.flat = true },
		"fails with the largest":      func(_ *Config, e *restarting) { e.limit, e.err = 60*mib, errors.New("too large") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &restarting{limited: limited{limit: 1 << 40}}
				cfg := sized(&e.limited)
				cfg.Nodes[0].Backend = e
				change(&cfg, e)
				u := New(cfg)
				run(t, u)
				time.Sleep(sizeWait + time.Second)
				wantLarge(t, u, "ok", 50*mib, backends.OK, "")
			})
		})
	}
}

// TestCaught: a node caught passing its largest object is not believed about large
// ones while its limit is looked for, however long that takes.
func TestCaught(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &restarting{limited: limited{limit: 25 * mib, over: backends.Clean(0)}}
		cfg := sized(&e.limited)
		slow := make(chan struct{})
		cfg.Timeout = time.Hour
		cfg.Nodes[0].Backend = backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
			if _, mail := o.(zeros); !mail && o.Size() > mib && o.Size() < 100*mib {
				<-slow
			}
			return e.Scan(ctx, o)
		})
		u := New(cfg)
		run(t, u)
		time.Sleep(3 * sizeWait)
		wantLarge(t, u, "searching", 20*mib, backends.Partial, unprovenText)
		close(slow)
		synctest.Wait()
		wantLarge(t, u, "found", 20*mib, backends.OK, "")
	})
}

// TestSizeRarely: where nothing happens, few health checks include the large object.
func TestSizeRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &restarting{limited: limited{limit: 1 << 40}}
		u := New(sized(&e.limited))
		run(t, u)
		time.Sleep(3*sizeEvery*time.Minute + time.Second)
		synctest.Wait()
		if n := len(e.asked); n < 4 || n > 5 { // two at first
			t.Errorf("asked for %d", e.asked)
		}
	})
}
