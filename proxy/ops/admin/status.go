package admin

import (
	"net/http"

	"polyclam/proxy"
	"polyclam/proxy/count"
)

// statusAnswer is the answer to /status.
type statusAnswer struct {
	proxy.Snapshot
	Latency []latency
}

// latency is how long a node took for its scans so far, of all sizes.
type latency struct {
	Engine string      `json:"engine"`
	Node   string      `json:"node"`
	Times  count.Value `json:"times"`
}

// status serves GET /status.
func (h *handler) status(w http.ResponseWriter, _ *http.Request) {
	s := h.snapshot()
	writeJSON(w, http.StatusOK, statusAnswer{s, latencies(&s)})
}

// latencies returns the times of each node.
func latencies(s *proxy.Snapshot) (list []latency) {
	for _, e := range s.Engines {
		for _, n := range e.Nodes {
			list = append(list, latency{e.Name, n.Address, count.Sum(n.Counters.Times)})
		}
	}
	return list
}
