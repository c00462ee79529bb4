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

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// closing is an engine that counts how often it was closed.
type closing struct {
	versioned
	closed atomic.Int64
}

func (c *closing) Close() error {
	c.closed.Add(1)
	return nil
}

// identified gives the nodes of cfg identities, so that reloads keep them.
func identified(cfg Config) Config {
	for i := range cfg.Nodes {
		cfg.Nodes[i].Identity = "id of " + cfg.Nodes[i].Address
	}
	return cfg
}

// succeed replaces u by one with cfg, and fails the test if they are not the same engine.
func succeed(t *testing.T, u *Engine, cfg Config) *Engine {
	t.Helper()
	next := New(cfg)
	if !next.Succeed(u) {
		t.Fatal("it is another engine")
	}
	return next
}

// TestSucceedKeeps checks that a node that did not change keeps everything, and that
// its engine notices nothing.
func TestSucceedKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, unused := &closing{versioned: versioned{text: "1.0"}}, &closing{}
		u := New(identified(withCanary(e)))
		run(t, u)
		r := u.Scan(t.Context(), content("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.Virus)
		synctest.Wait()
		before, checks, asks := u.Status(), len(e.proved()), e.asked()

		cfg := identified(withCanary(unused))
		cfg.Timeout, cfg.Required = time.Second, false
		next := succeed(t, u, cfg)
		synctest.Wait()
		after := next.Status()
		if after.Required || !u.Required() || next.Required() {
			t.Error("required is not that of the configuration")
		}
		after.Required = true
		if b, a := before.Nodes[0], after.Nodes[0]; a != b || before.Counters != after.Counters {
			t.Errorf("status %+v, before %+v", after, before)
		}
		if len(e.proved()) != checks || e.asked() != asks || e.closed.Load() != 0 {
			t.Error("the reload was noticed")
		}
		if len(unused.proved()) != 0 || unused.closed.Load() != 1 {
			t.Errorf("the new backend was asked, or closed %d times", unused.closed.Load())
		}
		r = next.Scan(t.Context(), content("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.Virus)
		next.Close()
		synctest.Wait()
		if e.closed.Load() == 0 {
			t.Error("not closed in the end")
		}
	})
}

// TestSucceedReplaces changes a node while scans wait for the first health check of the
// one before: they are answered by the new one.
func TestSucceedReplaces(t *testing.T) {
	for _, identity := range []string{"", "other"} {
		synctest.Test(t, func(t *testing.T) {
			old, fresh := &closing{}, &closing{}
			old.hold = make(chan struct{})
			u := New(identified(withCanary(old)))
			run(t, u)
			done := make(chan error, 20)
			scan := func(u *Engine) {
				r := u.Scan(t.Context(), content("a virus"), false)
				wantCategory(t, r.Result, r.Err, backends.Virus)
				done <- r.Err
			}
			for range 10 {
				go scan(u)
			}
			time.Sleep(time.Second)
			log := new(lines)
			cfg := withCanary(fresh)
			cfg.Nodes[0].Identity = identity
			cfg.Log = zerolog.New(log)
			next := succeed(t, u, cfg)
			for range 10 {
				go scan(next)
			}
			for range 20 {
				<-done
			}
			if old.engine.asked() != 0 || old.closed.Load() != 0 {
				t.Errorf("the old node was asked, or closed %d times during its health check", old.closed.Load())
			}
			close(old.hold)
			synctest.Wait()
			if old.closed.Load() == 0 {
				t.Error("the old node was not closed after its health check")
			}
			wantState(t, next, "up")
			time.Sleep(time.Hour)
			if n := len(old.proved()); n != 1 {
				t.Errorf("%d health checks of the old node", n)
			}
			if n := log.count("node down"); n != 0 {
				t.Errorf("%d lines say that the node went down", n)
			}
		})
	}
}

// TestSucceedScanUnderWay removes a node that scans: the scan ends as it would have, and
// says nothing about the node that takes its place.
func TestSucceedScanUnderWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want backends.Category
	}{{"answers", nil, backends.Virus}, {"fails", errRefused, backends.Virus}} {
		synctest.Test(t, func(t *testing.T) {
			old, fresh, log := &closing{}, &closing{}, new(lines)
			cfg := withCanary(old)
			cfg.Log = zerolog.New(log)
			u := New(cfg)
			run(t, u)
			synctest.Wait()
			old.set(func(e *engine) { e.gate = make(chan struct{}) })
			done := make(chan struct{})
			go func() {
				defer close(done)
				r := u.Scan(t.Context(), content("a virus"), false) // if it fails, on the new node
				wantCategory(t, r.Result, r.Err, tt.want)
			}()
			synctest.Wait()
			next := succeed(t, u, withCanary(fresh))
			synctest.Wait()
			if old.closed.Load() != 0 {
				t.Error("closed during a scan")
			}
			old.set(func(e *engine) { e.err = tt.err })
			close(old.gate)
			<-done
			synctest.Wait()
			if old.closed.Load() == 0 {
				t.Error("not closed after the scan")
			}
			wantState(t, next, "up")
			wantIdle(t, next)
			if n := log.count("node down"); n != 0 {
				t.Errorf("%d lines say that the node is down", n)
			}
		})
	}
}

