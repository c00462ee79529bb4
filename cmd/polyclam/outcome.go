package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy/policy"
)

// outcome is the result for one object. Its JSON is documented in docs/operations.md.
type outcome struct {
	Type     string            `json:"type"` // "file"
	File     string            `json:"file"`
	Bytes    []byte            `json:"file_bytes,omitempty"` // the name if it is not UTF-8
	Size     int64             `json:"size"`                 // bytes scanned, or sent
	Category backends.Category `json:"category"`
	Action   policy.Action     `json:"action"`
	Code     int               `json:"code"`
	Engine   string            `json:"engine,omitempty"`
	ActionBy string            `json:"action_by,omitempty"` // the engine that required the action, if not Engine
	Name     string            `json:"name,omitempty"`
	Error    string            `json:"error,omitempty"` // why there is no verdict
	Elapsed  millis            `json:"elapsed"`         // seconds, including waits
	Engines  []answer          `json:"engines"`
}

// answer is the result of one engine, from an ENGINE record.
type answer struct {
	Engine    string            `json:"engine"`
	Category  backends.Category `json:"category"`
	Failure   backends.Category `json:"failure,omitempty"` // in addition to the findings
	Action    policy.Action     `json:"action"`
	Code      int               `json:"code"`
	Elapsed   millis            `json:"elapsed"`
	Names     []string          `json:"names"`
	NameCount int               `json:"name_count"` // the server sends eight names at most
	Passed    []passed          `json:"passed,omitempty"`
	Node      string            `json:"node,omitempty"`
	Message   string            `json:"message,omitempty"`
	Required  bool              `json:"required"`
	Counts    bool              `json:"counts"`
	Cancelled bool              `json:"cancelled"`
}

// passed is a finding that a [[rule]] let pass.
type passed struct {
	Name string `json:"name"`
	Rule string `json:"rule"` // its regular expression
}

// millis is a number of seconds, encoded with three decimals.
type millis float64

// MarshalJSON implements [json.Marshaler].
func (m millis) MarshalJSON() ([]byte, error) { return []byte(seconds(float64(m))), nil }

var _ json.Marshaler = millis(0)

func newOutcome(name string) outcome {
	o := outcome{Type: "file", File: name, Code: backends.NoCode, Engines: []answer{}}
	if !utf8.ValidString(name) {
		o.Bytes = []byte(name)
	}
	return o
}

// fail records why there is no verdict.
func (o *outcome) fail(category backends.Category, text string) {
	o.Category, o.Action, o.Error = category, policy.Tempfail, text
}

// exit returns the exit status for this object alone.
func (o *outcome) exit() int {
	switch {
	case o.Category == backends.Virus, o.Category == backends.Suspicious, o.Action == policy.Quarantine:
		return exitFound
	case o.Error != "", o.Category.IsFailure(), o.Action != policy.OK, slices.ContainsFunc(o.Engines, answer.failed):
		return exitFailed
	case o.Category == backends.Encrypted:
		return exitEncrypted
	case o.Category == backends.Partial:
		return exitPartial
	}
	return exitOK
}

// readReply sets the verdict of an extended reply. err is not nil if its status line is
// neither OK nor FOUND.
func (o *outcome) readReply(reply protocol.ExtendedReply, err error) {
	var summary *extended.Summary
	for _, r := range reply.Records {
		switch r.Word {
		case extended.WordEngine:
			e, _ := r.Engine() // without a code it has NoCode
			o.Engines = append(o.Engines, newAnswer(e))
		case extended.WordSummary:
			s, _ := r.Summary()
			summary = &s
		}
	}
	switch {
	case err != nil && (summary == nil || !errors.As(err, new(*protocol.ReplyError))):
		o.fail(failureCategory(err), failureText(err))
	case summary == nil:
		o.fail(backends.SWErr, "the reply has no summary: "+reply.String())
	case summary.Version != extended.Version:
		o.fail(backends.SWErr, fmt.Sprintf("the reply has version %d, but this tool supports only version %d", summary.Version, extended.Version))
	default:
		o.readSummary(reply.Reply, summary)
	}
}

