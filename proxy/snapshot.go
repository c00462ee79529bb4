package proxy

import (
	"time"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/record"
)

// A Snapshot is the state of a server and everything that it has counted since its start.
// Its parts are read one after another, not at the same instant.
type Snapshot struct {
	Time    time.Time
	Started time.Time
	Server  extended.Server // as XSTATUS reports it on a Unix socket
	Ready   Readiness
	Scans   []ScanCount     // one for each combination that has occurred
	Engines []engine.Status // of the newest configuration
}

// A ScanCount counts the scans with one outcome.
type ScanCount struct {
	Listener string // its address in the configuration
	Command  protocol.Verb
	Category backends.Category
	Action   policy.Action
	Count    uint64
}

// Snapshot returns the current state. It asks no engine and does not wait.
func (s *Server) Snapshot() Snapshot {
	return Snapshot{Time: time.Now(), Started: s.started, Ready: s.Readiness()}
}

// Records returns the records of recent scans.
func (s *Server) Records() *record.Ring { return s.records }
