package engine

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/timing"
)

// TestInline runs tests of what notices slow, hung and dead nodes with scans on the
// goroutines of their callers. Only tests whose backends heed their contexts can be here.
func TestInline(t *testing.T) {
	defer inline.Store(inline.Swap(true))
	for name, test := range map[string]func(*testing.T){
		"Hedge": TestHedge, "SlowNode": TestSlowNode, "NotHedged": TestNotHedged, "HalfTime": TestHalfTime,
		"HalfOfLittleTime": TestHalfOfLittleTime, "LateDetection": TestLateDetectionCounts,
		"HungNode": TestHungNode, "HungNodeNotHedged": TestHungNodeNotHedged, "OnlyNodeHangs": TestOnlyNodeHangs,
		"NodeComesLate": TestNodeComesLate, "Overdue": TestOverdue, "TwoTimeouts": TestTwoTimeouts, "LittleTime": TestLittleTime,
		"Scan": TestScan, "Timeout": TestTimeout, "Cancel": TestCancel, "Close": TestClose,
		"LimitOfNode": TestLimitOfNode, "LimitHolds": TestLimitHolds,
		"Poison": TestPoison, "PoisonHang": TestPoisonHang, "PoisonTogether": TestPoisonTogether,
		"DeadAndBack": TestDeadAndBack, "MixedNodes": TestMixedNodes, "Replay": TestReplay, "ReplayWaits": TestReplayWaits,
		"Fairness": TestFairness, "Stress": TestStress, "Flapping": TestFlapping, "SucceedDuringScan": TestSucceedDuringScan,
	} {
		t.Run(name, test)
	}
}

// clientsFile is an object in a client's file.
type clientsFile struct{ *textObject }

func (clientsFile) Sealed() bool { return false }

// TestIsInline checks when a scan needs a goroutine that can be abandoned.
func TestIsInline(t *testing.T) {
	defer inline.Store(inline.Swap(true))
	plain := backends.Func(func(context.Context, backends.Object) (backends.Result, error) { return backends.Clean(0), nil })
	for name, tt := range map[string]struct {
		backend backends.Backend
		object  Object
		all     bool
		want    bool
	}{
		"spooled":         {&fakeEngine{}, text("x"), false, true},
		"client's file":   {&fakeEngine{}, clientsFile{text("x")}, false, false},
		"other backend":   {plain, text("x"), false, false},
		"all its matches": {&fakeEngine{}, text("x"), true, false},
	} {
		e := New(config(tt.backend))
		r := e.newRace(t.Context(), tt.object, tt.all, &ticket{})
		if got := r.isInline(e.nodes[0]); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
		e.Close()
	}
}

// TestHandOverTwice has a scan that is slow, and whose node is taken out at the same time, and
// one that ends at that moment: the list and the timer must stay right.
func TestHandOverTwice(t *testing.T) {
	defer inline.Store(inline.Swap(true))
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{}
		e := New(config(a, b))
		defer e.Close()
		warmUp(t, e)
		a.set(func(f *fakeEngine) { f.answer = takes(timing.Floor) })
		b.set(func(f *fakeEngine) { f.answer = takes(timing.Floor) })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				wantScan(t, e, "x", backends.OK)
			})
			wg.Go(func() {
				time.Sleep(time.Duration(i)*10*time.Millisecond + timing.Floor)
				e.mu.Lock()
				defer e.mu.Unlock()
				e.handOverLost(e.nodes[i%2])
			})
		}
		wg.Wait()
		synctest.Wait()
		wantIdle(t, e)
		time.Sleep(time.Minute)
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.inline.first != nil {
			t.Error("a scan is left in the list")
		}
		if !e.inline.at.IsZero() {
			t.Error("the timer is armed for nothing")
		}
	})
}

// TestInlineNodeTakenOut checks that a scan is put to another node as soon as its own is taken
// out, not only when it is slow.
func TestInlineNodeTakenOut(t *testing.T) {
	defer inline.Store(inline.Swap(true))
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{gate: make(chan struct{})}, &fakeEngine{}
		e := New(config(a, b))
		defer e.Close()
		const after = 100 * time.Millisecond
		time.AfterFunc(after, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.markDown(e.nodes[0], errRefused)
		})
		begin := time.Now()
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
		if took := time.Since(begin); took != after || r.Node != "b" {
			t.Errorf("took %v on node %s", took, r.Node)
		}
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestInlinePanics checks that a panic on the goroutine of a scan is an error of the engine.
func TestInlinePanics(t *testing.T) {
	defer inline.Store(inline.Swap(true))
	f := &fakeEngine{answer: func(context.Context, backends.Object) (backends.Result, error) { panic("x") }}
	e := New(config(f))
	defer e.Close()
	wantScan(t, e, "x", backends.SWErr)
	wantIdle(t, e)
}
