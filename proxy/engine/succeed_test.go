package engine

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// closing is an engine that counts how often it is closed.
type closing struct {
	versioned
	closed atomic.Int64
}

func (c *closing) Close() error {
	c.closed.Add(1)
	return nil
}

// identified gives the nodes of cfg identities, so that they are kept.
func identified(cfg Config) Config {
	for i := range cfg.Nodes {
		cfg.Nodes[i].Identity = "id of " + cfg.Nodes[i].Address
	}
	return cfg
}

// succeed replaces e by an engine with cfg, which must be the same engine.
func succeed(t *testing.T, e *Engine, cfg Config) *Engine {
	t.Helper()
	next := New(cfg)
	if !next.Succeed(e) {
		t.Fatal("it is another engine")
	}
	return next
}

// TestSucceedKeeps checks that an unchanged node keeps everything, and that its engine
// notices nothing.
func TestSucceedKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, unused := &closing{versioned: versioned{text: "1.0"}}, &closing{}
		e := New(identified(withCanary(f)))
		run(t, e)
		r := e.Scan(t.Context(), text("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.Virus)
		synctest.Wait()
		before, checks, asks := e.Status(), len(f.checks()), f.asked()

		cfg := identified(withCanary(unused))
		cfg.Timeout, cfg.Required = time.Second, false
		next := succeed(t, e, cfg)
		synctest.Wait()
		after := next.Status()
		if after.Required || !e.Required() || next.Required() {
			t.Error("required is not as configured")
		}
		after.Required = true
		if b, a := before.Nodes[0], after.Nodes[0]; a != b || before.Counters != after.Counters {
			t.Errorf("status %+v, before %+v", after, before)
		}
		if len(f.checks()) != checks || f.asked() != asks || f.closed.Load() != 0 {
			t.Error("the engine noticed")
		}
		if len(unused.checks()) != 0 || unused.closed.Load() != 1 {
			t.Errorf("the new backend was asked, or closed %d times", unused.closed.Load())
		}
		r = next.Scan(t.Context(), text("a virus"), false)
		wantCategory(t, r.Result, r.Err, backends.Virus)
		next.Close()
		synctest.Wait()
		if f.closed.Load() == 0 {
			t.Error("never closed")
		}
	})
}

// TestSucceedReplaces changes a node while scans wait for its first health check: the new
// node answers them.
func TestSucceedReplaces(t *testing.T) {
	for _, identity := range []string{"", "other"} {
		synctest.Test(t, func(t *testing.T) {
			old, fresh := &closing{}, &closing{}
			old.hold = make(chan struct{})
			e := New(identified(withCanary(old)))
			run(t, e)
			done := make(chan error, 20)
			scan := func(e *Engine) {
				r := e.Scan(t.Context(), text("a virus"), false)
				wantCategory(t, r.Result, r.Err, backends.Virus)
				done <- r.Err
			}
			for range 10 {
				go scan(e)
			}
			time.Sleep(time.Second)
			log := new(lines)
			cfg := withCanary(fresh)
			cfg.Nodes[0].Identity = identity
			cfg.Log = zerolog.New(log)
			next := succeed(t, e, cfg)
			for range 10 {
				go scan(next)
			}
			for range 20 {
				<-done
			}
			if old.fakeEngine.asked() != 0 || old.closed.Load() != 0 {
				t.Errorf("the old node was used, or closed %d times during its health check", old.closed.Load())
			}
			close(old.hold)
			synctest.Wait()
			if old.closed.Load() == 0 {
				t.Error("the old node was not closed after its health check")
			}
			wantState(t, next, "up")
			time.Sleep(time.Hour)
			if n := len(old.checks()); n != 1 {
				t.Errorf("%d health checks of the old node", n)
			}
			if n := log.count("node down"); n != 0 {
				t.Errorf("%d lines say that the node went down", n)
			}
		})
	}
}

