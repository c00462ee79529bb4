package proxy

import (
	"fmt"
	"strings"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/printable"
)

const (
	maxStatsLines  = 512 // scans listed
	maxStatsObject = 200 // bytes of a name; clamdtop reads lines of up to 1024
)

// hiddenObject replaces a name that the client must not see.
const hiddenObject = "-"

// stats returns the reply to STATS without its last terminator. It has one pool, and the
// word PRIMARY exactly once, or clamdtop aborts. Each scan under way counts as a thread.
//
// Clients on Unix sockets see the name of every object, as with clamd. Those on TCP see only
// the names of their own objects.
func (r *request) stats() string {
	s := r.s.srv
	running := s.running.list()
	slots := 0
	for _, e := range r.cfg.Engines {
		slots = max(slots, e.Slots())
	}
	now := time.Now()
	var b strings.Builder
	b.WriteString("POOLS: 1\n\nSTATE: VALID PRIMARY\n")
	fmt.Fprintf(&b, "THREADS: live %d  idle 0 max %d idle-timeout 30\n", len(running)+1, max(slots, len(running)+1))
	b.WriteString("QUEUE: 0 items\n")
	for _, scan := range running[:min(len(running), maxStatsLines)] {
		object := hiddenObject
		if r.s.peer.local() || r.s.peer.key == scan.client && !scan.client.IsZero() {
			object = protocol.EscapeWords(printable.Escape(scan.object, maxStatsObject))
		}
		fmt.Fprintf(&b, "\t%s %.6f %s\n", scan.verb, now.Sub(scan.start).Seconds(), object)
	}
	b.WriteString("\tSTATS 0.000001 \n")
	st := s.spool.Stats()
	fmt.Fprintf(&b, "\nMEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 pools_used %.3fM pools_total %.3fM\nEND",
		float64(st.Used)/(1<<20), float64(st.Total)/(1<<20))
	return b.String()
}
