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

// TestDeadAndBack checks that scans of a dead engine fail immediately and dial nothing,
// and that it is proved before it is used again.
func TestDeadAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		u := New(withCanary(e))
		run(t, u)
		r := u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		e.set(func(e *engine) { e.err = errRefused })
		r = u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.CannotExecute)
		wantState(t, u, "down")

		synctest.Wait()
		begin, before := time.Now(), len(e.proved())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				r := u.Scan(t.Context(), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.CannotExecute)
				if r.Node != "a" {
					t.Errorf("node %q", r.Node)
				}
			})
		}
		wg.Wait()
		if n := len(e.proved()) - before; n != 0 || e.asked() != 2 || !time.Now().Equal(begin) {
			t.Errorf("%d canaries, %d scans, %v", n, e.asked(), time.Since(begin))
		}

		e.set(func(e *engine) { e.err = nil; e.blind = true }) // it comes back, but empty
		time.Sleep(health.LastPause)
		r = u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.SWErr)
		if e.asked() != 2 {
			t.Error("asked before it was proved")
		}
		e.set(func(e *engine) { e.blind = false })
		time.Sleep(30 * time.Second)
		r = u.Scan(t.Context(), content("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		synctest.Wait()
		wantIdle(t, u)
	})
}

// TestMixedNodes has one node of each kind: scans go to the one that is up, and
// a dead one that hangs does not hold up the proof of another.
func TestMixedNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blind, dead, hung, good := &engine{blind: true}, &engine{err: errRefused}, &engine{hold: make(chan struct{})}, &engine{}
		u := New(withCanary(blind, dead, hung, good))
		run(t, u)
		synctest.Wait()
		for i := range 20 {
			r := u.Scan(t.Context(), content(fmt.Sprint("mail ", i)), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			if r.Node != "d" || r.Elapsed != 0 {
				t.Errorf("node %s after %v", r.Node, r.Elapsed)
			}
		}
		wantState(t, u, "down", "down", "unknown", "up")
		time.Sleep(10 * time.Second) // Timeout
		synctest.Wait()
		wantState(t, u, "down", "down", "down", "up")
		close(hung.hold)
		time.Sleep(30 * time.Second)
		wantState(t, u, "down", "down", "up", "up")
		good.set(func(e *engine) { e.err = errRefused })
		for range 2 {
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		}
		if blind.asked()+dead.asked() != 0 || hung.asked() != 2 {
			t.Errorf("asked %d, %d, %d, %d", blind.asked(), dead.asked(), hung.asked(), good.asked())
		}
	})
}