// readSummary takes the verdict from the summary. A summary that contradicts the status line,
// or has unknown words, is a failure, or suspicious if one of them reports a finding.
func (o *outcome) readSummary(reply protocol.Reply, summary *extended.Summary) {
	o.Category = backends.Category(summary.Category)
	o.Action = policy.Action(summary.Action)
	o.Code = summary.Code
	o.Engine, o.ActionBy = summary.Engine, summary.ActionBy
	if !o.Category.Valid() || !o.Action.Valid() || reply.OK() != (o.Action == policy.OK) {
		found := o.Action == policy.Quarantine || reply.Found()
		o.fail(backends.SWErr, fmt.Sprintf("the reply contradicts itself: %s, but category %s, action %s", reply, o.Category, o.Action))
		if found {
			o.Category, o.Action = backends.Suspicious, policy.Quarantine
		}
		return
	}
	for _, a := range o.Engines {
		if a.Engine == o.Engine && len(a.Names) > 0 {
			o.Name = a.Names[0]
			break
		}
	}
}

// newAnswer converts an ENGINE record. An unknown category or action is a failure.
func newAnswer(e extended.Engine) answer {
	a := answer{
		Engine:    e.Engine,
		Category:  backends.Category(e.Category),
		Failure:   backends.Category(e.Failure),
		Action:    policy.Action(e.Action),
		Code:      e.Code,
		Elapsed:   millis(e.Elapsed.Seconds()),
		Names:     append([]string{}, e.Names...),
		NameCount: int(e.NameCount),
		Node:      e.Node,
		Message:   e.Message,
		Required:  e.Required,
		Counts:    e.Counts,
		Cancelled: e.Cancelled,
	}
	for _, p := range e.Passed {
		a.Passed = append(a.Passed, passed(p))
	}
	if !a.Category.Valid() {
		a.Category = backends.SWErr
	}
	if a.Failure != "" && !a.Failure.IsFailure() {
		a.Failure = backends.SWErr
	}
	if !a.Action.Valid() {
		a.Action = policy.Tempfail
	}
	return a
}

// failed reports whether the engine counts and failed in addition to its findings.
func (a answer) failed() bool { return a.Failure != "" && a.Counts && !a.Cancelled }

// readPlainReply sets the verdict of a plain clamd. The category follows from the name,
// the action from FOUND.
func (o *outcome) readPlainReply(reply protocol.Reply, err error) {
	switch {
	case err != nil:
		o.fail(failureCategory(err), failureText(err))
	case reply.Found():
		o.Category, o.Action, o.Code, o.Name = backends.NameCategory(reply.Text), policy.Quarantine, 1, reply.Text
	default:
		o.Category, o.Action, o.Code = backends.OK, policy.OK, 0
	}
}

// failureCategory returns the category of a scan's error.
func failureCategory(err error) backends.Category {
	switch {
	case errors.Is(err, protocol.ErrInstreamLimit):
		return backends.Partial
	case errors.Is(err, protocol.ErrNoReply), errors.Is(err, protocol.ErrBrokenReply),
		errors.Is(err, protocol.ErrCommandTimeout), errors.Is(err, errTimeout):
		return backends.Interrupted
	}
	return backends.CategoryOf(err)
}

// failureText rewords an error for the operator.
func failureText(err error) string {
	var answer *protocol.ReplyError
	switch {
	case errors.Is(err, protocol.ErrInstreamLimit):
		return "larger than the stream limit (polyclam: limits.stream, clamd: StreamMaxLength), which does not apply over a Unix socket"
	case errors.Is(err, protocol.ErrNoReply), errors.Is(err, protocol.ErrBrokenReply):
		return "the server closed the connection before the verdict: " + err.Error()
	case errors.As(err, &answer):
		return "the server answered: " + answer.Reply.String()
	}
	return err.Error()
}
