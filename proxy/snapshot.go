package proxy

import (
	"time"

	"polyclam/protocol/extended"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/files"
	"polyclam/proxy/hook"
	"polyclam/proxy/record"
	"polyclam/proxy/spool"
)

// A Snapshot is the state of a server and everything that it has counted since its start.
// Reloads reset no counter. The parts are read one after another, not at the same instant.
type Snapshot struct {
	Time    time.Time
	Started time.Time
	Server  extended.Server // as XSTATUS reports it on a Unix socket
	Ready   Readiness
	// Configured is when the configuration in use was loaded. If a later reload was
	// refused, Server.ConfigRefused is not zero.
	Configured time.Time

	Scans []ScanCount // one for each combination that has occurred
	// Expected are combinations that have not occurred, with the count 0: for INSTREAM and
	// each command that a listener's clients have used, every category with its action. If
	// the first scan of a combination made its counter appear, rate() of Prometheus would
	// not see that scan.
	Expected []ScanCount
	Times    []ScanTimes     // of each listener
	Engines  []engine.Status // of the newest configuration

	Connections Connections
	Spool       spool.Stats
	Cache       cache.Stats
	Files       files.Stats // threads for clients' files
	Hashing     files.Stats // threads for hashes after the reply
	OnFind      hook.Stats
	Process     Process
	// LogLinesLost are the lines of the log that were dropped because it is read too slowly.
	LogLinesLost uint64
}

// Connections are the connections of clients.
type Connections struct {
	Served       int `json:"served"`
	Waiting      int `json:"waiting"` // accepted, beyond their client's share
	Limit        int `json:"limit"`   // of those that are served
	WaitingLimit int `json:"waiting_limit"`
	// Handshakes are TLS handshakes and PROXY headers under way.
	Handshakes      int `json:"handshakes"`
	HandshakesLimit int `json:"handshakes_limit"`
}

// Snapshot returns the current state. It asks no engine and does not wait.
func (s *Server) Snapshot() Snapshot {
	cfg := s.generations.config()
	snap := Snapshot{
		Time: time.Now(), Started: s.started, Ready: s.Readiness(), Configured: time.Unix(0, s.counters.applied.Load()),
		Connections: s.connectionStats(), Spool: s.spool.Stats(), Cache: cfg.Cache.Stats(), Files: s.files.Stats(), Hashing: s.hashes.threads.Stats(),
		OnFind: s.onFind.Stats(), Process: readProcess(), LogLinesLost: s.logLost(),
	}
	snap.Server = s.serverRecord(*s.about.Load())
	for _, c := range s.counters.list() {
		scans, expected := c.counts()
		snap.Scans, snap.Expected = append(snap.Scans, scans...), append(snap.Expected, expected...)
		snap.Times = append(snap.Times, ScanTimes{Listener: c.address, Times: c.times.Value()})
	}
	for _, e := range cfg.Engines {
		snap.Engines = append(snap.Engines, e.Status())
	}
	snap.Server.CacheState = cacheState(snap.Cache, snap.Engines)
	return snap
}

func (s *Server) connectionStats() Connections {
	limits := s.limits()
	s.mu.Lock()
	defer s.mu.Unlock()
	served, waiting := s.places.Sums()
	return Connections{
		Served: served, Waiting: waiting, Limit: limits.Connections, WaitingLimit: limits.Waiting,
		Handshakes: s.hands.Served(), HandshakesLimit: limits.Handshakes,
	}
}

// Records returns the records of recent scans.
func (s *Server) Records() *record.Ring { return s.records }
