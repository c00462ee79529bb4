package engine

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

func TestReloadRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		most := int64(0)
		e := upAndRunning(t, nil, nil, engines...)
		done := make(chan error, 1)
		begin := time.Now()
		go func() {
			done <- e.Reload(t.Context())
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
		m.send(t, e, 50*time.Millisecond, 70*time.Second)
		m.under.Wait()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if longest := time.Duration(m.longest.Load()); longest != 300*time.Millisecond || most != 1 {
			t.Errorf("longest scan %v, %d engines loading together", longest, most)
		}
		for i, f := range engines {
			if reloads, early := f.counts(); reloads != 1 || early != 0 {
				t.Errorf("engine %d: %d reloads, %d objects while loading", i, reloads, early)
			}
		}
		wantState(t, e, "up", "up", "up")
		wantIdle(t, e)
	})
}

// TestReloadDrains has a long scan on the node whose turn it is: the node loads after it.
func TestReloadDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		e := upAndRunning(t, nil, nil, engines[:2]...)
		gate := make(chan struct{})
		var long sync.WaitGroup
		for _, f := range engines[:2] {
			f.set(func(f *fakeEngine) { f.gate = gate })
			long.Go(func() {
				wantScan(t, e, "x", backends.OK)
			})
		}
		synctest.Wait()
		go e.Reload(t.Context())
		time.Sleep(5 * time.Second)
		if reloads, _ := engines[0].counts(); reloads != 0 {
			t.Error("the node was reloaded during a scan")
		}
		wantStates(t, e, "reloading", "up")
		close(gate)
		long.Wait()
		time.Sleep(time.Second)
		if reloads, _ := engines[0].counts(); reloads != 1 {
			t.Errorf("%d reloads", reloads)
		}
		time.Sleep(time.Minute)
		wantStates(t, e, "up", "up")
	})
}

// TestReloadOnlyNode has a single node: scans wait while it loads, as with clamd itself.
// There is one health check, however long that takes.
func TestReloadOnlyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fleet()[0]
		e := upAndRunning(t, nil, func(c *Config) { c.Timeout, c.MaxScans = time.Minute, 1000 }, f)
		before := len(f.checks())
		done := make(chan error, 1)
		go func() { done <- e.Reload(t.Context()) }()
		var m mails
		m.send(t, e, 100*time.Millisecond, 15*time.Second)
		wantStates(t, e, "up")
		if err := <-done; err != nil {
			t.Error(err)
		}
		m.under.Wait()
		if n := len(f.checks()) - before; n != 1 {
			t.Errorf("%d health checks", n)
		}
		wantState(t, e, "up")
	})
}

// TestReloadPatient has a node that takes longer to load than a scan may take.
func TestReloadPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		engines[0].takes = 5 * time.Minute
		log := new(lines)
		e := upAndRunning(t, log, nil, engines[:2]...)
		if err := e.Reload(t.Context()); err != nil {
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

// TestReloadWaiting has a scan wait during the turn of a node, and get that node when the
// turn is over.
func TestReloadWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		e := upAndRunning(t, nil, func(c *Config) { c.MaxScans, c.Timeout = 1, time.Hour }, engines[:2]...)
		engines[1].set(func(f *fakeEngine) { f.gate = make(chan struct{}) })
		go e.Reload(t.Context())
		time.Sleep(5 * time.Second)
		var all sync.WaitGroup
		all.Go(func() { e.Scan(t.Context(), text("x"), false) })
		synctest.Wait()
		r := e.Scan(t.Context(), text("x"), false)
		if r.Err != nil || r.Node != "a" || r.Elapsed > 20*time.Second {
			t.Errorf("node %q after %v, %v", r.Node, r.Elapsed, r.Err)
		}
		close(engines[1].gate)
		all.Wait()
	})
}

// TestReloadCoalesces has three reloads come while one is under way.
func TestReloadCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		e := upAndRunning(t, nil, nil, engines...)
		done := make(chan error, 1)
		go func() { done <- e.Reload(t.Context()) }()
		for range 3 {
			time.Sleep(10 * time.Second)
			begin := time.Now()
			if err := e.Reload(t.Context()); err != nil || time.Since(begin) != 0 {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		for i, f := range engines {
			if reloads, _ := f.counts(); reloads != 2 {
				t.Errorf("engine %d: %d reloads", i, reloads)
			}
		}
		if err := e.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		if reloads, _ := engines[2].counts(); reloads != 3 {
			t.Errorf("%d reloads after the next one", reloads)
		}
	})
}

// TestReloadWithoutCanary has no health checks: the version shows that the engine answers
// again.
func TestReloadWithoutCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &versioned{text: "1", vgate: make(chan struct{})}
		b := &versioned{text: "1"}
		e := New(config(a, b))
		run(t, e)
		done := make(chan error, 1)
		go func() { done <- e.Reload(t.Context()) }()
		time.Sleep(time.Minute)
		wantStates(t, e, "reloading", "unknown")
		if b.reloads != 0 {
			t.Error("the second node was reloaded before the first was back")
		}
		close(a.vgate)
		if err := <-done; err != nil || b.reloads != 1 {
			t.Errorf("error %v, %d reloads", err, b.reloads)
		}
		wantStates(t, e, "unknown", "unknown")
	})
}
