package spool

import "testing"

// TestPoolTrim checks how many segments stay free where long objects stay in memory, and that
// those that are no longer needed are freed.
func TestPoolTrim(t *testing.T) {
	if _, err := ownDescriptors(); err != nil { // opened once for the process
		t.Fatal(err)
	}
	cfg := Config{Memory: 16 << 20, Keep: DefaultKeep}
	s := newSpool(t, cfg)
	t.Cleanup(s.keeper.close)
	hold := func(n int) {
		var all []*Object
		for range n {
			all = append(all, spooled(t, s, random(4<<20)))
		}
		for _, o := range all {
			if !o.InMemory() {
				t.Error("not in memory")
			}
			o.Release()
		}
	}
	large := func() int { return len(s.pool.free[classes-1]) }
	want := func(when string, n int) {
		t.Helper()
		if got := large(); got != n {
			t.Errorf("%s: %d segments, want %d", when, got, n)
		}
	}
	hold(20)
	most := int(cfg.Segments() / classSize(classes-1))
	want("after a burst", most)
	s.pool.trim() // what the burst used
	before := large()
	hold(4)
	used := before - s.pool.least
	s.pool.trim()
	want("after less", max(fewLarge, used))
	s.pool.trim()
	want("idle", fewLarge)
	if s.pool.timer != nil {
		t.Error("the timer runs on")
	}
}
