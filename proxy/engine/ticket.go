package engine

import (
	"time"

	"polyclam/proxy/client"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/engine/internal/queue"
)

// ticket is what a scan or a test object asks for slots with. While it is queued, pool.mu
// guards it.
type ticket struct {
	queue.Entry[*node]
	class   int   // of the object's size
	control bool  // for the clean control of another polyclam
	last    *node // of Tried: the node whose check failed last while the scan waited for it
	err     error // and why

	grant    grant         // of the last slot
	checkWait time.Duration // how long it waits for a health check; 0: it waits for a slot
	ready    chan slot     // takes the one slot, or error, given to a queued ticket
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
