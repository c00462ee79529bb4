package checker

import (
	"cmp"
	"slices"
	"time"

	"polyclam/test/chaos/history"
)

// Recovery is how long a fault has an effect after its end.
type Recovery struct {
	Fault history.Fault
	// First is the time from the end of the fault to the first right answer to a
	// request that started after it. Negative: there was none.
	First time.Duration
	// Last is the time to the start of the last request that was not answered right, up
	// to the next fault.
	Last time.Duration
}

// recover determines how long each fault had an effect.
func (c *checker) recover() {
	slices.SortFunc(c.judged, func(a, b judged) int { return cmp.Compare(a.q.End, b.q.End) })
	for _, f := range c.Faults {
		r := Recovery{Fault: f, First: -1}
		next := history.Time(1<<63 - 1)
		for _, other := range c.Faults {
			if other.ID != f.ID && other.End > f.End {
				next = min(next, max(other.Begin, f.End))
			}
		}
		for _, j := range c.judged {
			if j.q.Begin < f.End {
				continue
			}
			if j.class == Right && r.First < 0 {
				r.First = j.q.End.Sub(f.End)
			}
			if j.class != Right && j.q.Begin < next {
				r.Last = max(r.Last, j.q.Begin.Sub(f.End))
			}
		}
		c.report.Recoveries = append(c.report.Recoveries, r)
	}
}
