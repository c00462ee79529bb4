package extended

import (
	"slices"
	"time"
)

// statusObject is the object of the records of XSTATUS.
const statusObject = "status"

// Server is a SERVER record: the state of polyclamd. Its JSON keys are the record's.
type Server struct {
	Version string `json:"version"`
	Uptime  int64  `json:"uptime"` // seconds
	About
	Connections int64 `json:"connections"`
	Scans       int64 `json:"scans"` // in progress
	Requests    int64 `json:"requests"`
	SpoolUsed   int64 `json:"spool_used"`  // bytes
	SpoolTotal  int64 `json:"spool_total"` // bytes; 0: no limit
	// The runs of the program of [on_find], and the findings without a run because the
	// program was too slow.
	FindRuns     int64 `json:"find_runs,omitempty"`
	FindFailures int64 `json:"find_failures,omitempty"`
	FindDropped  int64 `json:"find_dropped,omitempty"`
	Draining     bool  `json:"draining,omitempty"` // it serves clients, but is about to stop
	// Brief is set if the listener reports states and counts only: no addresses, reasons,
	// versions, files and users.
	Brief bool `json:"brief,omitempty"`

	CacheState
	Refusals
}

func (s *Server) fields() []field {
	own := []field{
		text("version", &s.Version),
		number("uptime", &s.Uptime),
		number("connections", &s.Connections),
		number("scans", &s.Scans),
		number("requests", &s.Requests),
		number("spool_used", &s.SpoolUsed),
		number("spool_total", &s.SpoolTotal),
		count("find_runs", 0, &s.FindRuns),
		count("find_failures", 0, &s.FindFailures),
		count("find_dropped", 0, &s.FindDropped),
		flag("draining", &s.Draining, "true", ""),
		flag("brief", &s.Brief, "true", ""),
	}
	return slices.Concat(own, s.CacheState.fields(), s.About.fields(), s.Refusals.fields())
}

// Record returns s as a record.
func (s Server) Record() Record {
	return write(statusObject, WordServer, s.fields())
}

// Server reads a SERVER record.
func (r Record) Server() (s Server) {
	read(r, s.fields())
	return s
}

// Node is a NODE record: the state of one node of an engine. Its JSON keys
// are the record's.
type Node struct {
	Engine   string `json:"engine"`
	Backend  string `json:"backend"`
	Required bool   `json:"required"` // true if missing
	// Mode is observe or off; empty: on. ConfiguredMode is the one in the configuration;
	// empty: the same.
	Mode           string `json:"mode,omitempty"`
	ConfiguredMode string `json:"configured_mode,omitempty"`
	Drained        bool   `json:"drained,omitempty"` // by an administrator: it gets no new scans
	Address        string `json:"address,omitempty"`
	// FoundAs is the configured name that the address was found by; empty: the address itself is
	// configured. NameAge is how many seconds ago the name was last answered completely,
	// NameNext in how many seconds it is looked up again (0: now), NameNotUsed how many
	// addresses it has beyond max_nodes, NameFailures how many lookups failed since the start,
	// and NameReason what is wrong with the last one.
	FoundAs      string `json:"name,omitempty"`
	NameAge      int64  `json:"name_age,omitempty"`
	NameNext     int64  `json:"name_next,omitempty"`
	NameNotUsed  int64  `json:"name_not_used,omitempty"`
	NameFailures int64  `json:"name_failures,omitempty"`
	NameReason   string `json:"name_reason,omitempty"`
	State        string `json:"state"` // up, down, unknown or reloading
	Reason       string `json:"reason,omitempty"`
	InFlight     int64  `json:"in_flight"`
	// Limit is the number of concurrent scans the node gets, if it is lower than
	// max_scans.
	Limit   int64 `json:"limit,omitempty"`
	Waiting int64 `json:"waiting"` // scans that wait for a slot at any node of the engine
	// Withheld is the number of objects that the engine does not get for a while because
	// it died or hung on them.
	Withheld  int64  `json:"withheld,omitempty"`
	Scans     int64  `json:"scans"`
	Failures  int64  `json:"failures"`
	Replays   int64  `json:"replays"`
	Hedges    int64  `json:"-"` // of the engine
	HedgesWon int64  `json:"-"` // of the engine
	Version   string `json:"version,omitempty"`

	// The database and the last health check.
	DatabaseTime time.Time `json:"database_time,omitzero"`
	Stale        bool      `json:"stale,omitempty"` // the database is older than max_signature_age
	// OlderThan is the address of another node with newer signatures, if those of this one
	// are older by much; OlderBy is by how much, in seconds.
	OlderThan string `json:"older_than,omitempty"`
	OlderBy   int64  `json:"older_by,omitempty"`
	// The objects that the engine was observed with: whether its results would have changed
	// the verdicts, and those that it did not get.
	ObservedSame    int64 `json:"observed_same,omitempty"`
	ObservedDiffer  int64 `json:"observed_differ,omitempty"`
	ObservedSkipped int64 `json:"observed_skipped,omitempty"`

	CanaryTime      time.Time `json:"canary_time,omitzero"`
	CanaryClean     string    `json:"canary_clean,omitempty"` // a category
	CanaryEICAR     string    `json:"canary_eicar,omitempty"` // a category
	CanaryName      string    `json:"canary_name,omitempty"`
	CanaryEncrypted string    `json:"canary_encrypted,omitempty"` // a category
	CanaryMail      string    `json:"canary_mail,omitempty"`      // a category
	CanaryError     string    `json:"canary_error,omitempty"`
	// HeuristicsFirst is set if the engine stops at the first heuristic match: its
	// encrypted and partial results count as suspicious.
	HeuristicsFirst bool `json:"heuristics_first,omitempty"`
	// MailUnread is set if the engine finds EICAR in an archive, but not in a mail.
	MailUnread     bool  `json:"mail_unread,omitempty"`
	Scanned        int64 `json:"scanned,omitempty"`         // bytes of the largest object known to be scanned
	UnscannedAbove int64 `json:"unscanned_above,omitempty"` // the engine reports larger objects as ok without a scan
}

