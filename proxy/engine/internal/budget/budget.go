// Package budget bounds hedged scans to a share of all scans.
package budget

import "sync/atomic"

const (
	// Share is the share of scans that may be hedged: one in Share.
	Share = 20
	// Burst is how many hedges can be saved up.
	Burst = 10
)

// Budget is the balance that scans earn and hedges spend. The zero value is empty. It is
// safe for concurrent use.
type Budget struct{ parts atomic.Int64 }

// Earn adds the share of one scan.
func (b *Budget) Earn() {
	if b.parts.Add(1) > Share*Burst {
		b.parts.Add(-1)
	}
}

// Spend pays for one hedge. It reports false if the budget is too low.
func (b *Budget) Spend() bool {
	for {
		have := b.parts.Load()
		if have < Share {
			return false
		}
		if b.parts.CompareAndSwap(have, have-Share) {
			return true
		}
	}
}

// Refund undoes Spend for a hedge that did not take place.
func (b *Budget) Refund() { b.parts.Add(Share) }
