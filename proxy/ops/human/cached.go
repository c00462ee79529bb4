package human

import (
	"strconv"
	"time"
)

// FromCache says in words where a result came from for which no engine was asked, and how
// long ago an engine gave it. An empty source means that an engine was asked.
func FromCache(source string, age time.Duration) string {
	switch source {
	case "":
		return ""
	case "joined":
		return "from an identical scan that was under way"
	}
	return "from the cache (" + source + "), scanned " + Age(age) + " ago"
}

// Percent formats a share as "45 %", or "-" for a share of nothing. It rounds to 0 and to 100
// only what is exactly that.
func Percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}
	p := float64(part) / float64(whole) * 100
	switch {
	case part > 0 && p < 1:
		return "<1 %"
	case part < whole && p > 99:
		return ">99 %"
	}
	return strconv.Itoa(int(p+0.5)) + " %"
}
