package engine

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestSpareServes checks that scans which begin after the first node is down go to the spare
// one.
func TestSpareServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answerTargets(at(1, 10, 0), at(2, 20, 0))
		f.backend(1).set(func(f *fakeEngine) { f.err, f.canary = errRefused, errRefused })
		for range 3 {
			wantScan(t, e, "clean", backends.OK)
		}
		if n := scansOf(f.backend(2)); n != 3 {
			t.Errorf("the spare node got %d scans", n)
		}
	})
}

// TestLeavingTakesRoom checks that nodes that are gone for several answers, but still have
// scans, leave no room for others.
func TestLeavingTakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answer(1, 2, 3)
		gate := make(chan struct{})
		var scans sync.WaitGroup
		for _, i := range []int{1, 2, 3} {
			f.backend(i).set(func(f *fakeEngine) { f.gate = gate })
		}
		for range 3 {
			scans.Go(func() { e.Scan(t.Context(), text("clean"), false) })
			synctest.Wait()
		}
		for _, next := range [][]int{{4, 5, 6}, {7, 8, 9}, {4, 5, 6}} {
			f.answer(next...)
			wantNodes(t, e)
		}
		close(gate)
		scans.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		wantNodes(t, e, "4 up", "5 up", "6 up")
	})
}
