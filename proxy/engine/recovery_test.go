package engine

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
)

// TestDeadAndBack checks that scans of a dead engine fail immediately without a connection,
// and that the engine must pass a health check before it is used again.
func TestDeadAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		e := New(withCanary(f))
		run(t, e)
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		f.set(func(f *fakeEngine) { f.err = errRefused })
		r = e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.CannotExecute)
		wantState(t, e, "down")

		synctest.Wait()
		begin, before := time.Now(), len(f.checks())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				r := e.Scan(t.Context(), text("x"), false)
				wantCategory(t, r.Result, r.Err, backends.CannotExecute)
				if r.Node != "a" {
					t.Errorf("node %q", r.Node)
				}
			})
		}
		wg.Wait()
		if n := len(f.checks()) - before; n != 0 || f.asked() != 2 || !time.Now().Equal(begin) {
			t.Errorf("%d health checks, %d scans, %v", n, f.asked(), time.Since(begin))
		}

		f.set(func(f *fakeEngine) { f.err = nil; f.blind = true }) // it comes back without signatures
		time.Sleep(health.LastPause)
		r = e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
		if f.asked() != 2 {
			t.Error("used before a health check")
		}
		f.set(func(f *fakeEngine) { f.blind = false })
		time.Sleep(30 * time.Second)
		r = e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestMixedNodes has one node of each kind: scans go to the one that is up, and a hung node
// does not hold up the health checks of the others.
func TestMixedNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blind, dead, hung, good := &fakeEngine{blind: true}, &fakeEngine{err: errRefused}, &fakeEngine{hold: make(chan struct{})}, &fakeEngine{}
		e := New(withCanary(blind, dead, hung, good))
		run(t, e)
		synctest.Wait()
		for i := range 20 {
			r := e.Scan(t.Context(), text(fmt.Sprint("mail ", i)), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			if r.Node != "d" || r.Elapsed != 0 {
				t.Errorf("node %s after %v", r.Node, r.Elapsed)
			}
		}
		wantState(t, e, "down", "down", "unknown", "up")
		time.Sleep(10 * time.Second) // Timeout
		synctest.Wait()
		wantState(t, e, "down", "down", "down", "up")
		close(hung.hold)
		time.Sleep(30 * time.Second)
		wantState(t, e, "down", "down", "up", "up")
		good.set(func(f *fakeEngine) { f.err = errRefused })
		for range 2 {
			wantScan(t, e, "x", backends.OK)
		}
		if blind.asked()+dead.asked() != 0 || hung.asked() != 2 {
			t.Errorf("asked %d, %d, %d, %d", blind.asked(), dead.asked(), hung.asked(), good.asked())
		}
	})
}
