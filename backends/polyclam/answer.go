package polyclam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
	"polyclam/protocol"
)

// The words of the records, and the one version of them that this package knows.
const (
	wordEngine  = "ENGINE"
	wordSummary = "SUMMARY"
	version     = "1"
)

// Bounds on what is kept of one answer.
const (
	maxNames     = 1000
	maxName      = 1 << 10
	maxNameBytes = 32 << 10 // of all names
	maxCode      = 1<<31 - 1
)

var errRecords = errors.New("records that do not go together")

// amounts maps an answer.
func (b *Backend) amounts(ctx context.Context, reply protocol.Reply, records []protocol.Record, err error) (backends.Result, error) {
	var answer *protocol.ReplyError
	if err != nil && (len(records) == 0 || !errors.As(err, &answer)) {
		return b.explained(ctx, err)
	}
	a, err := parse(reply, records)
	if err != nil {
		return backends.Result{}, b.wrap(ctx, fmt.Errorf("%w: %.200q", err, reply.String()))
	}
	result, err := a.amounts()
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	return result, nil
}

// answer is an answer with its records taken apart.
type answer struct {
	ok       bool // of the status line
	category backends.Category
	action   string
	code     int
	winner   string // engine
	engines  []engine
}

// engine is what is said of one engine.
type engine struct {
	name     string
	category backends.Category
	code     int
	names    []string
	message  string
	counts   bool
}

// parse takes the records apart. They are about the object of the status line, with
// one SUMMARY, which tells as many engines as there are ENGINE records. Other records
// and other fields are of later versions and say nothing to us.
func parse(reply protocol.Reply, records []protocol.Record) (answer, error) {
	a := answer{ok: reply.OK()}
	summaries := 0
	count := ""
	for _, r := range records {
		if r.Object != reply.Object {
			return a, fmt.Errorf("%w: one is about %.100q", errRecords, r.Object)
		}
		var err error
		switch r.Word {
		case wordEngine:
			var e engine
			if e, err = parseEngine(r); err == nil {
				a.engines = append(a.engines, e)
			}
		case wordSummary:
			summaries++
			a.action, a.winner, count = r.Get("action"), r.Get("engine"), r.Get("engines")
			if v := r.Get("version"); v != version {
				return a, fmt.Errorf("%w: version %.20q, want %q", errRecords, v, version)
			}
			a.category, a.code, err = verdict(r)
		}
		if err != nil {
			return a, err
		}
	}
	if summaries != 1 || count != strconv.Itoa(len(a.engines)) {
		return a, fmt.Errorf("%w: %d of %s, %.20q engines of %d", errRecords, summaries, wordSummary, count, len(a.engines))
	}
	return a, nil
}

func parseEngine(r protocol.Record) (engine, error) {
	e := engine{name: r.Get("engine"), message: r.Get("msg"), counts: r.Get("counts") != "no" && r.Get("cancelled") != "yes"}
	for _, f := range r.Fields {
		if (f.Key == "name" || f.Key == "also") && f.Value != "" && len(e.names) < maxNames {
			e.names = append(e.names, wire.Clip(f.Value, maxName))
		}
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

// order is the one in which what is said of several engines counts here. All failures
// stand at one place, before what lets a content pass.
var order = []backends.Category{backends.Virus, backends.Suspicious, backends.SWErr, backends.Encrypted, backends.Partial, backends.OK}

func rank(c backends.Category) int {
	if c.IsFailure() {
		c = backends.SWErr
	}
	return slices.Index(order, c)
}

// amounts says what it all amounts to: what the SUMMARY says, unless an engine that
// counts says what this site has to know first.
func (a answer) amounts() (backends.Result, error) {
	w := engine{name: a.winner, category: a.category, code: a.code}
	for _, e := range a.engines {
		if e.name == a.winner && w.message == "" {
			w.message = e.message
		}
	}
	for _, e := range a.engines {
		if e.counts && rank(e.category) < rank(w.category) {
			w = e
		}
	}
	switch {
	case w.category.IsFailure():
		return backends.Result{}, w.failure()
	case w.category == backends.OK:
		return a.clean()
	}
	r := backends.Result{Category: w.category, Code: w.code, Detail: wire.Clip(w.message, wire.MaxDetail)}
	r.Findings = a.findings(w)
	return r, nil
}

// failure is the engine's failure, in the words of the other side.
func (e engine) failure() error {
	text := e.message
	if text == "" {
		text = "no answer"
	}
	if e.name != "" {
		text = e.name + ": " + text
	}
	return &backends.Failure{Category: e.category, Code: e.code, Text: wire.Clip(text, wire.MaxDetail)}
}

// clean is an ok, if nothing speaks against it.
func (a answer) clean() (backends.Result, error) {
	looked := false
	for _, e := range a.engines {
		looked = looked || e.counts && e.category == backends.OK
	}
	if !a.ok || a.action != "ok" || !looked {
		return backends.Result{}, fmt.Errorf("%w: an ok that is none", errRecords)
	}
	return backends.Clean(a.code), nil
}

// findings are the names of all engines that count and found something, those of w
// first. What an engine's record says of its names holds for the first; none of the
// others is stronger.
func (a answer) findings(w engine) []backends.Finding {
	var all []backends.Finding
	size := 0
	add := func(e engine) {
		for i, name := range e.names {
			f := backends.Finding{Name: name, Category: e.category}
			if c := backends.NameCategory(name); i > 0 && backends.Stronger(e.category, c) {
				f.Category = c
			}
			if size += len(name); len(all) < maxNames && size <= maxNameBytes {
				all = append(all, f)
			}
		}
	}
	first := -1
	for i, e := range a.engines {
		if e.name == w.name && e.category == w.category && e.counts {
			first = i
			add(e)
			break
		}
	}
	for i, e := range a.engines {
		if i != first && e.counts && !e.category.IsFailure() && e.category != backends.OK {
			add(e)
		}
	}
	return all
}

// terse says what an answer without records amounts to. A text that is not here is
// SWErr.
var terse = []struct {
	err      error
	category backends.Category
	hint     string
}{
	{protocol.ErrInstreamLimit, backends.Partial, ""},
	{protocol.ErrCommandTimeout, backends.Interrupted, ""},
	{protocol.ErrUnknownCommand, backends.SWErr, hintClamd},
	{protocol.ErrCommandUnavailable, backends.SWErr, hintUnavailable},
}

const (
	hintClamd       = `this is no polyclam, but perhaps a plain clamd: use backend = "clamd" for it`
	hintUnavailable = `the command is switched off there, see reload_command`
)

// explained maps an answer without records, and the end of the connection.
func (b *Backend) explained(ctx context.Context, err error) (backends.Result, error) {
	var answer *protocol.ReplyError
	if !errors.As(err, &answer) {
		if errors.Is(err, protocol.ErrNoReply) {
			err = fmt.Errorf("%w: %w", backends.ErrNoReply, err)
		}
		return backends.Result{}, b.wrap(ctx, err)
	}
	text := wire.Clip(answer.Reply.Text, wire.MaxDetail)
	for _, t := range terse {
		if !errors.Is(err, t.err) {
			continue
		}
		if t.category == backends.Partial {
			return backends.Result{Category: t.category, Code: backends.NoCode, Detail: text}, nil
		}
		err := error(&backends.Failure{Category: t.category, Code: backends.NoCode, Text: text})
		if t.hint != "" {
			err = fmt.Errorf("%w (%s)", err, t.hint)
		}
		return backends.Result{}, b.wrap(ctx, err)
	}
	return backends.Result{}, b.wrap(ctx, &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: text})
}
