// Package budget bounds hedged scans to a share of all scans.
package budget

import "sync/atomic"

const (
	// Share is the share of scans that may be hedged: one in Share.
	Share = 20
	// Burst is how many hedges can be saved up.
	Burst = 10
)

// Budget is what scans have earned and hedges can spend. Its zero value is empty. It is
// safe for concurrent use.
type Budget struct{ parts atomic.Int64 }

// Earn is called for each scan.
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
