package engine

import (
	"time"

	"polyclam/proxy/client"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/engine/internal/queue"
)

// ticket is a request for a slot, by a scan or a test object. While it is queued, pool.mu
// guards it.
type ticket struct {
	queue.Entry[*node]
	class   int   // of the object's size
	control bool  // the object is another polyclam's clean control
	last    *node // of Tried: the last node whose check failed while the scan waited for it
	err     error // why that check failed

	grant     grant         // of the last slot
	checkWait time.Duration // how long it waits for a health check; 0: it waits for a slot
	limit     *time.Timer   // ends the wait for a health check; nil: there was none
	ready     chan slot     // receives the one slot or error given to a queued ticket; nil: it never was
}

// grant is the state of a node when it gave a slot.
type grant struct {
	client client.Key // that holds the slot
	epoch  health.Epoch
	round  int // of the node's limit
}

// slot is a slot taken on node, or the reason why there is none.
type slot struct {
	node *node
	err  error
}

func newTicket() *ticket { return &ticket{ready: make(chan slot, 1)} }
