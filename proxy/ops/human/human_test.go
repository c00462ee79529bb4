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
