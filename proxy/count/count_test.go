package count

import (
	"encoding/json"
	"testing"
	"time"

	"polyclam/backends"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Minute, time.Minute + 1, time.Hour} {
		h.Observe(d)
	}
	v := h.Value()
	for i, want := range map[int]uint64{0: 2, 1: 1, len(Bounds) - 1: 1, len(Bounds): 2} {
		if v.Counts[i] != want {
			t.Errorf("bucket %d has %d, want %d", i, v.Counts[i], want)
		}
	}
	if want := 2*time.Millisecond + 1 + 2*time.Minute + 1 + time.Hour; v.Total() != 6 || v.Sum != want {
		t.Errorf("%d durations, in sum %v, want 6 and %v", v.Total(), v.Sum, want)
	}
	h.Observe(time.Second)
	if s := h.Value().Since(v); s.Total() != 1 || s.Sum != time.Second {
		t.Errorf("since then: %+v", s)
	}
}

func TestQuantile(t *testing.T) {
	last := len(Bounds)
	for _, tt := range []struct {
		name   string
		counts map[int]uint64 // by bucket
		q      float64
		want   time.Duration
		none   bool
	}{
		{name: "empty", q: 0.5, none: true},
		{name: "half of the first bucket", counts: map[int]uint64{0: 10}, q: 0.5, want: 500 * time.Microsecond},
		{name: "all of it", counts: map[int]uint64{0: 10}, q: 1, want: time.Millisecond},
		{name: "the second bucket", counts: map[int]uint64{0: 10, 1: 10}, q: 0.75, want: 1750 * time.Microsecond},
		{name: "near the end of the second", counts: map[int]uint64{0: 1, 1: 1}, q: 0.95, want: 2350 * time.Microsecond},
		{name: "empty ones between", counts: map[int]uint64{0: 1, 9: 1}, q: 1, want: time.Second},
		{name: "before the empty ones", counts: map[int]uint64{0: 1, 9: 99}, q: 0.005, want: 500 * time.Microsecond},
		{name: "above the last bound", counts: map[int]uint64{last: 3}, q: 0.5, want: Bounds[last-1]},
	} {
		var v, twice Value
		for i, n := range tt.counts {
			v.Counts[i] = n
		}
		twice.Add(v)
		twice.Add(v)
		for _, v := range []Value{v, twice} {
			if got, ok := v.Quantile(tt.q); got.Round(time.Microsecond) != tt.want || ok == tt.none {
				t.Errorf("%s: %v, %v; want %v", tt.name, got, ok, tt.want)
			}
		}
	}
}

func TestTimes(t *testing.T) {
	var times Times
	for _, size := range []int64{0, 16 << 10, 16<<10 + 1, 256 << 10, 256<<10 + 1, 4 << 20, 4<<20 + 1, 1 << 62} {
		times.Observe(size, time.Second)
	}
	for i, v := range times.Value() {
		if v.Total() != 2 {
			t.Errorf("class %s has %d objects, want 2", ClassNames[i], v.Total())
		}
	}
}

func TestCategories(t *testing.T) {
	var cs Categories
	for i, c := range backends.Categories() {
		for range i + 1 {
			cs.Add(c)
		}
	}
	cs.Add("no such category") // swerr
	v, want := cs.Value(), uint64(1)
	for c, n := range v.All() {
		if c == backends.SWErr {
			n--
		}
		if n != want || v.Of(c) < n {
			t.Errorf("%s: %d, want %d", c, n, want)
		}
		want++
	}
	if v.Total() != 46 {
		t.Errorf("in sum %d", v.Total())
	}
	text, err := json.Marshal(ByCategory{0: 1, categories - 1: 2})
	if err != nil || string(text) != `{"ok":2,"virus":1}` {
		t.Errorf("%s, %v", text, err)
	}
	var back ByCategory
	if err := json.Unmarshal(text, &back); err != nil || back != (ByCategory{0: 1, categories - 1: 2}) {
		t.Errorf("%v, %v", back, err)
	}
}

func BenchmarkObserve(b *testing.B) {
	var times Times
	var cs Categories
	b.ReportAllocs()
	for i := range b.N {
		times.Observe(int64(i&0xffff), time.Duration(i&0xfffff)*time.Microsecond)
		cs.Add(backends.OK)
	}
}
