package human

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-day: "0 seconds", 0: "0 seconds", time.Second: "1 second", 59 * time.Second: "59 seconds", time.Minute: "1 minute",
		time.Hour - 1: "59 minutes", time.Hour: "1 hour", day - 1: "23 hours", day: "1 day", 3*day + time.Hour: "3 days", 400 * day: "400 days",
	} {
		if got := Age(d); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestFromCache(t *testing.T) {
	for _, c := range []struct {
		source string
		age    time.Duration
		want   string
	}{
		{"", time.Hour, ""},
		{"memory", 12 * time.Second, "from the cache (memory), scanned 12 seconds ago"},
		{"shared", 3*time.Hour + time.Minute, "from the cache (shared), scanned 3 hours ago"},
		{"shared", -time.Minute, "from the cache (shared), scanned 0 seconds ago"}, // the clock of another host
		{"joined", time.Millisecond, "from an identical scan that was under way"},
	} {
		if got := FromCache(c.source, c.age); got != c.want {
			t.Errorf("FromCache(%q, %v) = %q, want %q", c.source, c.age, got, c.want)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		part, whole uint64
		want        string
	}{
		{0, 0, "-"}, {0, 7, "0 %"}, {7, 7, "100 %"}, {1, 1000, "<1 %"}, {999, 1000, ">99 %"}, {1, 2, "50 %"}, {2, 3, "67 %"}, {1 << 63, 1<<64 - 1, "50 %"},
	} {
		if got := Percent(c.part, c.whole); got != c.want {
			t.Errorf("Percent(%d, %d) = %q, want %q", c.part, c.whole, got, c.want)
		}
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 23, 13, 48, 0, 0, time.Local)
	for at, want := range map[time.Time]string{
		now.Add(-time.Hour):      "12:48",
		now.Add(-14 * time.Hour): "2026-11-22 23:48",
	} {
		if got := Clock(at, now); got != want {
			t.Errorf("Clock(%v) = %q, want %q", at, got, want)
		}
	}
	if got := Since(now, time.Time{}); got != "" {
		t.Errorf("the zero time was %q ago", got)
	}
}

func TestLatency(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 940 * time.Microsecond: "0.9 ms", 9940 * time.Microsecond: "9.9 ms", 9960 * time.Microsecond: "10 ms", 12400 * time.Microsecond: "12 ms",
		999 * time.Millisecond: "999 ms", 999700 * time.Microsecond: "1.0 s", time.Second: "1.0 s", 1440 * time.Millisecond: "1.4 s", 61 * time.Second: "61 s",
	} {
		if got := Latency(d); got != want {
			t.Errorf("Latency(%v) = %q, want %q", d, got, want)
		}
	}
}
