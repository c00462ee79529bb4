package engine

import "time"

// Status is an engine as `polyclam status` shows it: a copy, the caller's own.
type Status struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Required bool     `json:"required"`
	Waiting  int      `json:"waiting"` // scans without a slot yet
	Counters Counters `json:"counters"`
	// Withheld is the number of objects that are not given to the engine at present,
	// since it died or hung on them.
	Withheld int          `json:"withheld,omitempty"`
	Nodes    []NodeStatus `json:"nodes"`
}

// Counters count since the engine was made. Health checks are not in them.
type Counters struct {
	// Scans are the scans asked for: of an engine all, of a node those it was
	// asked.
	Scans uint64 `json:"scans"`
	// Failures are those that ended without an answer, except for those that the
	// caller called off.
	Failures uint64 `json:"failures"`
	// Replays are the scans that went on after another node had failed; a node's
	// are those it took over.
	Replays uint64 `json:"replays"`
	// Hedges are the scans that were put to a second node because the first one was
	// slow, HedgesWon those that the second node answered first. Of an engine only.
	Hedges    uint64 `json:"hedges"`
	HedgesWon uint64 `json:"hedges_won"`
}

// NodeStatus is one node of a [Status].
type NodeStatus struct {
	Address  string `json:"address"`
	State    string `json:"state"`            // up, down, unknown, or reloading
	Reason   string `json:"reason,omitempty"` // why it is down
	InFlight int    `json:"in_flight"`        // slots taken, test objects and hung backends included
	// Limit is how many of max_scans are used at present because more were too many for
	// the engine; 0: all.
	Limit  int    `json:"limit,omitempty"`
	Canary Canary `json:"canary"`
	// Version is the engine's own words, as far as it was asked; empty: unknown.
	Version      string    `json:"version,omitempty"`
	DatabaseTime time.Time `json:"database_time,omitzero"`
	Counters     Counters  `json:"counters"`
	// HeuristicsFirst says that the engine stops at the first heuristic finding:
	// encrypted and partial of this node count as suspicious.
	HeuristicsFirst bool `json:"heuristics_first,omitempty"`
	// Scanned is the size of the largest object that the engine is known to scan,
	// UnscannedAbove the one above which it says ok without a look; 0: not known.
	Scanned        int64 `json:"scanned,omitempty"`
	UnscannedAbove int64 `json:"unscanned_above,omitempty"`
}

// Status tells what is known; it asks no engine and does not wait.
func (u *pool) Status() Status {
	s := Status{
		Name:     u.config().Name,
		Kind:     u.config().Kind,
		Required: u.config().Required,
		Counters: Counters{
			Scans: u.scans.Load(), Failures: u.failed.Load(), Replays: u.replay.Load(),
			Hedges: u.hedged.Load(), HedgesWon: u.hedgesWon.Load(),
		},
	}
	if period := u.config().PoisonTime; period > 0 {
		s.Withheld = u.suspects.count(period)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s.Waiting = u.queue.scans
	for _, n := range u.nodes {
		ns := n.status()
		if slots := n.limit.slots(u.config().MaxScans); slots < u.config().MaxScans {
			ns.Limit = slots
		}
		if u.spared(&ticket{}, n) {
			ns.State = "reloading"
		}
		s.Nodes = append(s.Nodes, ns)
	}
	return s
}

func (n *node) status() NodeStatus {
	s := NodeStatus{
		Address:  n.address,
		State:    n.state.String(),
		InFlight: n.inFlight,
		Canary:   n.canary,
		Counters: Counters{Scans: n.scans.Load(), Failures: n.failures.Load(), Replays: n.replays.Load()},
	}
	s.HeuristicsFirst, s.Scanned, s.UnscannedAbove = n.heuristics.first, n.size.scanned, n.size.limit
	if n.reason != nil {
		s.Reason = bounded(n.reason.Error())
	}
	if v, ok := n.versions.last(); ok {
		s.Version, s.DatabaseTime = bounded(v.Text), v.DatabaseTime
	}
	return s
}

// String is the word for s; why a node is blind is in the reason.
func (s state) String() string {
	switch s {
	case unknown:
		return "unknown"
	case up:
		return "up"
	}
	return "down"
}

// Slots is how many scans the engine takes at once, all nodes together.
func (u *pool) Slots() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.config().MaxScans * len(u.nodes)
}
