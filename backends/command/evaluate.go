package command

import (
	"context"
	"fmt"
	"strings"

	"polyclam/backends"
)

// mostStopped bounds the output of a program that was stopped: its context is over,
// and there is no time for all of it.
const mostStopped = 64 << 10

// evaluate makes the answer of a run: everything that the lines say, and everything
// that the exit status says.
func (t *table) evaluate(ctx context.Context, e ending) (backends.Result, error) {
	answer := new(backends.Answer)
	r := &reading{table: t.filled(e.paths), code: e.number(), answer: answer}
	if e.stopped != nil {
		r.findings(split(e.output[:min(len(e.output), mostStopped)]))
		answer.Fail(e.stopped)
		return answer.Result()
	}
	printed := split(e.output)
	if err := r.read(ctx, printed); err != nil {
		return backends.Result{}, err
	}
	r.status(e)
	r.doubts(e, printed)
	r.altered(e.altered)
	return answer.Result()
}

// status adds what the exit status says.
func (r *reading) status(e ending) {
	outcomes := r.table.outcomes(e.code)
	if e.signal != 0 || outcomes[0].unlisted && len(outcomes) == 1 && killedBelow(e.code) {
		r.answer.Fail(&backends.Failure{Category: backends.Interrupted, Code: r.code, Text: r.table.says("%s", killed(e)), Died: true})
		return
	}
	_, listed := r.table.exit[e.code]
	for _, o := range outcomes {
		if o.asks && r.explains(o) || r.has(o.category) {
			continue
		}
		if o.asks && o.category.IsFailure() && listed && r.ok && e.code == 0 {
			o.category = backends.OK // as ok_regex says; another status says that not all went well
		}
		r.answer.Add(o.category, r.code, r.describe(o, e))
	}
}

// explains reports whether the lines say what a "?" asks for. A status that says
// virus is explained by the name of one only: an encrypted member beside it, real
// or forged, does not make it harmless. Nor does it explain a status that is not
// listed, which may mean that the program failed.
func (r *reading) explains(o outcome) bool {
	if o.unlisted || o.category == backends.Virus || o.category == backends.Suspicious {
		return r.disliked
	}
	return r.spoke()
}

// spoke reports whether a line said something about the object or the engine.
func (r *reading) spoke() bool { return r.found || len(r.failures) > 0 }

// describe is the detail of a status.
func (r *reading) describe(o outcome, e ending) string {
	first, _, _ := strings.Cut(strings.TrimSpace(string(e.output)), "\n")
	switch {
	case !o.category.IsFailure():
		return bounded(string(e.output))
	case o.unlisted:
		return r.table.says("ended with exit status %d, which key exit does not list: %s", e.code, quoted(first))
	}
	return r.table.says("ended with exit status %d, which key exit calls %s: %s", e.code, o.category, quoted(first))
}

// doubts adds what keeps an output from being understood, and with it an ok from
// being believed.
func (r *reading) doubts(e ending, printed text) {
	fail := func(format string, args ...any) {
		r.answer.Add(backends.SWErr, r.code, r.table.says(format, args...))
	}
	if e.truncated {
		fail("printed more than %d bytes, the rest was not looked at (key max_output)", len(e.output))
	}
	if printed.long {
		fail("printed a line of more than %d bytes, the rest was not looked at", mostLine)
	}
	if r.table.trusts(e.code) {
		return // whatever is printed, as the site has it
	}
	switch {
	case r.unknownLines > 1:
		fail("ended with exit status %d and printed %d lines that no key explains (error_regex, ignore_regex): %s", e.code, r.unknownLines, quoted(r.unknown))
	case r.unknownLines == 1:
		fail("ended with exit status %d and printed a line that no key explains (error_regex, ignore_regex): %s", e.code, quoted(r.unknown))
	case printed.binary:
		fail("ended with exit status %d and printed bytes that are no text", e.code)
	case r.table.ok != nil && !r.ok && !r.silent && r.answer.Category() == backends.OK:
		fail("ended with exit status %d, but printed nothing that says the object is clean (key ok_regex)", e.code)
	}
}

// altered adds what the program did to its file. mdatp and others remove what they
// dislike, and not all of them say so: it is suspicious. If the file was shared, the
// other engines may have seen nothing of it.
func (r *reading) altered(a alteration) {
	if a.text == "" {
		return
	}
	r.answer.Add(backends.Suspicious, r.code, a.text)
	if a.shared {
		r.answer.Add(backends.SWErr, r.code, r.table.says(
			"did not leave the file alone (%s), and other engines share it; set copy = %q", a.text, copyFull))
	}
}

func killed(e ending) string {
	if e.signal != 0 {
		return fmt.Sprintf("was killed by signal %d (%s)", int(e.signal), e.signal)
	}
	return fmt.Sprintf("ended with exit status %d: killed by signal %d", e.code, e.code-128)
}

// says is a message about the program.
func (t *table) says(format string, args ...any) string {
	return bounded(t.program + " " + fmt.Sprintf(format, args...))
}
