package health

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

const interval = 5 * time.Minute

var (
	errRefused = errors.New("connection refused")
	errBlind   = errors.New("does not find EICAR")
	errAlarm   = errors.New("calls a harmless text a virus")
	errLoop    = errors.New("asks polyclam itself")
)

var (
	passed = Outcome{State: Up, Answered: true}
	failed = Outcome{State: Down, Reason: errRefused}
	blind  = Outcome{State: Blind, Reason: errBlind, Answered: true}
	alarm  = Outcome{State: Blind, Reason: errAlarm, Alarm: true, Answered: true}
)

// checked runs one check of n with that outcome.
func checked(n *Node, o Outcome) *Change {
	c := n.StartCheck(func() {})
	if !n.EndCheck(c) {
		panic("another check is under way")
	}
	o.At = time.Now()
	state, reason := n.Conclude(c, o)
	if state != Up {
		n.BackOff(interval)
	}
	return n.Set(state, reason, interval)
}

func TestTransitions(t *testing.T) {
	fail := func(n *Node) *Change {
		if !n.Serving() {
			return nil
		}
		return n.Set(Down, errRefused, interval)
	}
	check := func(o Outcome) func(*Node) *Change {
		return func(n *Node) *Change { return checked(n, o) }
	}
	loop := func(n *Node) *Change {
		n.Loop(errLoop)
		return n.Set(Blind, errLoop, interval)
	}
	tests := []struct {
		name   string
		events []func(*Node) *Change
		want   State
		reason error
		logged int
	}{
		{"new", nil, Unknown, nil, 0},
		{"first check passed", []func(*Node) *Change{check(passed)}, Up, nil, 1},
		{"first check failed", []func(*Node) *Change{check(failed)}, Down, errRefused, 1},
		{"failed twice", []func(*Node) *Change{check(failed), check(failed)}, Down, errRefused, 1},
		{"scan fails, then check", []func(*Node) *Change{check(passed), fail, check(failed)}, Down, errRefused, 2},
		{"back", []func(*Node) *Change{check(passed), fail, check(passed)}, Up, nil, 3},
		{"blind", []func(*Node) *Change{check(passed), check(blind)}, Blind, errBlind, 2},
		{"blind, then dead", []func(*Node) *Change{check(blind), check(failed)}, Blind, errRefused, 1},
		{"blind, and scans fail", []func(*Node) *Change{check(blind), fail}, Blind, errBlind, 1},
		{"down, then blind", []func(*Node) *Change{check(failed), check(blind)}, Blind, errBlind, 2},
		{"alarm", []func(*Node) *Change{check(passed), check(alarm)}, Blind, errAlarm, 2},
		{"loop", []func(*Node) *Change{check(passed), loop}, Blind, errLoop, 2},
		{"loop mended", []func(*Node) *Change{loop, check(passed)}, Up, nil, 2},
		{"retired", []func(*Node) *Change{check(passed), func(n *Node) *Change { n.Retire(); return nil }, check(failed)}, Down, errRefused, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, logged := New(), 0
			for _, event := range tt.events {
				lost, before := n.Lost(), n.State()
				if c := event(n); c != nil {
					logged++
				}
				out := n.State() != Up && n.State() != before && !n.Retired()
				if closed := isClosed(lost); closed != out {
					t.Errorf("from %v to %v: lost closed %v", before, n.State(), closed)
				}
			}
			if n.State() != tt.want || n.Reason() != tt.reason || logged != tt.logged {
				t.Errorf("state %d, reason %v, %d changes logged; want %d, %v, %d", n.State(), n.Reason(), logged, tt.want, tt.reason, tt.logged)
			}
			usable := tt.want == Up && !n.Retired()
			if n.Usable(true, false) != usable {
				t.Errorf("usable: %v", !usable)
			}
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestLoopDuringCheck(t *testing.T) {
	n := New()
	c := n.StartCheck(func() {})
	n.Loop(errLoop)
	n.EndCheck(c)
	if state, reason := n.Conclude(c, passed); state != Blind || reason != errLoop {
		t.Errorf("state %v, reason %v", state, reason)
	}
	n.StartCheck(func() {})
	if n.Looped() {
		t.Error("the next check starts as looped")
	}
}

func TestDiscardReason(t *testing.T) {
	tests := []struct {
		name             string
		happens          func(*Node)
		clean, detection error // why such an answer is discarded
	}{
		{"nothing", func(*Node) {}, nil, nil},
		{"down", func(n *Node) { checked(n, failed) }, nil, nil},
		{"blind", func(n *Node) { checked(n, blind) }, errBlind, nil},
		{"blind, then up", func(n *Node) { checked(n, blind); checked(n, passed) }, errBlind, nil},
		{"blind, then dead", func(n *Node) { checked(n, blind); checked(n, failed) }, errBlind, nil},
		{"alarm", func(n *Node) { checked(n, alarm) }, errAlarm, errAlarm},
		{"loop", func(n *Node) { n.Loop(errLoop) }, errLoop, errLoop},
	}
	for _, tt := range tests {
		n := New()
		checked(n, passed)
		began := n.Epoch()
		tt.happens(n)
		if clean, detection := n.DiscardReason(began, true), n.DiscardReason(began, false); clean != tt.clean || detection != tt.detection {
			t.Errorf("%s: clean result: %v, detection: %v; want %v, %v", tt.name, clean, detection, tt.clean, tt.detection)
		}
		if err := n.DiscardReason(n.Epoch(), true); err != nil {
			t.Errorf("%s: later answer: %v", tt.name, err)
		}
	}
}

func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		want := func(when string, in time.Duration) {
			t.Helper()
			if got := time.Until(n.Due()); got != in && (in > 0 || got > 0) {
				t.Errorf("%s: due in %v, want %v", when, got, in)
			}
		}
		want("new", 0)
		checked(n, passed)
		want("up", interval)
		if !n.CheckSoon() {
			t.Error("CheckSoon changed nothing")
		}
		want("soon after a check", FirstPause)
		time.Sleep(time.Minute)
		checked(n, passed)
		time.Sleep(time.Minute)
		n.CheckSoon()
		want("long after a check", 0)
		n.CheckNow()
		want("now", 0)
		checked(n, passed)
		want("up again", interval)

		c := n.StartCheck(func() {})
		if n.CheckSoon() {
			t.Error("CheckSoon during a check changed when the next is due")
		}
		n.EndCheck(c)
		state, reason := n.Conclude(c, passed)
		n.Set(state, reason, interval)
		want("asked for during a check", 0)

		for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			checked(n, failed)
			want("failed", pause*time.Second)
		}
		checked(n, passed)
		n.BackOff(3 * time.Second)
		n.BackOff(3 * time.Second)
		n.BackOff(3 * time.Second)
		want("short interval", 3*time.Second)
		if n.DueBy(time.Now().Add(time.Hour)) {
			t.Error("DueBy made it later")
		}
		n.Postpone(errors.New("no space left"))
		want("postponed", FirstPause)
		n.Reset()
		want("reset", 0)
	})
}

