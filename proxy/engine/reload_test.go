package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// loading is an engine that answers nothing while it loads signatures, as clamd with
// ConcurrentDatabaseReload no.
type loading struct {
	engine
	latency  time.Duration // of a scan
	takes    time.Duration // to load
	fails    error         // of Reload
	blinded  bool          // it finds nothing after Reload
	together *atomic.Int64 // engines that are loading

	loaded  chan struct{} // closed when it has loaded; nil: it is not loading
	reloads int
	early   int // objects that it got while it was loading
}

// Reload implements backends.Reloader.
func (l *loading) Reload(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reloads++
	if l.fails != nil {
		return l.fails
	}
	l.loaded = make(chan struct{})
	l.together.Add(1)
	time.AfterFunc(l.takes, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.loaded)
		l.loaded = nil
		l.blind = l.blinded
		l.together.Add(-1)
	})
	return nil
}

// Scan implements backends.Backend.
func (l *loading) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	isMail := !isTestObject(read(o))
	l.mu.Lock()
	loaded := l.loaded
	if isMail && loaded != nil {
		l.early++
	}
	l.mu.Unlock()
	if loaded != nil {
		select {
		case <-loaded:
		case <-ctx.Done():
			return backends.Result{}, ctx.Err()
		}
	}
	if isMail {
		time.Sleep(l.latency)
	}
	return l.engine.Scan(ctx, o)
}

// counts are how often l was asked to load, and how many objects it got while it did.
func (l *loading) counts() (reloads, early int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reloads, l.early
}

// fleet are three engines that take 20 s to load.
func fleet() []*loading {
	together := new(atomic.Int64)
	var all []*loading
	for range 3 {
		all = append(all, &loading{latency: 300 * time.Millisecond, takes: 20 * time.Second, together: together})
	}
	return all
}

// engineOf is an engine of these engines that is up.
func engineOf(t *testing.T, log *lines, change func(*Config), engines ...*loading) *Engine {
	t.Helper()
	var nodes []backends.Backend
	for _, e := range engines {
		nodes = append(nodes, e)
	}
	cfg := withCanary(nodes...)
	if log != nil {
		cfg.Log = zerolog.New(log)
	}
	if change != nil {
		change(&cfg)
	}
	u := New(cfg)
	run(t, u)
	time.Sleep(2 * time.Second)
	return u
}

// mails are scans that begin one after another.
type mails struct {
	under   sync.WaitGroup
	failed  atomic.Int64
	longest atomic.Int64
}

// send begins a scan every interval, until the time is over.
func (m *mails) send(t *testing.T, u *Engine, interval, total time.Duration) {
	for end := time.Now().Add(total); time.Now().Before(end); time.Sleep(interval) {
		m.under.Go(func() {
			r := u.Scan(t.Context(), content("a virus"), false)
			if r.Err != nil || r.Result.Category != backends.Virus {
				m.failed.Add(1)
				t.Errorf("scan on %q: %q, %v", r.Node, r.Result.Category, r.Err)
			}
			for longest := m.longest.Load(); int64(r.Elapsed) > longest; longest = m.longest.Load() {
				m.longest.CompareAndSwap(longest, int64(r.Elapsed))
			}
		})
	}
}

func TestReloadRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		most := int64(0)
		u := engineOf(t, nil, nil, engines...)
		done := make(chan error, 1)
		begin := time.Now()
		go func() {
			done <- u.Reload(t.Context())
			if took := time.Since(begin); took < time.Minute || took > 65*time.Second {
				t.Errorf("the reload took %v", took)
			}
		}()
		var m mails
		m.under.Go(func() {
			for range 60 {
				most = max(most, engines[0].together.Load())
				time.Sleep(time.Second)
			}
		})
		m.send(t, u, 50*time.Millisecond, 70*time.Second)
		m.under.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if longest := time.Duration(m.longest.Load()); longest != 300*time.Millisecond || most != 1 {
			t.Errorf("longest scan %v, %d engines loading together", longest, most)
		}
		for i, e := range engines {
			if reloads, early := e.counts(); reloads != 1 || early != 0 {
				t.Errorf("engine %d: %d reloads, %d objects while it was loading", i, reloads, early)
			}
		}
		wantState(t, u, "up", "up", "up")
		wantIdle(t, u)
	})
}

