package budget

import (
	"sync"
	"sync/atomic"
	"testing"
)

// spent is how many hedges b pays for.
func spent(b *Budget) int {
	n := 0
	for b.Spend() {
		n++
	}
	return n
}

func TestBudget(t *testing.T) {
	var b Budget
	if n := spent(&b); n != 0 {
		t.Errorf("the zero budget paid for %d hedges", n)
	}
	for range Share - 1 {
		b.Earn()
	}
	if b.Spend() {
		t.Errorf("%d scans paid for a hedge", Share-1)
	}
	b.Earn()
	if !b.Spend() {
		t.Errorf("%d scans did not pay for a hedge", Share)
	}
	b.Refund()
	if n := spent(&b); n != 1 {
		t.Errorf("%d hedges after a refund, want 1", n)
	}
	for range 10 * Share * Burst {
		b.Earn()
	}
	if n := spent(&b); n != Burst {
		t.Errorf("%d hedges saved up, want %d", n, Burst)
	}
}

func TestBudgetConcurrently(t *testing.T) {
	var b Budget
	var hedges atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				b.Earn()
				if b.Spend() {
					hedges.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := hedges.Load() + int64(spent(&b)); n > 8*1000/Share {
		t.Errorf("%d hedges for %d scans", n, 8*1000)
	}
}
