package queue

import (
	"time"

	"polyclam/proxy/client"
)

// Lately is how long after its last scan a client still counts when slots are shared. Many
// mail servers, and most monitoring, scan more often than that.
const Lately = 5 * time.Minute

// minShared is the lowest number of slots from which some are kept back. With fewer, that
// would cost a busy client too much; other clients then get the next free slot.
const minShared = 4

// Reserve is how many of a node's slots no single client may take while others ask.
func Reserve(slots int) int {
	if slots < minShared {
		return 0
	}
	return max(1, slots/8)
}

// Recent holds the two most recent clients, which is enough to know whether a client is
// alone. The zero value is ready for use. It is not safe for concurrent use.
type Recent struct {
	last, other struct {
		client client.Key
		at     time.Time
	}
}

// Add records a scan of k. The daemon itself does not count.
func (r *Recent) Add(k client.Key, now time.Time) {
	if k.IsZero() {
		return
	}
	if k != r.last.client {
		r.other = r.last
	}
	r.last.client, r.last.at = k, now
}

// Several reports whether more than one client has scanned lately.
func (r *Recent) Several(now time.Time) bool { return now.Sub(r.other.at) < Lately }
