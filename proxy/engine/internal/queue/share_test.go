package queue

import (
	"testing"
	"time"

	"polyclam/proxy/client"
)

func TestReserve(t *testing.T) {
	for slots, want := range map[int]int{1: 0, 2: 0, 3: 0, 4: 1, 10: 1, 16: 2, 100: 12} {
		if got := Reserve(slots); got != want {
			t.Errorf("%d of %d slots, want %d", got, slots, want)
		}
	}
}

func TestRecent(t *testing.T) {
	now := time.Now()
	var r Recent
	add := func(user uint32) { r.Add(client.User(user), now) }
	want := func(when string, several bool) {
		t.Helper()
		if r.Several(now) != several {
			t.Errorf("%s: several = %v", when, !several)
		}
	}
	want("no client", false)
	add(0)
	add(0)
	r.Add(client.Key{}, now)
	add(0)
	want("one client and the daemon", false)
	add(1)
	want("two clients", true)
	now = now.Add(Lately / 2)
	add(0)
	now = now.Add(Lately / 2)
	want("the other client has gone", false)
	add(2)
	add(0)
	want("a third client", true)
}