// TestSucceedDuringScan removes a node during a scan: the scan ends as it would have, and
// does not affect the node that takes its place.
func TestSucceedDuringScan(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want backends.Category
	}{{"answers", nil, backends.Virus}, {"fails", errRefused, backends.Virus}} {
		synctest.Test(t, func(t *testing.T) {
			old, fresh, log := &closing{}, &closing{}, new(lines)
			cfg := withCanary(old)
			cfg.Log = zerolog.New(log)
			e := New(cfg)
			run(t, e)
			synctest.Wait()
			old.set(func(f *fakeEngine) { f.gate = make(chan struct{}) })
			done := make(chan struct{})
			go func() {
				defer close(done)
				r := e.Scan(t.Context(), text("a virus"), false) // if it fails, the new node answers
				wantCategory(t, r.Result, r.Err, tt.want)
			}()
			synctest.Wait()
			next := succeed(t, e, withCanary(fresh))
			synctest.Wait()
			if old.closed.Load() != 0 {
				t.Error("closed during a scan")
			}
			old.set(func(f *fakeEngine) { f.err = tt.err })
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

// TestSucceedBlind has a health check find that a node that has just been replaced is
// blind: its answers do not count.
func TestSucceedBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, log := &fakeEngine{}, new(lines)
		cfg := withCanary(old)
		cfg.Log = zerolog.New(log)
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		old.set(func(f *fakeEngine) { f.gate, f.hold, f.blind = make(chan struct{}), make(chan struct{}, 1), true })
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := e.Scan(t.Context(), text("a virus"), false)
			wantCategory(t, r.Result, r.Err, backends.Virus)
			if r.Node != "a" || e.Status().Counters.Replays != 1 {
				t.Errorf("node %q, %d replays", r.Node, e.Status().Counters.Replays)
			}
		}()
		synctest.Wait()
		e.mu.Lock()
		n := e.nodes[0]
		e.startCheck(n)
		e.mu.Unlock()
		old.hold <- struct{}{} // for the clean control
		synctest.Wait()        // EICAR has a slot
		succeed(t, e, withCanary(&fakeEngine{}))
		old.hold <- struct{}{}
		synctest.Wait()
		close(old.gate)
		<-done
		if n := log.count("node down"); n != 0 {
			t.Errorf("%d lines say that a node is down", n)
		}
	})
}

// TestSucceedOther checks that nothing happens to another engine, or to one that is closed.
func TestSucceedOther(t *testing.T) {
	e := New(config(&fakeEngine{}))
	defer e.Close()
	name, kind, same := config(&fakeEngine{}), config(&fakeEngine{}), config(&fakeEngine{})
	name.Name, kind.Kind = "other", "other"
	for _, cfg := range []Config{name, kind} {
		other := New(cfg)
		if other.Succeed(e) {
			t.Errorf("%s %s succeeded %s %s", cfg.Name, cfg.Kind, e.Name(), e.Kind())
		}
		other.Close()
	}
	e.Close()
	next := New(same)
	defer next.Close()
	if next.Succeed(e) {
		t.Error("a closed engine was succeeded")
	}
}

// TestSucceedDuringReload replaces the node whose turn it is, and the next one.
func TestSucceedDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines, later := fleet(), fleet()
		identify := func(c *Config) { *c = identified(*c) }
		e := upAndRunning(t, nil, identify, engines...)
		done := make(chan error, 1)
		go func() { done <- e.Reload(t.Context()) }()
		time.Sleep(5 * time.Second)
		cfg := identified(withCanary(later[0], later[1], engines[2]))
		cfg.Nodes[0].Identity, cfg.Nodes[1].Identity = "new", "new"
		next := succeed(t, e, cfg)
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

// TestSucceedWhileDraining replaces the node whose turn it is before it loads.
func TestSucceedWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines, later := fleet(), fleet()
		e := upAndRunning(t, nil, nil, engines[:2]...)
		gate := make(chan struct{})
		for _, f := range engines[:2] {
			f.set(func(f *fakeEngine) { f.gate = gate })
			go e.Scan(t.Context(), text("x"), false)
		}
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- e.Reload(t.Context()) }()
		time.Sleep(5 * time.Second)
		succeed(t, e, withCanary(later[0], later[1]))
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
