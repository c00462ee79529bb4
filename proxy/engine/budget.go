package engine

import "sync/atomic"

// hedgeShare is the share of all scans that may be hedged: one in hedgeShare. A burst
// may use what the last hedgeBurst*hedgeShare scans have earned.
const (
	hedgeShare = 20
	hedgeBurst = 10
)

// budget bounds hedges to a share of all scans. Its zero value is empty.
type budget struct{ parts atomic.Int64 }

// earn is called for each scan.
func (b *budget) earn() {
	if b.parts.Add(1) > hedgeShare*hedgeBurst {
		b.parts.Add(-1)
	}
}

// spend takes what one hedge costs, if it is there.
func (b *budget) spend() bool {
	for {
		have := b.parts.Load()
		if have < hedgeShare {
			return false
		}
		if b.parts.CompareAndSwap(have, have-hedgeShare) {
			return true
		}
	}
}

// giveBack returns what spend took for a hedge that was not made.
func (b *budget) giveBack() { b.parts.Add(hedgeShare) }
