package proxy

import (
	"context"
	"time"

	"polyclam/protocol/extended"
	"polyclam/proxy/engine"
)

// status returns the reply to XSTATUS: a SERVER record, a NODE record for each node of
// each engine, END. It is what polyclam status shows.
func (r *request) status() []string {
	s := r.s.srv
	brief := r.lst.Status == StatusBrief
	lines := make([]string, 1, 8) // the SERVER record comes first
	var engines []engine.Status
	ctx, cancel := context.WithTimeout(s.ctx, versionWait)
	defer cancel()
	for _, u := range r.cfg.Engines {
		if u.Mode() != engine.Off {
			u.Version(ctx) // so that the status has a fresh one
		}
		us := u.Status()
		engines = append(engines, us)
		for _, n := range us.Nodes {
			node := NodeOf(us, n, time.Now())
			if brief {
				node = briefNode(node)
			}
			lines = append(lines, node.Record().String())
		}
	}
	server := s.serverRecord(r.s.about())
	server.CacheState = cacheState(r.cfg.Cache.Stats(), engines)
	if brief {
		server = briefServer(server)
	}
	lines[0] = server.Record().String()
	return append(lines, "END")
}

// serverRecord returns the SERVER record.
func (s *Server) serverRecord(about extended.About) extended.Server {
	st, found := s.spool.Stats(), s.onFind.Stats()
	s.mu.Lock()
	connections := s.places.Open() + s.hands.Served()
	s.mu.Unlock()
	return extended.Server{
		Version:     s.version,
		About:       about,
		Uptime:      int64(time.Since(s.started).Round(time.Second) / time.Second),
		Connections: int64(connections),
		Scans:       int64(len(s.running.list())),
		Requests:    int64(s.requests.Load()),
		SpoolUsed:   st.Used,
		SpoolTotal:  st.Total,

		FindRuns:     found.Runs,
		FindFailures: found.Failures,
		FindDropped:  found.Dropped,
		Draining:     s.Readiness().Draining,
		Refusals:     s.tally.refusals(),
	}
}

// NodeOf returns the state of a node as XSTATUS reports it at a time.
func NodeOf(u engine.Status, n engine.NodeStatus, now time.Time) extended.Node {
	node := extended.Node{
		Engine:          u.Name,
		Backend:         u.Kind,
		Required:        u.Required,
		Address:         n.Address,
		Mode:            modeOf(u.Mode),
		ConfiguredMode:  configuredMode(u),
		Drained:         n.Drained,
		State:           n.State,
		Reason:          n.Reason,
		InFlight:        int64(n.InFlight),
		Limit:           int64(n.Limit),
		Waiting:         int64(u.Waiting),
		Withheld:        int64(u.Withheld),
		Scans:           int64(n.Counters.Scans),
		Failures:        int64(n.Counters.Failures),
		Replays:         int64(n.Counters.Replays),
		Hedges:          int64(u.Counters.Hedges),
		HedgesWon:       int64(u.Counters.HedgesWon),
		Version:         n.Version,
		DatabaseTime:    n.DatabaseTime,
		Stale:           n.Stale,
		OlderThan:       n.OlderThan,
		OlderBy:         int64(n.OlderBy / time.Second),
		ObservedSame:    int64(u.Observed.Same),
		ObservedDiffer:  int64(u.Observed.Differ),
		ObservedSkipped: int64(u.Observed.Skipped),
		CanaryTime:      n.Canary.Time,
		CanaryClean:     string(n.Canary.Clean),
		CanaryEICAR:     string(n.Canary.EICAR),
		CanaryName:      n.Canary.Name,
		CanaryEncrypted: string(n.Canary.Encrypted),
		CanaryMail:      string(n.Canary.Mail),
		CanaryError:     n.Canary.Error,
		HeuristicsFirst: n.HeuristicsFirst,
		MailUnread:      n.MailUnread,
		Scanned:         n.Scanned,
		UnscannedAbove:  n.UnscannedAbove,
	}
	for _, name := range u.Names {
		if name.Address != n.Name {
			continue
		}
		node.FoundAs, node.NameFailures, node.NameReason = n.Name, int64(name.Failures), name.Reason
		if !name.Answered.IsZero() {
			node.NameAge = int64(max(0, now.Sub(name.Answered)) / time.Second)
		}
		node.NameNotUsed = int64(name.NotUsed)
		if !name.Next.IsZero() {
			node.NameNext = max(0, int64((name.Next.Sub(now)+time.Second-1)/time.Second))
		}
	}
	return node
}

// modeOf is the value of the key mode: empty for on.
func modeOf(m engine.Mode) string {
	if m == engine.On {
		return ""
	}
	return string(m)
}

// configuredMode is the configured mode, or "" if it is the mode in use.
func configuredMode(u engine.Status) string {
	if u.ConfiguredMode == u.Mode {
		return ""
	}
	return string(u.ConfiguredMode)
}
