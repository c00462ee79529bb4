package engine

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestSuspects checks the bounds of the table.
func TestSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = time.Minute
		var s suspects
		object := func(i int) digest { return digest{size: int64(i % 7), sum: sha256.Sum256(fmt.Append(nil, i))} }
		for i := range maxSuspects + 10 {
			s.strike(object(i), period)
			time.Sleep(time.Millisecond)
		}
		if s.n.Load() != maxSuspects || len(s.table) != maxSuspects || s.order.Len() != maxSuspects {
			t.Errorf("%d suspects", s.n.Load())
		}
		s.clear(object(9)) // forgotten already
		s.clear(object(10))
		s.clear(object(10))
		if s.n.Load() != maxSuspects-1 {
			t.Errorf("%d suspects after one was cleared", s.n.Load())
		}
		if s.anyOf(7, period) || !s.anyOf(6, period) {
			t.Error("wrong about sizes")
		}
		for i := range 2 {
			if s.strike(object(20), period) != (i == 1) {
				t.Errorf("strike %d", i+2)
			}
		}
		if left := s.withheld(object(20), period); left != period || s.withheld(object(21), period) != 0 || s.count(period) != 1 {
			t.Errorf("withheld for %v, %d in all", left, s.count(period))
		}
		if s.strike(object(20), period) {
			t.Error("said twice")
		}
		time.Sleep(2 * period)
		if s.anyOf(6, period) || s.n.Load() != 0 || len(s.sizes) != 0 {
			t.Errorf("%d suspects after their time, sizes %v", s.n.Load(), s.sizes)
		}
	})
}
