package polyclam

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"polyclam/backends"
	"polyclam/protocol"
)

// The words of the records, and the one version of them that this package knows.
const (
	wordEngine  = "ENGINE"
	wordSummary = "SUMMARY"
	version     = "1"
)

const maxCode = 1<<31 - 1

var errRecords = errors.New("records that do not go together")

// engineRecord is an ENGINE record.
type engineRecord struct {
	name     string
	category backends.Category
	code     int
	names    []string
	message  string
	counts   bool
	failure  backends.Category // beside the findings; empty: none
}

// collect adds a status line and its records to the answer. All records must be about
// the object of the status line. There must be one SUMMARY, with the number of ENGINE
// records. Records and fields of later versions are ignored.
func collect(a *backends.Answer, reply protocol.Reply, records []protocol.Record) {
	var engines []engineRecord
	var summaries []protocol.Record
	for _, r := range records {
		switch {
		case r.Object != reply.Object:
			misfit(a, "one is about %.100q", r.Object)
		case r.Word == wordEngine:
			e, err := parseEngine(r)
			a.Fail(err)
			engines = append(engines, e)
		case r.Word == wordSummary:
			summaries = append(summaries, r)
		}
	}
	if len(summaries) != 1 {
		misfit(a, "%d %s records", len(summaries), wordSummary)
		summaries = append(summaries, protocol.Record{})[:1]
	}
	winner := summaries[0].Get("engine")
	engines = slices.DeleteFunc(engines, func(e engineRecord) bool { return e.category == "" })
	slices.SortStableFunc(engines, func(a, b engineRecord) int { return before(a, b, winner) })
	for _, e := range engines {
		if e.counts {
			e.add(a)
		}
	}
	summarise(a, reply, summaries[0], engines)
	if n := summaries[0].Get("engines"); n != strconv.Itoa(len(engines)) {
		misfit(a, "%.20q engines in %s, %d records", n, wordSummary, len(engines))
	}
}

func misfit(a *backends.Answer, format string, args ...any) {
	a.Fail(fmt.Errorf("%w: "+format, append([]any{errRecords}, args...)...))
}

// before sorts engines: the strongest first, and the winner before its equals.
func before(a, b engineRecord, winner string) int {
	switch {
	case backends.Stronger(a.category, b.category):
		return -1
	case backends.Stronger(b.category, a.category):
		return 1
	case a.name == winner && b.name != winner:
		return -1
	case b.name == winner && a.name != winner:
		return 1
	}
	return 0
}

func parseEngine(r protocol.Record) (engineRecord, error) {
	e := engineRecord{name: r.Get("engine"), message: r.Get("msg"), counts: r.Get("counts") != "no" && r.Get("cancelled") != "yes"}
	for _, f := range r.Fields {
		if (f.Key == "name" || f.Key == "also") && f.Value != "" {
			e.names = append(e.names, f.Value)
		}
	}
	if e.failure = backends.Category(r.Get("failure")); e.failure != "" && !e.failure.IsFailure() {
		e.failure = backends.SWErr
	}
	var err error
	e.category, e.code, err = verdict(r)
	return e, err
}

// verdict is category and code of a record.
func verdict(r protocol.Record) (backends.Category, int, error) {
	category := backends.Category(r.Get("category"))
	code, err := strconv.Atoi(r.Get("code"))
	if !category.Valid() || err != nil || code < -maxCode || code > maxCode {
		return "", 0, fmt.Errorf("%w: category %.20q, code %.20q", errRecords, category, r.Get("code"))
	}
	return category, code, nil
}

// add adds the findings and the failure of an engine. The category of the record is
// that of its first name; no other name gets a stronger one.
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
	case len(e.names) == 0:
		a.Add(e.category, e.code, e.message)
	}
	for i, name := range e.names {
		category := e.category
		if c := backends.NameCategory(name); i > 0 && backends.Stronger(category, c) {
			category = c
		}
		a.Named(category, e.code, name, e.message)
	}
}

// fail adds a failure of the engine, in the words of the other side.
func (e engineRecord) fail(a *backends.Answer, category backends.Category) {
	text := e.message
	if text == "" {
		text = "no answer"
	}
	if e.name != "" {
		text = e.name + ": " + text
	}
	a.Add(category, e.code, text)
}

// summarise checks the SUMMARY, which follows the other site's policy, against the
// engines that count: its category must be that of one of them, and OK only if all are
// OK.
func summarise(a *backends.Answer, reply protocol.Reply, summary protocol.Record, engines []engineRecord) {
	if v := summary.Get("version"); v != version && summary.Word != "" {
		misfit(a, "version %.20q, want %q", v, version)
	}
	s := engineRecord{name: summary.Get("engine")}
	var err error
	if s.category, s.code, err = verdict(summary); err != nil {
		a.Fail(err)
		return
	}
	for _, e := range engines {
		if e.name == s.name && s.message == "" {
			s.message = e.message
		}
	}
	others := func(e engineRecord) bool { return e.counts && e.category != s.category }
	said := slices.ContainsFunc(engines, func(e engineRecord) bool { return e.counts && e.category == s.category })
	switch {
	case s.category == backends.OK:
		if !said || slices.ContainsFunc(engines, others) || !reply.OK() || summary.Get("action") != "ok" {
			misfit(a, "an ok that is none")
		}
		a.Add(backends.OK, s.code, "")
	case said:
	case s.category.IsFailure():
		s.fail(a, s.category)
	default:
		misfit(a, "%s by no engine", s.category)
		a.Add(s.category, s.code, s.message)
	}
}

// terse says what an answer without records means. A text that is not here is
// SWErr.
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

// explain adds what the other side says without records.
func explain(a *backends.Answer, words *protocol.ReplyError) {
	text := words.Reply.Text
	if errors.Is(words, protocol.ErrInstreamLimit) {
		a.Refuse(backends.NoCode, text)
		return
	}
	failure := &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: fmt.Sprintf("%.300s", text)}
	for _, t := range terse {
		if !errors.Is(words, t.err) {
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
