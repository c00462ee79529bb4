package ops

import (
	"net/http"
	"time"

	"polyclam/protocol/extended"
	"polyclam/proxy"
)

// statusJSON is the JSON of /status.json: that of polyclam status --json, as far as the daemon
// knows it. docs/operations.md documents it.
type statusJSON struct {
	Time    time.Time       `json:"time"`
	Started time.Time       `json:"started"`
	Ready   proxy.Readiness `json:"readiness"`
	extended.Server
	Nodes []extended.Node `json:"nodes"`
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	snapshot := s.proxy.Snapshot()
	st := statusJSON{Time: snapshot.Time, Started: snapshot.Started, Ready: snapshot.Ready, Server: snapshot.Server, Nodes: snapshot.Nodes()}
	if st.Nodes == nil {
		st.Nodes = []extended.Node{} // not null
	}
	writeJSON(w, http.StatusOK, st)
}