// TestSucceedBlind has a health check find out that a node that has just been replaced
// is blind: what it still answers is not believed.
func TestSucceedBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, log := &engine{}, new(lines)
		cfg := withCanary(old)
		cfg.Log = zerolog.New(log)
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		old.set(func(e *engine) { e.gate, e.hold, e.blind = make(chan struct{}), make(chan struct{}, 1), true })
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := u.Scan(t.Context(), content("a virus"), false)
			wantCategory(t, r.Result, r.Err, backends.Virus)
			if r.Node != "a" || u.Status().Counters.Replays != 1 {
				t.Errorf("node %q, %d replays", r.Node, u.Status().Counters.Replays)
			}
		}()
		synctest.Wait()
		u.mu.Lock()
		n := u.nodes[0]
		u.startCheck(n)
		u.mu.Unlock()
		old.hold <- struct{}{} // for the clean control
		synctest.Wait()        // EICAR has a slot
		succeed(t, u, withCanary(&engine{}))
		old.hold <- struct{}{}
		synctest.Wait()
		close(old.gate)
		<-done
		if n := log.count("node down"); n != 0 {
			t.Errorf("%d lines say that a node is down", n)
		}
	})
}

// TestSucceedMaxScans lowers and raises the bound while scans wait.
func TestSucceedMaxScans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{gate: make(chan struct{})}
		with := func(most int) Config {
			cfg := identified(withCanary(e))
			cfg.MaxScans, cfg.Timeout = most, time.Hour
			return cfg
		}
		u := New(with(4))
		run(t, u)
		synctest.Wait()
		for range 20 {
			go u.Scan(t.Context(), content("x"), false)
		}
		running := func(want int) {
			t.Helper()
			synctest.Wait()
			if e.set(func(*engine) {}); e.running != want {
				t.Errorf("%d scans, want %d", e.running, want)
			}
		}
		running(4)
		u = succeed(t, u, with(2))
		running(4)
		for i := range 2 {
			e.gate <- struct{}{}
			running(3 - i)
		}
		e.gate <- struct{}{}
		running(2)
		u = succeed(t, u, with(6))
		running(6)
		close(e.gate)
		synctest.Wait()
		wantIdle(t, u)
	})
}

// TestSucceedCanary switches the health checks on and off.
func TestSucceedCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{blind: true}
		u := New(identified(config(e)))
		run(t, u)
		r := u.Scan(t.Context(), content("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		wantState(t, u, "up")

		u = succeed(t, u, identified(withCanary(e))) // it has proven nothing yet
		r = u.Scan(t.Context(), content("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
		wantState(t, u, "down")

		e.set(func(e *engine) { e.hold = make(chan struct{}) })
		time.Sleep(time.Second)
		synctest.Wait() // a health check is under way
		u = succeed(t, u, identified(config(e)))
		close(e.hold)
		synctest.Wait()
		wantState(t, u, "unknown") // its outcome does not count any more
		r = u.Scan(t.Context(), content("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		checks := len(e.proved())
		time.Sleep(time.Hour)
		if n := len(e.proved()); n != checks {
			t.Errorf("%d health checks after they were switched off", n-checks)
		}
	})
}

// TestSucceedForgets has the clean control of a node that is gone come back: it is still
// known, but the node is not kept for that.
func TestSucceedForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var control []byte
		old := &engine{}
		u := New(withCanary(backends.Func(func(ctx context.Context, obj backends.Object) (backends.Result, error) {
			if data := read(obj); control == nil {
				control = data
			}
			return old.Scan(ctx, obj)
		})))
		run(t, u)
		synctest.Wait()
		gone := u.nodes[0]
		next := succeed(t, u, withCanary(&engine{}))
		synctest.Wait()
		if !CameBack(content(string(control)), "unix:/x") {
			t.Error("the clean control is not known any more")
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
		u := New(with(all[0], all[1]))
		run(t, u)
		synctest.Wait()
		u = succeed(t, u, with(all[2], all[1]))
		synctest.Wait()
		wantState(t, u, "up", "up")
		if s := u.Status(); s.Nodes[0].Address != "c" || s.Nodes[1].Address != "b" || u.Slots() != 20 {
			t.Errorf("status %+v", s)
		}
		if a.closed.Load() != 1 || len(b.proved()) != 1 || len(c.proved()) != 1 {
			t.Errorf("a closed %d times; %d and %d health checks", a.closed.Load(), len(b.proved()), len(c.proved()))
		}
		for range 10 {
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		}
		if a.engine.asked() != 0 {
			t.Error("a was asked")
		}
	})
}

// TestSucceedOther does nothing to another engine, or to one that is closed.
func TestSucceedOther(t *testing.T) {
	u := New(config(&engine{}))
	defer u.Close()
	name, kind, same := config(&engine{}), config(&engine{}), config(&engine{})
	name.Name, kind.Kind = "other", "other"
	for _, cfg := range []Config{name, kind} {
		other := New(cfg)
		if other.Succeed(u) {
			t.Errorf("%s %s succeeds %s %s", cfg.Name, cfg.Kind, u.Name(), u.Kind())
		}
		other.Close()
	}
	u.Close()
	next := New(same)
	defer next.Close()
	if next.Succeed(u) {
		t.Error("an engine that is closed is succeeded")
	}
}

// TestSucceedDuringReload changes the node whose turn it is, and the one after it.
func TestSucceedDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines, later := fleet(), fleet()
		identify := func(c *Config) { *c = identified(*c) }
		u := engineOf(t, nil, identify, engines...)
		done := make(chan error, 1)
		go func() { done <- u.Reload(t.Context()) }()
		time.Sleep(5 * time.Second)
		cfg := identified(withCanary(later[0], later[1], engines[2]))
		cfg.Nodes[0].Identity, cfg.Nodes[1].Identity = "new", "new"
		next := succeed(t, u, cfg)
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for i, want := range []int{1, 0, 1} {
			if reloads, _ := engines[i].counts(); reloads != want {
				t.Errorf("engine %d: %d reloads, want %d", i, reloads, want)
			}
		}
		if reloads, _ := later[1].counts(); reloads != 1 {
			t.Errorf("the new second node: %d reloads", reloads)
		}
		wantState(t, next, "up", "up", "up")
	})
}

