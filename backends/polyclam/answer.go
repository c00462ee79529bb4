package polyclam

import (
	"errors"
	"fmt"
	"slices"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/protocol/extended"
)

var errRecords = errors.New("inconsistent records")

// engineRecord is an ENGINE record with checked categories.
type engineRecord struct {
	extended.Engine
	category backends.Category
	failure  backends.Category // in addition to the findings; empty: none
	counts   bool
}

// collect adds a status line and its records to the answer. All records must be about the
// status line's object, and there must be one SUMMARY with the right number of ENGINE
// records. Records and fields of later versions are ignored.
func collect(a *backends.Answer, reply protocol.ExtendedReply) {
	var engines []engineRecord
	var summaries []extended.Record
	for _, r := range reply.Records {
		switch {
		case r.Object != reply.Object:
			inconsistent(a, "one is about %.100q", r.Object)
		case r.Word == extended.WordEngine:
			e, err := parseEngine(r)
			if err != nil {
				a.Fail(err)
				continue
			}
			engines = append(engines, e)
		case r.Word == extended.WordSummary:
			summaries = append(summaries, r)
		}
	}
	if len(summaries) != 1 {
		inconsistent(a, "%d %s records", len(summaries), extended.WordSummary)
	}
	var summary extended.Summary
	var err error
	if len(summaries) > 0 {
		summary, err = summaries[0].Summary()
	}
	slices.SortStableFunc(engines, func(a, b engineRecord) int { return compare(a, b, summary.Engine) })
	for _, e := range engines {
		if e.counts {
			e.add(a)
		}
	}
	if len(summaries) == 0 {
		return
	}
	if summary.Version != extended.Version {
		inconsistent(a, "%s has version %d, want %d", extended.WordSummary, summary.Version, extended.Version)
	}
	if summary.Engines != int64(len(engines)) {
		inconsistent(a, "%d engines in %s, %d records", summary.Engines, extended.WordSummary, len(engines))
	}
	if err = check(summary.Category, err); err != nil {
		a.Fail(err)
		return
	}
	checkSummary(a, reply.Reply, summary, engines)
}

func inconsistent(a *backends.Answer, format string, args ...any) {
	a.Fail(fmt.Errorf("%w: "+format, append([]any{errRecords}, args...)...))
}

// compare sorts engines: the strongest first, and the winner before its equals.
func compare(a, b engineRecord, winner string) int {
	switch {
	case backends.Stronger(a.category, b.category):
		return -1
	case backends.Stronger(b.category, a.category):
		return 1
	case a.Engine.Engine == winner && b.Engine.Engine != winner:
		return -1
	case b.Engine.Engine == winner && a.Engine.Engine != winner:
		return 1
	}
	return 0
}

func parseEngine(r extended.Record) (engineRecord, error) {
	e, err := r.Engine()
	if err = check(e.Category, err); err != nil {
		return engineRecord{}, err
	}
	failure := backends.Category(e.Failure)
	if failure != "" && !failure.IsFailure() {
		failure = backends.SWErr
	}
	return engineRecord{Engine: e, category: backends.Category(e.Category), failure: failure, counts: e.Counts && !e.Cancelled}, nil
}

// check returns an error if a record could not be read or has an unknown category.
func check(category string, err error) error {
	if err == nil && !backends.Category(category).Valid() {
		err = fmt.Errorf("category %.20q", category)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errRecords, err)
	}
	return nil
}

// add adds an engine's findings and failure. The record's category belongs to its first
// name; no other name gets a stronger one.
func (e engineRecord) add(a *backends.Answer) {
	if e.failure != "" {
		e.fail(a, e.failure)
	}
	switch {
	case e.category == backends.OK:
		return
	case e.category.IsFailure():
		e.fail(a, e.category)
		return
	case len(e.Names) == 0:
		a.Add(e.category, e.Code, e.Message)
	}
	for i, name := range e.Names {
		category := e.category
		if c := backends.NameCategory(name); i > 0 && backends.Stronger(category, c) {
			category = c
		}
		a.Named(category, e.Code, name, e.Message)
	}
}

// fail adds an engine's failure, with the other site's text.
func (e engineRecord) fail(a *backends.Answer, category backends.Category) {
	text := e.Message
	if text == "" {
		text = "no answer"
	}
	if e.Engine.Engine != "" {
		text = e.Engine.Engine + ": " + text
	}
	a.Add(category, e.Code, text)
}

// checkSummary checks the SUMMARY, which follows the other site's policy, against the
// engines that count: its category must be one of theirs, and may be OK only if all are.
func checkSummary(a *backends.Answer, reply protocol.Reply, s extended.Summary, engines []engineRecord) {
	category, message := backends.Category(s.Category), ""
	reported, all := false, true
	for _, e := range engines {
		if e.Engine.Engine == s.Engine && message == "" {
			message = e.Message
		}
		if e.counts {
			reported = reported || e.category == category
			all = all && e.category == category
		}
	}
	switch {
	case category == backends.OK:
		if !reported || !all || !reply.OK() || s.Action != "ok" {
			inconsistent(a, "ok is contradicted")
		}
		a.Add(backends.OK, s.Code, "")
	case reported:
	case category.IsFailure():
		winner := engineRecord{Engine: extended.Engine{Engine: s.Engine, Code: s.Code, Message: message}}
		winner.fail(a, category)
	default:
		inconsistent(a, "no engine reported %s", category)
		a.Add(category, s.Code, message)
	}
}

// terse lists the answers without records. Any other answer is SWErr.
var terse = []struct {
	err      error
	category backends.Category
	hint     string
}{
	{protocol.ErrCommandTimeout, backends.Interrupted, ""},
	{protocol.ErrUnknownCommand, backends.SWErr, hintClamd},
	{protocol.ErrCommandUnavailable, backends.SWErr, hintUnavailable},
}

const (
	hintClamd       = `this is no polyclam, but perhaps a plain clamd: use backend = "clamd" for it`
	hintUnavailable = `the command is switched off there, see reload_command`
)

// explain adds an answer without records.
func explain(a *backends.Answer, answer *protocol.ReplyError) {
	text := answer.Reply.Text
	if errors.Is(answer, protocol.ErrInstreamLimit) {
		a.Refuse(backends.NoCode, text)
		return
	}
	failure := &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: fmt.Sprintf("%.300s", text)}
	for _, t := range terse {
		if !errors.Is(answer, t.err) {
			continue
		}
		failure.Category = t.category
		if t.hint != "" {
			a.Fail(fmt.Errorf("%w (%s)", failure, t.hint))
			return
		}
	}
	a.Fail(failure)
}
