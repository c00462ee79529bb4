package timing

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestClass(t *testing.T) {
	for size, want := range map[int64]int{
		0: 0, 1: 0, 4 << 10: 0, 4<<10 + 1: 1, 16 << 10: 1, 16<<10 + 1: 2, 64 << 20: 7, 64<<20 + 1: 8, 1 << 62: 8,
	} {
		if got := Class(size); got != want {
			t.Errorf("class of %d bytes: %d, want %d", size, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times Times
		for i := range Enough {
			if _, known := times.Usual(); known {
				t.Errorf("known after %d answers", i)
			}
			times.Add(100 * time.Millisecond)
		}
		if mean, known := times.Mean(); mean != 100*time.Millisecond || !known {
			t.Errorf("mean %v, known: %v", mean, known)
		}
		if usual, _ := times.Usual(); usual <= 100*time.Millisecond || usual > 200*time.Millisecond {
			t.Errorf("usual %v", usual)
		}
		times.AddCanceled(time.Millisecond) // says nothing
		if mean, _ := times.Mean(); mean != 100*time.Millisecond {
			t.Errorf("mean %v after a short scan was called off", mean)
		}
		times.AddCanceled(time.Second)
		if mean, _ := times.Mean(); mean <= 100*time.Millisecond {
			t.Errorf("mean %v after a long scan was called off", mean)
		}
		time.Sleep(ForgetTime + time.Second)
		times.Add(time.Millisecond)
		if mean, _ := times.Mean(); mean != time.Millisecond {
			t.Errorf("mean %v, want that of the only recent answer", mean)
		}
	})
}

func TestSlowness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times Times
		for range Enough {
			times.Add(time.Second)
		}
		now := time.Now()
		for _, tt := range []struct {
			name    string
			fastest time.Duration
			after   time.Duration
			want    float64
		}{
			{"ten times", 100 * time.Millisecond, 0, 10},
			{"half forgotten", 100 * time.Millisecond, LongForgetTime, 5},
			{"forgotten", 100 * time.Millisecond, 10 * LongForgetTime, 1},
			{"twice is not slow", 500 * time.Millisecond, 0, 1},
			{"the fastest itself", time.Second, 0, 1},
		} {
			if got := times.Slowness(tt.fastest, now.Add(tt.after)); got != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		const fastest = 100 * time.Millisecond
		pass := func(n int) {
			for range n {
				times.Pass()
			}
		}
		pass(forgetScans)
		if got := times.Slowness(fastest, now); got != 10 {
			t.Errorf("after many scans in no time: %v", got)
		}
		if got := times.Slowness(fastest, now.Add(9*ForgetTime)); got != 10/math.Exp2(1.5) {
			t.Errorf("after a long time and few scans: %v", got)
		}
		if got := times.Slowness(fastest, now.Add(ForgetTime)); got != 5 {
			t.Errorf("half forgotten by time and scans: %v", got)
		}
		times.Choose(now.Add(ForgetTime))
		pass(forgetScans)
		if got := times.Slowness(fastest, now.Add(ForgetTime)); got != 10 {
			t.Errorf("while it is tried: %v", got)
		}
		if got := new(Times).Slowness(time.Millisecond, now); got != 1 {
			t.Errorf("unknown node: %v", got)
		}
	})
}