// TestSucceedWhileDraining replaces the node whose turn it is before it has to load.
func TestSucceedWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines, later := fleet(), fleet()
		u := engineOf(t, nil, nil, engines[:2]...)
		gate := make(chan struct{})
		for _, e := range engines[:2] {
			e.set(func(e *engine) { e.gate = gate })
			go u.Scan(t.Context(), content("x"), false)
		}
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- u.Reload(t.Context()) }()
		time.Sleep(5 * time.Second)
		succeed(t, u, withCanary(later[0], later[1]))
		if err := <-done; err != nil {
			t.Error(err)
		}
		for i := range 2 {
			before, _ := engines[i].counts()
			after, _ := later[i].counts()
			if before != 0 || after != 1 {
				t.Errorf("node %d: %d reloads before and %d after it was replaced", i, before, after)
			}
		}
		close(gate)
		synctest.Wait()
	})
}

// TestSucceedMaxSize changes the size of the largest object: what is larger than what
// has been proven is partial until more is.
func TestSucceedMaxSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &limited{limit: 1 << 40, over: backends.Clean(0)}
		with := func(size int64, check bool) Config {
			cfg := identified(sized(e))
			cfg.MaxSize, cfg.SizeCheck = size, check
			return cfg
		}
		u := New(with(30*mib, true))
		run(t, u)
		time.Sleep(10 * time.Second)
		wantLarge(t, u, "at first", 30*mib, backends.OK, "")
		e.set(func(e *limited) { e.limit, e.gate = 40*mib, make(chan struct{}) })
		u = succeed(t, u, with(100*mib, true))
		time.Sleep(10 * time.Second)
		wantLarge(t, u, "what is proven", 30*mib, backends.OK, "")
		wantLarge(t, u, "what is not", 35*mib, backends.Partial, unprovenText)
		close(e.gate)
		time.Sleep(10 * time.Second)
		wantLarge(t, u, "larger than the engine's limit", 50*mib, backends.Partial, "larger objects ok without a look")
		u = succeed(t, u, with(20*mib, true))
		time.Sleep(10 * time.Second)
		wantLarge(t, u, "lowered", 20*mib, backends.OK, "")
		u = succeed(t, u, with(100*mib, false))
		wantLarge(t, u, "without the check", 100*mib, backends.OK, "")
		asked := len(e.asked)
		time.Sleep(time.Hour)
		if len(e.asked) != asked {
			t.Errorf("asked %d times without the check", len(e.asked)-asked)
		}
	})
}

// TestSucceedUnderLoad reloads all the time while scans come: none may fail.
func TestSucceedUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func() backends.Backend {
			return &engine{answer: func(_ context.Context, o backends.Object) (backends.Result, error) {
				time.Sleep(300 * time.Millisecond)
				if !strings.Contains(string(read(o)), "virus") {
					return backends.Result{}, errors.New("another object")
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
		u := New(random())
		run(t, u)
		var newest atomic.Pointer[Engine]
		newest.Store(u)
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
