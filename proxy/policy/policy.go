// Package policy merges the engines' reports into one verdict.
//
// Engines report categories; the site's policy decides what to do about them. Merging is
// one pure, total function of the reports and the configuration. It does not depend on the
// order in which engines answered, adding a virus never weakens a verdict, and an unknown
// category is a failure.
package policy

import (
	"maps"
	"regexp"
	"slices"
	"time"

	"polyclam/backends"
)

// Action is what a client should do with the object.
type Action string

// The actions, strictest first.
const (
	Quarantine Action = "quarantine" // answered with FOUND
	Tempfail   Action = "tempfail"   // answered with ERROR
	OK         Action = "ok"         // answered with OK
)

// Valid reports whether a is one of the three actions.
func (a Action) Valid() bool { return a == Quarantine || a == Tempfail || a == OK }

// Stricter reports whether a is stricter than b: quarantine before tempfail
// before ok. An action that is not valid counts as Tempfail, never as OK.
func (a Action) Stricter(b Action) bool { return a.strictness() > b.strictness() }

func (a Action) strictness() int {
	switch a {
	case Quarantine:
		return 2
	case OK:
		return 0
	}
	return 1
}

// Mode is the rule that selects a verdict's action.
type Mode string

// The modes of [policy] action.
const (
	Strictest  Mode = "strictest" // the strictest action among all reports that count
	ByCategory Mode = "category"  // the action of the winning category
)

// Rule maps signature names to a category. It is a [[rule]] table.
type Rule struct {
	Engine   string // empty: all engines
	Name     *regexp.Regexp
	Category backends.Category
}

// Policy decides what a site does about the engines' reports. It must not be changed once
// in use, and is then safe for concurrent use.
type Policy struct {
	Precedence []backends.Category          // all nine, strongest first
	Actions    map[backends.Category]Action // all nine
	Mode       Mode
	// AnswerFirst is first_virus = "answer": a scan may end before every engine has
	// answered, see [Policy.Settled].
	AnswerFirst bool
	Rules       []Rule

	sources map[backends.Category]string // of the actions that are not the default
}

// Default returns the policy of a site that configures none. The caller owns it and may
// change it before it is used.
func Default() *Policy {
	p := &Policy{
		Precedence:  backends.Categories(),
		Actions:     make(map[backends.Category]Action, len(backends.Categories())),
		Mode:        Strictest,
		AnswerFirst: true,
	}
	for _, c := range p.Precedence {
		p.Actions[c] = defaultAction(c)
	}
	return p
}

// defaultAction is the table of default actions.
func defaultAction(c backends.Category) Action {
	switch c {
	case backends.Virus, backends.Suspicious:
		return Quarantine
	case backends.Encrypted, backends.Partial, backends.OK:
		return OK
	}
	return Tempfail
}

// WithActions returns a copy of p in which the actions in over replace p's own. Validate it
// again: an action that is right in one mode can be wrong in another.
func (p *Policy) WithActions(over map[backends.Category]Action) *Policy {
	return p.WithActionsFrom("", over)
}

// WithActionsFrom is WithActions for actions from the given source, such as
// "[policy.actions]", which [Policy.Reason] names.
func (p *Policy) WithActionsFrom(source string, over map[backends.Category]Action) *Policy {
	q := *p
	q.Precedence = slices.Clone(p.Precedence)
	q.Rules = slices.Clone(p.Rules)
	q.Actions = make(map[backends.Category]Action, len(p.Actions)+len(over))
	maps.Copy(q.Actions, p.Actions)
	maps.Copy(q.Actions, over)
	q.sources = make(map[backends.Category]string, len(p.sources)+len(over))
	maps.Copy(q.sources, p.sources)
	for c := range over {
		q.sources[c] = source
	}
	return &q
}

// rank is a category's place in the precedence, 0 for the strongest. OK is the weakest
// whatever the precedence says, so that no policy, valid or not, lets one engine's OK hide
// another engine's finding. c must be valid.
func (p *Policy) rank(c backends.Category) int {
	all := len(p.Precedence) + len(backends.Categories())
	if c == backends.OK {
		return all
	}
	if i := slices.Index(p.Precedence, c); i >= 0 {
		return i
	}
	return len(p.Precedence) + slices.Index(backends.Categories(), c)
}

// action is the site's action for c, or the default if that is missing or not valid. The
// action for OK is always OK.
func (p *Policy) action(c backends.Category) Action {
	if a := p.Actions[c]; a.Valid() && c != backends.OK {
		return a
	}
	return defaultAction(c)
}

// known returns c, or SWErr if c is not one of the nine categories.
func known(c backends.Category) backends.Category {
	if c.Valid() {
		return c
	}
	return backends.SWErr
}

// Report is the outcome of one engine in one scan: a result, an error, or both.
type Report struct {
	Engine   string
	Required bool
	Result   backends.Result // what was found; with Err it may be empty
	Err      error           // why the engine did not finish
	Node     string          // address of the node that was asked last; may be empty
	Elapsed  time.Duration
	// Cancelled says that the scan was cancelled because the verdict could not change
	// any more. The report is for the log and does not count.
	Cancelled bool
	// Cached says where the result came from if no engine was asked for it now: "memory",
	// "shared" or "joined", see [polyclam/proxy/cache.Source]; empty: the engine was asked.
	Cached string
	// CachedAge is how long ago an engine gave a cached result.
	CachedAge time.Duration
}

// Detail is the report in words, raw: the engine's own message and the text of the error.
func (r Report) Detail() string {
	switch {
	case r.Err == nil:
		return r.Result.Detail
	case r.Result.Detail == "":
		return r.Err.Error()
	}
	return r.Result.Detail + "; " + r.Err.Error()
}

// Judged is a report with the policy's judgement of it.
type Judged struct {
	Report
	Category backends.Category // the strongest, after the rules
	Action   Action            // for Category; in mode Strictest the strictest for all categories in the report
	Code     int               // the engine's own, backends.NoCode if it has none
	// Failure is the strongest failure in the report, which may also have findings;
	// empty: the engine did not fail.
	Failure backends.Category
	// Names are the raw names, strongest category first, otherwise in the engine's
	// order. Names that a rule maps to OK are in Ruled instead.
	Names []string
	// Ruled are the findings that matched a rule.
	Ruled []Ruled
	// Counts is false for a cancelled report, and for a failure of an optional engine
	// if another engine answered.
	Counts bool
}

// Ruled is a finding that matched a [[rule]].
type Ruled struct {
	Name     string            // raw
	Category backends.Category // the rule's
	Rule     string            // its regular expression
}

// Passed reports whether the rule let the finding pass.
func (r Ruled) Passed() bool { return r.Category == backends.OK }

// Verdict is the merged answer of a scan. (Code, Category, Action) is the
// triple of MIMEDefang.
type Verdict struct {
	Code     int
	Category backends.Category
	Action   Action
	Engine   string   // the winner; empty if no engine looked
	Names    []string // the winner's names, raw
	Detail   string   // the winner's, see [Report.Detail]
	ActionBy string   // the engine that demanded the action: the winner if it did
	// Cause is the category that demanded the action. It differs from Category if, for
	// example, one engine found an encrypted part and another failed.
	Cause   backends.Category
	Reports []Judged // in the order of the configuration
	// Container is the object's format by its first bytes, "zip" or "pdf". It names an
	// encrypted object if no engine gave a name. The caller of Merge sets it; empty:
	// unknown.
	Container string
}
