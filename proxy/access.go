package proxy

import (
	"net"

	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy/rates"
)

// allowed reports whether the listener allows the client at the other end of nc, and logs the
// entry that would allow it. The client is known by the kernel, or by the PROXY header of a
// trusted load balancer, never by what it has sent itself. Clients whose load balancer names
// no address count as the load balancer.
func (s *Server) allowed(nc net.Conn, p peer, address string, l *Listener) bool {
	entry, ok := "", false
	if p.via != nil && p.addr.IsValid() {
		a := p.addr.Addr().WithZone("")
		entry, ok = a.String(), l.Allow.Address(a)
	} else {
		entry, ok = l.Allow.Conn(nc)
	}
	if ok {
		return true
	}
	s.tally.notAllowed.Add(1)
	suppressed, ok := s.repeated.Allow(p.key, "not allowed "+address)
	if !ok {
		return false
	}
	e := s.log.Warn().Stringer("client", p).Str("listener", address)
	if suppressed > 0 {
		e = e.Int("suppressed", suppressed)
	}
	if entry != "" {
		e = e.Str("hint", `if it may connect, add "`+entry+`" to allow of this listener`)
	}
	e.Msg("connection not allowed")
	return false
}

// switchedOff returns the key that switches the command off for this listener, or "".
func (r *request) switchedOff() string {
	switch {
	case r.cmd.Verb == protocol.VerbVersion && r.lst.NoVersionCommand:
		return "version_command"
	case r.cmd.Verb == protocol.VerbStats && r.lst.NoStatsCommand:
		return "stats_command"
	case r.cmd.Verb == protocol.VerbXStatus && r.lst.Status == StatusOff:
		return "status_command"
	}
	return ""
}

// rates returns the rates of the listeners by their addresses.
func (c *Config) rates() map[string]rates.Rate {
	all := make(map[string]rates.Rate, len(c.Listeners))
	for i := range c.Listeners {
		all[c.Listeners[i].Address] = c.Listeners[i].Rate
	}
	return all
}

// briefServer returns the part of s for a client that may see states and counts only. What
// is added to the record later is left out until it is added here too.
func briefServer(s extended.Server) extended.Server {
	return extended.Server{
		Brief:        true,
		Draining:     s.Draining,
		Uptime:       s.Uptime,
		About:        extended.About{ConfigRefused: s.ConfigRefused},
		Connections:  s.Connections,
		Scans:        s.Scans,
		Requests:     s.Requests,
		SpoolUsed:    s.SpoolUsed,
		SpoolTotal:   s.SpoolTotal,
		FindRuns:     s.FindRuns,
		FindFailures: s.FindFailures,
		FindDropped:  s.FindDropped,
		CacheState:   briefCache(s.CacheState),
		Refusals:     s.Refusals,
	}
}

// briefCache leaves out where the shared store is and who its user is.
func briefCache(c extended.CacheState) extended.CacheState {
	c.CacheReason, c.CacheHint = "", ""
	return c
}

// briefNode is [briefServer] for the state of a node. It leaves out versions and their age,
// and which objects an engine does not look into.
func briefNode(n extended.Node) extended.Node {
	return extended.Node{
		Engine:          n.Engine,
		Backend:         n.Backend,
		Required:        n.Required,
		Mode:            n.Mode,
		ConfiguredMode:  n.ConfiguredMode,
		Drained:         n.Drained,
		State:           n.State,
		InFlight:        n.InFlight,
		Limit:           n.Limit,
		Waiting:         n.Waiting,
		Withheld:        n.Withheld,
		Scans:           n.Scans,
		Failures:        n.Failures,
		Replays:         n.Replays,
		Hedges:          n.Hedges,
		HedgesWon:       n.HedgesWon,
		Stale:           n.Stale,
		CanaryTime:      n.CanaryTime,
		CanaryClean:     n.CanaryClean,
		CanaryEICAR:     n.CanaryEICAR,
		CanaryEncrypted: n.CanaryEncrypted,
		CanaryMail:      n.CanaryMail,
	}
}
