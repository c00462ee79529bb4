package aimd

import "testing"

func TestLimit(t *testing.T) {
	var l Limit
	want := func(when string, slots int) {
		t.Helper()
		if got := l.Slots(10); got != slots {
			t.Errorf("%s: %d slots, want %d", when, got, slots)
		}
	}
	raise := func(n int) {
		for range n {
			l.Raise(10)
		}
	}
	want("initially", 10)
	raise(100)
	want("never more than all slots", 10)
	before := l.Round()
	l.Lower(10, before)
	want("halved", 5)
	l.Lower(10, before)
	want("only once per round", 5)
	raise(4)
	want("after four answers", 5)
	raise(1)
	want("after five answers", 6)
	for range 5 {
		l.Lower(10, l.Round())
	}
	want("never less than one", 1)
	raise(1 + 2 + 3 + 4 + 5 + 6 + 7 + 8)
	want("recovering", 9)
	if got := l.Slots(4); got != 4 {
		t.Errorf("%d slots after the total was lowered to 4", got)
	}
	raise(9)
	want("recovered", 10)
}
