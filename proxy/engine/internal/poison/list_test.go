package poison

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// object returns one of many digests, of 0 to 6 bytes.
func object(i int) Digest { return Digest{Size: int64(i % 7), Sum: sha256.Sum256(fmt.Append(nil, i))} }

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = time.Minute
		var l List
		for i := range maxListed + 10 {
			l.AddFailure(object(i), period)
			time.Sleep(time.Millisecond)
		}
		if l.n.Load() != maxListed || len(l.entries) != maxListed || l.order.Len() != maxListed {
			t.Errorf("%d entries", l.n.Load())
		}
		l.Clear(object(9)) // dropped already
		l.Clear(object(10))
		l.Clear(object(10))
		if l.n.Load() != maxListed-1 {
			t.Errorf("%d entries after one was cleared", l.n.Load())
		}
		if l.HasSize(7, period) || !l.HasSize(6, period) {
			t.Error("wrong about sizes")
		}
		for i := range 2 {
			if l.AddFailure(object(20), period) != (i == 1) {
				t.Errorf("strike %d", i+2)
			}
		}
		if left := l.Withheld(object(20), period); left != period || l.Withheld(object(21), period) != 0 || l.CountWithheld(period) != 1 {
			t.Errorf("withheld for %v, %d in all", left, l.CountWithheld(period))
		}
		if l.AddFailure(object(20), period) {
			t.Error("reported twice")
		}
		time.Sleep(2 * period)
		if l.HasSize(6, period) || l.n.Load() != 0 || len(l.sizes) != 0 {
			t.Errorf("%d entries after they expired, sizes %v", l.n.Load(), l.sizes)
		}
	})
}
