package ops

import (
	"net/http"
	"time"

	"polyclam/protocol/extended"
	"polyclam/proxy"
	"polyclam/proxy/ops/judge"
)

// statusJSON is the JSON of /status.json: that of polyclam status --json, as far as the daemon
// knows it. docs/operations.md documents it.
type statusJSON struct {
	State    string          `json:"state"`
	Sentence string          `json:"sentence"`
	Time     time.Time       `json:"time"`
	Started  time.Time       `json:"started"`
	Ready    proxy.Readiness `json:"readiness"`
	extended.Server
	Nodes []judge.Node `json:"nodes"`
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	snapshot := s.proxy.Snapshot()
	st := statusJSON{Time: snapshot.Time, Started: snapshot.Started, Ready: snapshot.Ready, Server: snapshot.Server, Nodes: []judge.Node{}}
	for _, n := range snapshot.Nodes() {
		st.Nodes = append(st.Nodes, judge.Node{Node: n})
	}
	c := judge.Of(st.Nodes, judge.ConfigTrouble(&st.Server, st.Time), st.Time)
	st.State, st.Sentence = c.State, c.Sentence
	writeJSON(w, http.StatusOK, st)
}
