package proxy

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"polyclam/proxy/client"
	"polyclam/proxy/engine"
	"polyclam/proxy/printable"
)

// Readiness says whether a load balancer should send clients to this server.
type Readiness struct {
	Ready    bool     `json:"ready"`
	Draining bool     `json:"draining"`          // it is about to stop, or an operator drains it
	Reasons  []string `json:"reasons,omitempty"` // why it is not ready
	// FreeSlots is how many more scans the required engine with the fewest free slots
	// can take now, of Slots.
	FreeSlots int `json:"free_slots"`
	Slots     int `json:"slots"`
}

// readyFor is how long a Readiness counts, so that many who ask cost the engines nothing.
const readyFor = 200 * time.Millisecond

// fullSpool is the share of the spool in per cent above which there is no room, unless the
// largest stream fits.
const fullSpool = 90

// readiness is the latest [Readiness] of a server, and whether it is draining. The zero
// value is ready for use.
type readiness struct {
	mu       sync.Mutex
	latest   Readiness
	at       time.Time // zero: there is none
	cfg      *Config   // of the latest
	draining bool
}

// Readiness reports whether every required engine has a node that has proved itself, the
// spool has room, and the server is not draining. It asks no engine and does not wait. It
// may be 200 ms old, except for draining.
func (s *Server) Readiness() Readiness {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	cfg, now := s.generations.config(), time.Now()
	if s.ready.cfg != cfg || s.ready.at.IsZero() || now.Sub(s.ready.at) >= readyFor {
		s.ready.latest, s.ready.at, s.ready.cfg = s.judge(cfg), now, cfg
	}
	r := s.ready.latest
	if s.ready.draining || s.isClosing() {
		r.Ready, r.Draining = false, true
		r.Reasons = append([]string{"polyclamd is about to stop"}, r.Reasons...)
	}
	return r
}

// SetDraining makes Readiness report that the server is draining, or no longer is. Nothing
// else changes: it serves clients as before.
func (s *Server) SetDraining(draining bool) {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	s.ready.draining = draining
}

// judge looks at everything that decides whether the server is ready, except draining.
func (s *Server) judge(cfg *Config) (r Readiness) {
	required := false
	for _, e := range cfg.Engines {
		if st := e.Status(); st.Required && e.Mode() == engine.On {
			s.judgeEngine(&r, e, st, !required)
			required = true
		}
	}
	if !required {
		s.judgeOptional(&r, cfg.Engines)
	}
	r.Reasons = append(r.Reasons, s.spoolReasons(cfg.Limits)...)
	s.mu.Lock()
	open, full := s.places.Open(), s.places.Full(cfg.Limits.Connections)
	s.mu.Unlock()
	if full {
		r.Reasons = append(r.Reasons, fmt.Sprintf("%d connections are open, as many as limits.connections allows", open))
	}
	r.Ready = len(r.Reasons) == 0
	return r
}

// judgeEngine adds a required engine.
func (s *Server) judgeEngine(r *Readiness, e *engine.Engine, st engine.Status, isFirst bool) {
	free, proven := slotsOf(e, st)
	if slots := e.Slots(); isFirst || free < r.FreeSlots {
		r.FreeSlots, r.Slots = free, slots
	}
	if !proven {
		r.Reasons = append(r.Reasons, "the required engine "+st.Name+" has no usable node: "+nodeReasons(st))
	}
}

// judgeOptional judges a server without required engines: one usable engine is enough.
func (s *Server) judgeOptional(r *Readiness, engines []*engine.Engine) {
	usable, reasons := false, ""
	for _, e := range engines {
		if e.Mode() != engine.On {
			continue
		}
		st := e.Status()
		free, proven := slotsOf(e, st)
		if r.FreeSlots, r.Slots = r.FreeSlots+free, r.Slots+e.Slots(); proven {
			usable = true
			continue
		}
		reasons += "; " + st.Name + ": " + nodeReasons(st)
	}
	if !usable {
		r.Reasons = append(r.Reasons, "no engine has a usable node"+reasons)
	}
}

// slotsOf returns the free slots of an engine's usable nodes, and whether a node is usable:
// a health check has passed, or none is made, and no administrator has drained it. A node that loads signatures is: scans wait
// for it.
func slotsOf(e *engine.Engine, st engine.Status) (free int, proven bool) {
	each := 0
	if n := len(st.Nodes); n > 0 {
		each = e.Slots() / n
	}
	for _, n := range st.Nodes {
		switch {
		case n.Drained: // its state is that without it
		case n.State == "reloading":
			proven = true
		case n.State == "up", n.State == "unknown" && !e.ChecksHealth():
			proven = true
			free += max(0, cmp.Or(n.Limit, each)-n.InFlight)
		}
	}
	return max(0, free-st.Waiting), proven
}

// maxReadyReasons bounds the nodes that a reason lists.
const maxReadyReasons = 8

// nodeReasons says why the nodes of an engine are not used.
func nodeReasons(st engine.Status) (text string) {
	for i, n := range st.Nodes {
		if i == maxReadyReasons {
			return text + fmt.Sprintf("; and %d more nodes", len(st.Nodes)-i)
		}
		if i > 0 {
			text += "; "
		}
		if n.Address != "" {
			text += n.Address + ": "
		}
		if n.Drained {
			text += "drained by an administrator"
			continue
		}
		text += cmp.Or(n.Reason, n.Canary.Error, stateReason(n.State))
	}
	return text
}

func stateReason(state string) string {
	if state == "unknown" {
		return "its first health check has not ended"
	}
	return "it is " + state
}

// spoolReasons says whether the spool has room.
func (s *Server) spoolReasons(limits Limits) []string {
	st := s.spool.Stats()
	if st.Total <= 0 || st.Used*100 < st.Total*fullSpool || limits.Stream > 0 && st.Total-st.Used >= limits.Stream {
		return nil
	}
	return []string{fmt.Sprintf("the spool is full: %d of %d MiB are in use; limits.spool_total is its size", st.Used>>20, st.Total>>20)}
}

// turnsAway reports whether a new connection to the listener at address is closed unread,
// because the server is not ready. A server
// that is only draining serves it: its load balancer has sent it before it could know, and
// only its checks, PING, fail.
func (s *Server) turnsAway(address string) bool {
	r := s.Readiness()
	if r.Ready || r.Draining {
		return false
	}
	s.tally.connections.Add(1)
	if suppressed, ok := s.repeated.Allow(client.Key{}, "not ready "+address); ok {
		s.log.Warn().Str("listener", address).Str("reason", printable.Escape(r.Reasons[0], maxLoggedReason)).Int("suppressed", suppressed).
			Msg("connections closed, not ready")
	}
	return true
}

// maxLoggedReason bounds the reason in the log.
const maxLoggedReason = 300
