package engine

import (
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
		end := scanOnEach(t, e, f, 1, 2, 3)
		for _, next := range [][]int{{4, 5, 6}, {7, 8, 9}, {4, 5, 6}} {
			f.answer(next...)
			wantNodes(t, e)
		}
		end()
		time.Sleep(time.Second)
		synctest.Wait()
		wantNodes(t, e, "4 up", "5 up", "6 up")
	})
}
