// Package human formats numbers, sizes and times for people. The tool and the status page
// use the same words.
package human

import (
	"strconv"
	"strings"
	"time"
)

// Age formats a duration in its largest unit: "3 days".
func Age(d time.Duration) string {
	for _, u := range []struct {
		name string
		d    time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d >= u.d {
			return Plural(int64(d/u.d), u.name)
		}
	}
	return Plural(int64(max(d, 0)/time.Second), "second")
}

// Since returns how long ago a time was, or "" for the zero time.
func Since(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return Age(now.Sub(at))
}

// Clock returns a time of today as "13:48", and an earlier one with its date.
func Clock(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04")
	}
	return at.Format("2006-01-02 15:04")
}

// Plural returns "1 file" or "2 files".
func Plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

// Size prints n rounded to a tenth: "1 byte", "1.5 GiB", "300 MiB".
func Size(n int64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " bytes"
	}
	const prefixes = "KMGTPE"
	value, i := float64(n)/(1<<10), 0
	for ; value >= 1<<10-0.05 && i < len(prefixes)-1; i++ {
		value /= 1 << 10
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + " " + prefixes[i:i+1] + "iB"
}

// Latency formats a duration with two digits: "0.8 ms", "12 ms", "1.4 s".
func Latency(d time.Duration) string {
	value, unit := float64(d)/float64(time.Millisecond), " ms"
	if value >= 999.5 {
		value, unit = d.Seconds(), " s"
	}
	digits := 0
	if value < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + unit
}