func (n *Node) fields() []field {
	return []field{
		text("engine", &n.Engine),
		text("backend", &n.Backend),
		flag("required", &n.Required, "true", "false"),
		text("mode", &n.Mode),
		text("configured_mode", &n.ConfiguredMode),
		flag("drained", &n.Drained, "true", ""),
		text("address", &n.Address),
		text("name", &n.FoundAs),
		count("name_age", 0, &n.NameAge),
		count("name_next", 0, &n.NameNext),
		count("name_not_used", 0, &n.NameNotUsed),
		count("name_failures", 0, &n.NameFailures),
		text("name_reason", &n.NameReason),
		text("state", &n.State),
		text("reason", &n.Reason),
		number("in_flight", &n.InFlight),
		count("limit", 0, &n.Limit),
		number("waiting", &n.Waiting),
		count("withheld", 0, &n.Withheld),
		number("scans", &n.Scans),
		number("failures", &n.Failures),
		number("replays", &n.Replays),
		number("hedges", &n.Hedges),
		number("hedges_won", &n.HedgesWon),
		text("version", &n.Version),
		stamp("database_time", &n.DatabaseTime),
		flag("stale", &n.Stale, "true", ""),
		text("older_than", &n.OlderThan),
		count("older_by", 0, &n.OlderBy),
		count("observed_same", 0, &n.ObservedSame),
		count("observed_differ", 0, &n.ObservedDiffer),
		count("observed_skipped", 0, &n.ObservedSkipped),
		stamp("canary_time", &n.CanaryTime),
		text("canary_clean", &n.CanaryClean),
		text("canary_eicar", &n.CanaryEICAR),
		text("canary_name", &n.CanaryName),
		text("canary_encrypted", &n.CanaryEncrypted),
		text("canary_mail", &n.CanaryMail),
		text("canary_error", &n.CanaryError),
		flag("heuristics_first", &n.HeuristicsFirst, "true", ""),
		flag("mail_unread", &n.MailUnread, "true", ""),
		count("scanned", 0, &n.Scanned),
		count("unscanned_above", 0, &n.UnscannedAbove),
	}
}

// Record returns n as a record.
func (n Node) Record() Record { return write(statusObject, WordNode, n.fields()) }

// Node reads a NODE record.
func (r Record) Node() (n Node) {
	read(r, n.fields())
	return n
}