// TestReloadDrains has a long scan on the node whose turn it is: it ends first.
func TestReloadDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		u := engineOf(t, nil, nil, engines[:2]...)
		gate := make(chan struct{})
		var long sync.WaitGroup
		for _, e := range engines[:2] {
			e.set(func(e *engine) { e.gate = gate })
			long.Go(func() {
				r := u.Scan(t.Context(), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
			})
		}
		synctest.Wait()
		go u.Reload(t.Context())
		time.Sleep(5 * time.Second)
		if reloads, _ := engines[0].counts(); reloads != 0 {
			t.Error("the node had to load while it scanned")
		}
		wantStates(t, u, "reloading", "up")
		close(gate)
		long.Wait()
		time.Sleep(time.Second)
		if reloads, _ := engines[0].counts(); reloads != 1 {
			t.Errorf("%d reloads", reloads)
		}
		time.Sleep(time.Minute)
		wantStates(t, u, "up", "up")
	})
}

// wantStates is wantState without the reasons.
func wantStates(t *testing.T, u *Engine, want ...string) {
	t.Helper()
	for i, n := range u.Status().Nodes {
		if n.State != want[i] {
			t.Errorf("node %s is %s, want %s", n.Address, n.State, want[i])
		}
	}
}

// TestReloadStops has a second node that does not come back, in several ways.
func TestReloadStops(t *testing.T) {
	tests := []struct {
		name   string
		change func(*loading)
		reason string
	}{
		{"hangs", func(l *loading) { l.takes = time.Hour }, "no answer within 10m0s after RELOAD"},
		{"dies", func(l *loading) { l.takes, l.canary = 0, errRefused }, "connection refused"},
		{"is blind", func(l *loading) { l.blinded = true }, missesEICAR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engines := fleet()
				log := new(lines)
				u := engineOf(t, log, nil, engines...)
				engines[1].set(func(*engine) { tt.change(engines[1]) })
				done := make(chan error, 1)
				go func() { done <- u.Reload(t.Context()) }()
				var m mails
				m.send(t, u, 50*time.Millisecond, 40*time.Second)
				err := <-done
				m.under.Wait()
				if longest := time.Duration(m.longest.Load()); longest != 300*time.Millisecond {
					t.Errorf("longest scan %v", longest)
				}
				for _, want := range []string{"reload fake b: it did not come back: ", tt.reason, "; the nodes after it keep their old signatures"} {
					if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("error %v, want %q in one line", err, want)
					}
				}
				for i, want := range []int{1, 1, 0} {
					if reloads, _ := engines[i].counts(); reloads != want {
						t.Errorf("engine %d: %d reloads, want %d", i, reloads, want)
					}
				}
				wantState(t, u, "up", "down", "up")
				if n := log.count("node down", `"node":"b"`); n != 1 {
					t.Errorf("%d log lines say that it is down", n)
				}
				engines[1].set(func(e *engine) { engines[1].blinded, e.blind, e.canary = false, false, nil })
				time.Sleep(2 * time.Hour)
				wantState(t, u, "up", "up", "up")
			})
		})
	}
}

// TestReloadRefused has an engine that refuses, and works: the others follow.
func TestReloadRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		engines[0].fails = errors.New("COMMAND UNAVAILABLE")
		u := engineOf(t, nil, nil, engines...)
		err := u.Reload(t.Context())
		if err == nil || err.Error() != "reload fake a: COMMAND UNAVAILABLE" {
			t.Errorf("error %v", err)
		}
		if reloads, _ := engines[2].counts(); reloads != 1 {
			t.Errorf("%d reloads of the last", reloads)
		}
		wantState(t, u, "up", "up", "up")
	})
}

// TestReloadDownBefore has a node that was dead already: it stops nothing.
func TestReloadDownBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		engines[0].err, engines[0].fails = errRefused, errRefused
		u := engineOf(t, nil, nil, engines...)
		wantState(t, u, "down", "up", "up")
		if err := u.Reload(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "reload fake a: dial: ") {
			t.Errorf("error %v", err)
		}
		for i, e := range engines {
			if reloads, _ := e.counts(); reloads != 1 {
				t.Errorf("engine %d: %d reloads", i, reloads)
			}
		}
	})
}