func TestLateCheck(t *testing.T) {
	n := New()
	canceled := false
	first := n.StartCheck(func() { canceled = true })
	if !n.Checking() || !n.Late(first) || n.Checking() {
		t.Error("the check is not late")
	}
	second := n.StartCheck(func() {})
	if !canceled {
		t.Error("the late check was not canceled")
	}
	if n.Late(first) || n.EndCheck(first) {
		t.Error("the canceled check still counts")
	}
	if !n.EndCheck(second) {
		t.Error("the second check does not count")
	}
}

func TestTrial(t *testing.T) {
	n := New()
	if !n.Usable(false, true) || n.Usable(true, false) {
		t.Error("an unknown node is for scans only where there are no checks")
	}
	n.Set(Down, errRefused, interval)
	n.Try()
	if n.State() != Unknown || !n.Usable(false, false) || n.Usable(false, true) {
		t.Error("not one scan at a time")
	}
	n.Answered()
	if !n.Usable(false, true) {
		t.Error("still one scan at a time after an answer")
	}
}

func TestTimeouts(t *testing.T) {
	n := New()
	if n.TimedOut() {
		t.Error("one timeout takes the node out")
	}
	n.Answered()
	if n.TimedOut() || !n.TimedOut() || n.TimedOut() {
		t.Errorf("want %d timeouts in a row", MaxTimeouts)
	}
}

func TestProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		c := n.StartCheck(func() {})
		time.Sleep(time.Second)
		asked := time.Now()
		n.EndCheck(c)
		n.Conclude(c, passed)
		if n.Proven(asked) || !n.Proven(c.Began) {
			t.Error("the time when the check began counts")
		}
	})
}

func TestPostpone(t *testing.T) {
	n, reason := New(), errors.New("no free slot")
	n.Postpone(reason)
	if n.State() != Unknown || n.Reason() != reason {
		t.Errorf("state %v, reason %v", n.State(), n.Reason())
	}
	checked(n, passed)
	n.Postpone(reason)
	if n.State() != Up || n.Reason() != nil {
		t.Errorf("state %v, reason %v: a check that was not made says nothing", n.State(), n.Reason())
	}
}
