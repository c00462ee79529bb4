package engine

import (
	"slices"
	"time"

	"polyclam/proxy/count"
	"polyclam/proxy/engine/internal/health"
)

// Status is the state of an engine as `polyclam status` shows it.
type Status struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Required bool   `json:"required"`
	// Mode is the mode in use. It differs from ConfiguredMode if it was set at run time.
	Mode           Mode             `json:"mode"`
	ConfiguredMode Mode             `json:"configured_mode"`
	Waiting        int              `json:"waiting"` // scans without a slot yet
	Slots          int              `json:"slots"`   // scans that it takes at a time, all nodes together
	Counters       Counters         `json:"counters"`
	Observed       ObservedCounters `json:"observed"`
	// Cache counts what the cache did for the engine.
	Cache CacheCounters `json:"cache"`
	// Withheld is the number of objects that the engine does not get at present because it
	// died or hung on them.
	Withheld int `json:"withheld,omitempty"`
	// Unasked are the results of scans that no node received: none was usable, none had a
	// slot in time, or the object is too large.
	Unasked count.ByCategory `json:"unasked,omitzero"`
	Nodes   []NodeStatus     `json:"nodes"`
	// Names are the addresses that name servers resolve.
	Names []NameStatus `json:"names,omitempty"`
}

// NameStatus is an address that name servers resolve.
type NameStatus struct {
	Address string `json:"address"` // as configured
	Nodes   int    `json:"nodes"`   // those that it has now, or had when it last resolved
	// NotUsed is how many addresses it has beyond max_nodes.
	NotUsed  int       `json:"not_used,omitempty"`
	Answered time.Time `json:"answered,omitzero"` // the last good answer
	Next     time.Time `json:"next,omitzero"`     // the next lookup; in the past: it is under way
	Failures uint64    `json:"failures"`          // lookups without a complete answer, since the start
	// Reason is what is wrong with the last lookup; empty: nothing. The nodes of the last
	// good answer stay in use.
	Reason string `json:"reason,omitempty"`
	// FailingSince is since when no lookup has succeeded.
	FailingSince time.Time `json:"failing_since,omitzero"`
}

// Counters count since the daemon was started, without health checks. No reload resets them,
// see [Ledger].
type Counters struct {
	// Scans are the scans of an engine, or those that a node was given.
	Scans uint64 `json:"scans"`
	// Failures are the scans that ended without an answer, except those that the caller
	// canceled.
	Failures uint64 `json:"failures"`
	// Replays are the scans that were sent to another node after one failed; for a node,
	// those it took over.
	Replays uint64 `json:"replays"`
	// Hedges are the scans that were sent to a second node because the first was slow,
	// HedgesWon those that the second node answered first. For engines only.
	Hedges    uint64 `json:"hedges"`
	HedgesWon uint64 `json:"hedges_won"`

	// The rest is for nodes only.

	// Cancelled are the scans that the caller ended: the client has gone, another node was
	// faster, or the verdict was settled. They are in none of the following counters.
	Cancelled uint64 `json:"cancelled,omitempty"`
	// Results are the answers by category, and the scans that failed.
	Results count.ByCategory `json:"results,omitzero"`
	// Kinds are the failures by category, also those that came with a finding.
	Kinds count.ByCategory `json:"failure_kinds,omitzero"`
	// Times are how long the node took, by the size of the object.
	Times [count.Classes]count.Value `json:"-"`
}

// value returns the counters of a node.
func (c *nodeCounts) value() Counters {
	return Counters{
		Scans: c.scans.Load(), Failures: c.failures.Load(), Replays: c.replays.Load(), Cancelled: c.cancelled.Load(),
		Results: c.results.Value(), Kinds: c.kinds.Value(), Times: c.times.Value(),
	}
}

// NodeStatus is one node of a [Status].
type NodeStatus struct {
	Address string `json:"address"`
	// Name is the configured name that the address was found by; empty: the address itself
	// is configured. A name without an address is shown as a node that is down.
	Name   string `json:"name,omitempty"`
	State  string `json:"state"`            // up, down, unknown, or reloading
	Reason string `json:"reason,omitempty"` // why it is down
	Usable bool   `json:"usable"`           // scans may use it
	Blind  bool   `json:"blind,omitempty"`  // it is down because it does not find what it should, or finds what is not there
	// Drained says that an administrator has taken it out of use. State is as without that.
	Drained  bool `json:"drained,omitempty"`
	InFlight int  `json:"in_flight"` // slots taken, test objects and hung backends included
	// Limit is how many of the max_scans slots are used at present, after the engine was
	// overloaded; 0: all.
	Limit  int    `json:"limit,omitempty"`
	Canary Canary `json:"canary"`
	// Version is what the engine last reported; empty: unknown.
	Version      string    `json:"version,omitempty"`
	DatabaseTime time.Time `json:"database_time,omitzero"`
	// Stale says that the database is older than max_signature_age.
	Stale bool `json:"stale,omitempty"`
	// OlderThan is the address of the node with the newest signatures, if those of this one
	// are older by more than 36 hours; OlderBy is by how much.
	OlderThan string        `json:"older_than,omitempty"`
	OlderBy   time.Duration `json:"older_by,omitempty"` // nanoseconds
	Counters  Counters      `json:"counters"`
	// HeuristicsFirst says that the engine stops at the first heuristic finding, so its
	// encrypted and partial results count as suspicious.
	HeuristicsFirst bool `json:"heuristics_first,omitempty"`
	// MailUnread says that the engine finds EICAR in an archive, but not in a mail.
	MailUnread bool `json:"mail_unread,omitempty"`
	// Scanned is the size of the largest object that the engine is known to scan.
	// UnscannedAbove is the size above which it answers ok without scanning; 0: not known.
	Scanned        int64 `json:"scanned,omitempty"`
	UnscannedAbove int64 `json:"unscanned_above,omitempty"`
}

