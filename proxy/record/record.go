// Package record keeps the records of recent scans in memory, so that an operator can ask
// why an object was refused.
package record

import (
	"time"

	"polyclam/backends"
)

// A Scan is the record of an object that a client asked to scan. Texts are as they came:
// escape them before they are shown. It does not change once it is in a [Ring].
type Scan struct {
	ID       string    `json:"id"`            // that of the log line
	Tag      string    `json:"tag,omitempty"` // the client's own id, such as a queue id; see XTAG
	Time     time.Time `json:"time"`          // of the answer
	Client   string    `json:"client"`
	Listener string    `json:"listener"`
	Command  string    `json:"command"`
	Object   string    `json:"object"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256,omitempty"`

	// NotScanned says why no engine received the object. The verdict is then empty.
	NotScanned string `json:"not_scanned,omitempty"`
	Error      string `json:"error,omitempty"` // more about NotScanned

	Category backends.Category `json:"category,omitempty"`
	Action   string            `json:"action,omitempty"`
	Code     int               `json:"code"`
	Engine   string            `json:"engine,omitempty"`    // whose result won
	ActionBy string            `json:"action_by,omitempty"` // whose result decided the action
	Reason   string            `json:"reason,omitempty"`
	Names    []string          `json:"names,omitempty"`
	Reply    string            `json:"reply,omitempty"` // the status line, if the action is not ok
	Elapsed  time.Duration     `json:"elapsed"`         // nanoseconds
	Engines  []Engine          `json:"engines,omitempty"`
}

// An Engine is what one engine reported about the object of a [Scan].
type Engine struct {
	Engine    string            `json:"engine"`
	Node      string            `json:"node,omitempty"`
	Category  backends.Category `json:"category"`
	Failure   backends.Category `json:"failure,omitempty"` // in addition to a finding
	Names     []string          `json:"names,omitempty"`   // after the rules
	Ruled     []Ruled           `json:"ruled,omitempty"`   // what the rules changed
	Detail    string            `json:"detail,omitempty"`
	Error     string            `json:"error,omitempty"`
	Elapsed   time.Duration     `json:"elapsed"`             // nanoseconds
	Counts    bool              `json:"counts"`              // it had a part in the verdict
	Cancelled bool              `json:"cancelled,omitempty"` // the verdict was settled before it answered
	// Cached is where the result came from if the engine was not asked: "memory", "shared" or
	// "joined". CachedAge is how long ago an engine gave it, in nanoseconds.
	Cached    string        `json:"cached,omitempty"`
	CachedAge time.Duration `json:"cached_age,omitempty"`

	Reported *Reported `json:"-"` // for the log line; a [Ring] does not keep it
}

// A Ruled is a finding that matched a [[rule]]. If the category is ok, the rule let it pass.
type Ruled struct {
	Name     string            `json:"name"`
	Category backends.Category `json:"category"`
	Rule     string            `json:"rule"` // its regular expression
}

// OK reports whether the object was scanned and the action is ok.
func (s *Scan) OK() bool { return s.NotScanned == "" && s.Action == "ok" }
