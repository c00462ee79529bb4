package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestSucceedMaxScans lowers and raises MaxScans while scans wait.
func TestSucceedMaxScans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{gate: make(chan struct{})}
		with := func(most int) Config {
			cfg := identified(withCanary(f))
			cfg.MaxScans, cfg.Timeout = most, time.Hour
			return cfg
		}
		e := New(with(4))
		run(t, e)
		synctest.Wait()
		for range 20 {
			go e.Scan(t.Context(), text("x"), false)
		}
		running := func(want int) {
			t.Helper()
			synctest.Wait()
			if f.set(func(*fakeEngine) {}); f.running != want {
				t.Errorf("%d scans, want %d", f.running, want)
			}
		}
		running(4)
		e = succeed(t, e, with(2))
		running(4)
		for i := range 2 {
			f.gate <- struct{}{}
			running(3 - i)
		}
		f.gate <- struct{}{}
		running(2)
		e = succeed(t, e, with(6))
		running(6)
		close(f.gate)
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestSucceedCanary switches health checks on and off.
func TestSucceedCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{blind: true}
		e := New(identified(config(f)))
		run(t, e)
		r := e.Scan(t.Context(), text("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		wantState(t, e, "up")

		e = succeed(t, e, identified(withCanary(f))) // nothing is proven yet
		r = e.Scan(t.Context(), text("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
		wantState(t, e, "down")

		f.set(func(f *fakeEngine) { f.hold = make(chan struct{}) })
		time.Sleep(time.Second)
		synctest.Wait() // a health check is under way
		e = succeed(t, e, identified(config(f)))
		close(f.hold)
		synctest.Wait()
		wantState(t, e, "unknown") // the outcome of the check does not count
		r = e.Scan(t.Context(), text("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		checks := len(f.checks())
		time.Sleep(time.Hour)
		if n := len(f.checks()); n != checks {
			t.Errorf("%d health checks after they were switched off", n-checks)
		}
	})
}

// TestSucceedReleases has the clean control of a removed node come back: it is still known,
// but the node is not kept in memory for that.
func TestSucceedReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var control []byte
		old := &fakeEngine{}
		e := New(withCanary(backends.Func(func(ctx context.Context, obj backends.Object) (backends.Result, error) {
			if data := read(obj); control == nil {
				control = data
			}
			return old.Scan(ctx, obj)
		})))
		run(t, e)
		synctest.Wait()
		gone := e.nodes[0]
		next := succeed(t, e, withCanary(&fakeEngine{}))
		synctest.Wait()
		if !CameBack(text(string(control)), "unix:/x") {
			t.Error("the clean control is no longer known")
		}
		wantState(t, next, "up")
		ownNonces.mu.Lock()
		defer ownNonces.mu.Unlock()
		for _, o := range ownNonces.origin {
			if o.node == gone {
				t.Error("the node is still kept")
			}
		}
	})
}

// TestSucceedNodes adds, removes and reorders nodes.
func TestSucceedNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := &closing{}, &closing{}, &closing{}
		all := identified(withCanary(a, b, c)).Nodes
		with := func(nodes ...Node) Config {
			cfg := withCanary()
			cfg.Nodes = nodes
			return cfg
		}
		e := New(with(all[0], all[1]))
		run(t, e)
		synctest.Wait()
		e = succeed(t, e, with(all[2], all[1]))
		synctest.Wait()
		wantState(t, e, "up", "up")
		if s := e.Status(); s.Nodes[0].Address != "c" || s.Nodes[1].Address != "b" || e.Slots() != 20 {
			t.Errorf("status %+v", s)
		}
		if a.closed.Load() != 1 || len(b.checks()) != 1 || len(c.checks()) != 1 {
			t.Errorf("a closed %d times; %d and %d health checks", a.closed.Load(), len(b.checks()), len(c.checks()))
		}
		for range 10 {
			wantScan(t, e, "x", backends.OK)
		}
		if a.fakeEngine.asked() != 0 {
			t.Error("a was asked")
		}
	})
}

// TestSucceedMaxSize changes the size of the largest object: an ok for more than the proven
// size is partial until more is proven.
func TestSucceedMaxSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &limited{limit: 1 << 40, over: backends.Clean(0)}
		with := func(size int64, check bool) Config {
			cfg := identified(sized(f))
			cfg.MaxSize, cfg.SizeCheck = size, check
			return cfg
		}
		e := New(with(30*mib, true))
		run(t, e)
		time.Sleep(10 * time.Second)
		wantLarge(t, e, "initially", 30*mib, backends.OK, "")
		f.set(func(f *limited) { f.limit, f.gate = 40*mib, make(chan struct{}) })
		e = succeed(t, e, with(100*mib, true))
		time.Sleep(10 * time.Second)
		wantLarge(t, e, "proven size", 30*mib, backends.OK, "")
		wantLarge(t, e, "larger", 35*mib, backends.Partial, unprovenText)
		close(f.gate)
		time.Sleep(10 * time.Second)
		wantLarge(t, e, "above the engine's limit", 50*mib, backends.Partial, "larger objects ok without scanning them")
		e = succeed(t, e, with(20*mib, true))
		time.Sleep(10 * time.Second)
		wantLarge(t, e, "lowered", 20*mib, backends.OK, "")
		e = succeed(t, e, with(100*mib, false))
		wantLarge(t, e, "without the check", 100*mib, backends.OK, "")
		asked := len(f.asked)
		time.Sleep(time.Hour)
		if len(f.asked) != asked {
			t.Errorf("asked %d times without the check", len(f.asked)-asked)
		}
	})
}

// TestSucceedUnderLoad changes the configuration all the time during scans: none may fail.
func TestSucceedUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func() backends.Backend {
			return &fakeEngine{answer: func(_ context.Context, o backends.Object) (backends.Result, error) {
				time.Sleep(300 * time.Millisecond)
				if !strings.Contains(string(read(o)), "virus") {
					return backends.Result{}, errors.New("wrong object")
				}
				return backends.Found(1, "Some.Virus"), nil
			}}
		}
		random := func() Config {
			cfg := withCanary(slow(), slow(), slow())
			cfg = identified(cfg)
			for i := range cfg.Nodes {
				if rand.IntN(5) == 0 {
					cfg.Nodes[i].Identity = ""
				}
			}
			rand.Shuffle(3, func(i, j int) { cfg.Nodes[i], cfg.Nodes[j] = cfg.Nodes[j], cfg.Nodes[i] })
			cfg.Nodes = cfg.Nodes[:1+rand.IntN(3)]
			cfg.MaxScans = 1 + rand.IntN(10)
			cfg.Canary = rand.IntN(4) > 0
			cfg.Required = rand.IntN(2) > 0
			cfg.Timeout = time.Minute
			return cfg
		}
		e := New(random())
		run(t, e)
		var newest atomic.Pointer[Engine]
		newest.Store(e)
		var m mails
		for range 100 {
			m.send(t, newest.Load(), 100*time.Millisecond, time.Duration(rand.IntN(2000))*time.Millisecond)
			newest.Store(succeed(t, newest.Load(), random()))
		}
		m.under.Wait()
		time.Sleep(time.Minute)
		wantIdle(t, newest.Load())
	})
}