// TestReloadOnlyNode is what clamd does: scans wait while it loads. One health check is
// asked, however long that takes.
func TestReloadOnlyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := fleet()[0]
		u := engineOf(t, nil, func(c *Config) { c.Timeout, c.MaxScans = time.Minute, 1000 }, e)
		before := len(e.proved())
		done := make(chan error, 1)
		go func() { done <- u.Reload(t.Context()) }()
		var m mails
		m.send(t, u, 100*time.Millisecond, 15*time.Second)
		wantStates(t, u, "up")
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.under.Wait()
		if n := len(e.proved()) - before; n != 1 {
			t.Errorf("%d health checks", n)
		}
		wantState(t, u, "up")
	})
}

// TestReloadPatient has a node that loads longer than a scan may take.
func TestReloadPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		engines[0].takes = 5 * time.Minute
		log := new(lines)
		u := engineOf(t, log, nil, engines[:2]...)
		if err := u.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		if n := log.count("node down"); n != 0 {
			t.Errorf("%d nodes went down", n)
		}
		if n := log.count("node reloaded"); n != 2 {
			t.Errorf("%d nodes were reloaded", n)
		}
	})
}

// TestReloadLastNode has the other node die while one loads: scans go to the latter
// immediately, and nothing is refused while it may still answer.
func TestReloadLastNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		u := engineOf(t, nil, func(c *Config) { c.Timeout, c.MaxScans = time.Minute, 1000 }, engines[:2]...)
		go u.Reload(t.Context())
		time.Sleep(5 * time.Second)
		wantStates(t, u, "reloading", "up")
		engines[1].set(func(e *engine) { e.err = errRefused })
		var m mails
		m.send(t, u, 100*time.Millisecond, 10*time.Second)
		wantStates(t, u, "up", "down")
		m.under.Wait()
		if _, early := engines[0].counts(); early == 0 {
			t.Error("the node that was loading got nothing")
		}
	})
}

// TestReloadWaiting has a scan wait during the turn of a node, and get that when the turn
// is over.
func TestReloadWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		u := engineOf(t, nil, func(c *Config) { c.MaxScans, c.Timeout = 1, time.Hour }, engines[:2]...)
		engines[1].set(func(e *engine) { e.gate = make(chan struct{}) })
		go u.Reload(t.Context())
		time.Sleep(5 * time.Second)
		var all sync.WaitGroup
		all.Go(func() { u.Scan(t.Context(), content("x"), false) })
		synctest.Wait()
		r := u.Scan(t.Context(), content("x"), false)
		if r.Err != nil || r.Node != "a" || r.Elapsed > 20*time.Second {
			t.Errorf("node %q after %v, %v", r.Node, r.Elapsed, r.Err)
		}
		close(engines[1].gate)
		all.Wait()
	})
}

// TestReloadCoalesces has RELOAD come three times while one is under way.
func TestReloadCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		u := engineOf(t, nil, nil, engines...)
		done := make(chan error, 1)
		go func() { done <- u.Reload(t.Context()) }()
		for range 3 {
			time.Sleep(10 * time.Second)
			begin := time.Now()
			if err := u.Reload(t.Context()); err != nil || time.Since(begin) != 0 {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		for i, e := range engines {
			if reloads, _ := e.counts(); reloads != 2 {
				t.Errorf("engine %d: %d reloads", i, reloads)
			}
		}
		if err := u.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		if reloads, _ := engines[2].counts(); reloads != 3 {
			t.Errorf("%d reloads after the next", reloads)
		}
	})
}

// TestReloadWithoutCanary has no health check to wait for: the version shows that the
// engine answers again.
func TestReloadWithoutCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &versioned{text: "1", vgate: make(chan struct{})}
		b := &versioned{text: "1"}
		u := New(config(a, b))
		run(t, u)
		done := make(chan error, 1)
		go func() { done <- u.Reload(t.Context()) }()
		time.Sleep(time.Minute)
		wantStates(t, u, "reloading", "unknown")
		if b.reloads != 0 {
			t.Error("the second node had to load before the first was back")
		}
		close(a.vgate)
		if err := <-done; err != nil || b.reloads != 1 {
			t.Errorf("error %v, %d reloads", err, b.reloads)
		}
		wantStates(t, u, "unknown", "unknown")
	})
}

// TestReloadClosed ends a reload with its engine.
func TestReloadClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		u := engineOf(t, nil, nil, engines...)
		done := make(chan error, 1)
		go func() { done <- u.Reload(t.Context()) }()
		time.Sleep(5 * time.Second)
		u.Close()
		if err := <-done; err == nil || !strings.Contains(err.Error(), "the engine is closed") {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		if reloads, _ := engines[1].counts(); reloads != 0 {
			t.Error("it went on")
		}
	})
}
