package replay

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/rs/xid"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/proxy/printable"
)

// A Scan is a line "scanned" of polyclamd. Texts are as in the log, where polyclamd has
// escaped them.
type Scan struct {
	ID       string
	Tag      string // the client's own id; may be empty
	Time     time.Time
	Listener string
	Object   string
	Verdict  Verdict

	engines map[string]*report // by the escaped name
}

// A Verdict is the part of a verdict that the log line has.
type Verdict struct {
	Category backends.Category `json:"category"`
	Action   policy.Action     `json:"action"`
	Engine   string            `json:"engine,omitempty"`
	Name     string            `json:"name,omitempty"`
}

// A report is what the log has of one engine.
type report struct {
	policy.Report
	cut bool // names are missing or incomplete
}

// ErrOther means that a line is not about a scan.
var ErrOther = errors.New("not the line of a scan")

// errIncomplete is the reason for a line without what is needed to judge the scan.
var errIncomplete = errors.New("the line is incomplete")

// line is a log line. polyclamd writes it in proxy/audit.go and proxy/reported.go.
type line struct {
	Message   string                 `json:"message"`
	ID        string                 `json:"id"`
	Tag       string                 `json:"tag"`
	Time      string                 `json:"time"`
	Listener  string                 `json:"listener"`
	Object    string                 `json:"object"`
	Category  backends.Category      `json:"category"`
	Action    policy.Action          `json:"action"`
	Engine    string                 `json:"engine"`
	Names     []string               `json:"names"`
	Engines   map[string]*engineLine `json:"engines"`
	Shortened bool                   `json:"shortened"`
}

type engineLine struct {
	Category  backends.Category `json:"category"`
	Names     []string          `json:"names"`
	Failure   backends.Category `json:"failure"`
	Cancelled bool              `json:"cancelled"`

	// Present if the fields above do not say everything.
	Findings []findingLine       `json:"findings"`
	LeftOut  int                 `json:"findings_left_out"`
	Reported backends.Category   `json:"reported"`
	Failures []backends.Category `json:"failures"`
}

type findingLine struct {
	Category backends.Category `json:"category"`
	Name     string            `json:"name"`
}

// Parse reads a log line. The error is [ErrOther] if it is not about a scan.
func Parse(text []byte) (*Scan, error) {
	var kind struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &kind) != nil || kind.Message != "scanned" {
		return nil, ErrOther
	}
	var l line
	if json.Unmarshal(text, &l) != nil || !l.Category.Valid() || !l.Action.Valid() || l.Shortened {
		return nil, errIncomplete
	}
	s := &Scan{
		ID: l.ID, Tag: l.Tag, Time: l.time(), Listener: l.Listener, Object: l.Object,
		Verdict: Verdict{Category: l.Category, Action: l.Action, Engine: l.Engine},
		engines: make(map[string]*report, len(l.Engines)),
	}
	if len(l.Names) > 0 {
		s.Verdict.Name = l.Names[0]
	}
	for name, e := range l.Engines {
		if e == nil || !e.valid() {
			return nil, errIncomplete
		}
		s.engines[name] = e.report()
	}
	return s, nil
}

// time is when the line was written, or else when the scan began, which the id has.
func (l *line) time() time.Time {
	if at, err := time.Parse(time.RFC3339Nano, l.Time); err == nil {
		return at
	}
	if id, err := xid.FromString(l.ID); err == nil {
		return id.Time()
	}
	return time.Time{}
}

// valid reports whether all categories are known: others come from another version.
func (e *engineLine) valid() bool {
	ok := e.Category.Valid() && (e.Failure == "" || isFailure(e.Failure)) && (e.Reported == "" || e.Reported.Valid())
	for _, f := range e.Findings {
		ok = ok && f.Category.Valid()
	}
	for _, c := range e.Failures {
		ok = ok && isFailure(c)
	}
	return ok
}

func isFailure(c backends.Category) bool { return c.Valid() && c.IsFailure() }

// report returns the engine's report, as far as a verdict depends on it.
func (e *engineLine) report() *report {
	r := &report{cut: e.LeftOut > 0}
	switch {
	case e.Cancelled:
		r.Cancelled = true
	case len(e.Findings) > 0 || e.Reported != "" || len(e.Failures) > 0:
		r.Result.Category = e.Reported
		for _, f := range e.Findings {
			r.find(f.Category, f.Name)
		}
		r.fail(e.Failures...)
	case e.Category.IsFailure():
		r.fail(e.Category)
	default:
		r.Result.Category = e.Category
		for _, n := range e.Names {
			r.find(e.Category, n)
		}
		if e.Failure != "" {
			r.fail(e.Failure)
		}
	}
	return r
}

// find adds a finding. A result without a category gets that of its
// first finding, so that it adds nothing.
func (r *report) find(c backends.Category, escaped string) {
	name, whole := printable.Unescape(escaped, maxLoggedName)
	r.cut = r.cut || !whole
	r.Result.Findings = append(r.Result.Findings, backends.Finding{Name: name, Category: c})
	if r.Result.Category == "" {
		r.Result.Category = c
	}
}

func (r *report) fail(categories ...backends.Category) {
	var all backends.Failures
	for _, c := range categories {
		all = append(all, &backends.Failure{Category: c, Code: backends.NoCode})
	}
	if len(all) > 0 {
		r.Err = all
	}
}
