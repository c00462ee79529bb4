package engine

import (
	"time"

	"polyclam/proxy/client"
)

// lately is how long a client that has asked counts when slots are shared out. Many
// mail servers, and most monitoring, ask more often.
const lately = 5 * time.Minute

// minShared is the lowest number of slots of which some are kept back. With fewer,
// what is kept back would cost a busy client too much; the others then wait for the
// next slot that becomes free, which is theirs by turns.
const minShared = 4

// reserve is how many of a node's slots no single client may take, while more than
// one client asks.
func reserve(slots int) int {
	if slots < minShared {
		return 0
	}
	return max(1, slots/8)
}

// recent remembers the last two clients that have asked, which is enough to know
// whether any client is alone. Its zero value has seen none.
type recent struct {
	last, other struct {
		client client.Key
		at     time.Time
	}
}

// add notes that k asks. The daemon itself does not count.
func (r *recent) add(k client.Key, now time.Time) {
	if k.IsZero() {
		return
	}
	if k != r.last.client {
		r.other = r.last
	}
	r.last.client, r.last.at = k, now
}

// several reports whether more than one client has asked lately.
func (r *recent) several(now time.Time) bool { return now.Sub(r.other.at) < lately }

// room reports whether n has a free slot that t may take. A health check is not held
// up by a lowered limit: it is what shows that the node has recovered.
func (u *pool) room(t *ticket, n *node) bool {
	most := u.config().MaxScans
	if t.only != nil && !t.patient {
		// Where all slots are taken by scans that hang, none would ever be free.
		return n.inFlight < most || n.suspected && n.inFlight == most
	}
	slots := n.limit.slots(most)
	if n.inFlight >= slots {
		return false
	}
	return !u.shared || t.client.IsZero() || n.held[t.client] < slots-reserve(slots)
}

// updateShared looks whether slots are kept back now. When they no longer are, those
// who wait may take them. The caller has mu.
func (u *pool) updateShared(now time.Time) {
	before := u.shared
	u.shared = u.recent.several(now)
	if before && !u.shared {
		u.dispatchAll()
	}
}
