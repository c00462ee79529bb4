package page

import (
	"strconv"
	"time"

	"polyclam/proxy/printable"
)

// How much of a foreign text is shown. The rest of it, up to maxFull, is in its title.
const (
	maxName     = 48
	maxReason   = 160
	maxSentence = 600
	maxNote     = 400
	maxFull     = 1000
)

// A cut is a text that is safe to show, and all of it if that is longer.
type cut struct{ Text, Full string }

// shown makes foreign text safe, and cuts it to max characters.
func shown(text string, max int) cut {
	safe := printable.Escape(text, maxFull)
	if len(safe) <= max {
		return cut{Text: safe}
	}
	return cut{Text: safe[:max-1] + "…", Full: safe}
}

// number formats n with commas: "12,345".
func number[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// clock returns a time of today as "13:48:05", and an earlier one with its date.
func clock(at, now time.Time) string {
	at = at.In(now.Location())
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format("Jan 2, 15:04")
}