// Status returns the current state. It neither contacts engines nor waits.
func (p *pool) Status() Status {
	s := Status{
		Name:     p.config().Name,
		Kind:     p.config().Kind,
		Required: p.config().Required,
		Unasked:  p.counts.unasked.Value(),
		Cache:    p.counts.cache.value(),
		Counters: Counters{
			Scans: p.counts.scans.Load(), Failures: p.counts.failed.Load(), Replays: p.counts.replays.Load(),
			Hedges: p.counts.hedged.Load(), HedgesWon: p.counts.hedgesWon.Load(),
		},
	}
	if period := p.config().PoisonTime; period > 0 {
		s.Withheld = p.poison.CountWithheld(period)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Mode, s.ConfiguredMode, s.Observed = p.mode(), p.config().Mode, p.counts.observed.counters()
	s.Waiting, s.Slots = p.queue.Scans(), p.slots()
	for _, n := range p.nodes {
		ns := n.status()
		ns.Usable = p.usable(n)
		if slots := n.limit.Slots(p.config().MaxScans); slots < p.config().MaxScans {
			ns.Limit = slots
		}
		if p.standsBack(&ticket{}, n) {
			ns.State = "reloading"
		}
		ns.Stale = isStale(ns.DatabaseTime, p.config().MaxSignatureAge)
		if p.isSuspended(n) && n.health.Serving() {
			ns.State, ns.Reason = health.Down.String(), n.reasonText(p.staleReason(n))
		}
		s.Nodes = append(s.Nodes, ns)
	}
	for _, b := range p.olderNodes() {
		at := slices.Index(p.nodes, b.node)
		s.Nodes[at].OlderThan, s.Nodes[at].OlderBy = bounded(b.newest.address), b.by
	}
	for _, n := range p.names {
		s.Names = append(s.Names, n.status())
		if err := n.unresolved(); err != nil {
			s.Nodes = append(s.Nodes, NodeStatus{Address: bounded(n.Address), Name: bounded(n.Address), State: n.state(), Reason: err.Error()})
		}
	}
	return s
}

func (n *node) status() NodeStatus {
	s := NodeStatus{
		Address:  n.address,
		Name:     bounded(n.origin),
		Drained:  n.drained,
		State:    n.health.State().String(),
		Blind:    n.health.State() == health.Blind,
		InFlight: n.inFlight,
		Canary:   n.canary,
		Counters: n.counts.value(),
	}
	s.MailUnread = n.mail.unread
	s.HeuristicsFirst, s.Scanned, s.UnscannedAbove = n.heuristics.first, n.size.scanned, n.size.limit
	if reason := n.health.Reason(); reason != nil {
		s.Reason = n.reasonText(reason)
	}
	if v, ok := n.versions.last(); ok {
		s.Version, s.DatabaseTime = bounded(v.Text), v.DatabaseTime
	}
	return s
}

// Slots is how many scans the engine takes at a time, all nodes together.
func (p *pool) Slots() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots()
}

// slots is Slots. Names without a node count as one, as Status shows them. The caller holds mu.
func (p *pool) slots() int {
	nodes := len(p.nodes)
	for _, n := range p.names {
		if n.unresolved() != nil {
			nodes++
		}
	}
	return p.config().MaxScans * nodes
}

// status returns the state of a name. The caller holds pool.mu.
func (n *name) status() NameStatus {
	s := NameStatus{Address: bounded(n.Address), Nodes: len(n.wanted), NotUsed: n.dropped, Answered: n.answered, Next: n.next, Failures: n.failures}
	if n.err != nil {
		s.Reason, s.FailingSince = shortened(n.err.Error(), maxReason), n.failing
	}
	return s
}

// state is the state of the node that stands for a name without one.
func (n *name) state() string {
	if n.known {
		return health.Down.String()
	}
	return health.Unknown.String()
}
