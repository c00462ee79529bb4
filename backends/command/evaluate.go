package command

import (
	"context"
	"fmt"
	"strings"

	"polyclam/backends"
)

// maxStopped limits how much output of a stopped program is evaluated, because its time
// is up.
const maxStopped = 64 << 10

// evaluate returns everything that the lines and the exit status of a run mean.
func (t *table) evaluate(ctx context.Context, e runResult) (backends.Result, error) {
	answer := new(backends.Answer)
	r := &reading{table: t.filled(e.paths), code: e.number(), answer: answer}
	if e.stopped != nil {
		r.findings(split(e.output[:min(len(e.output), maxStopped)]))
		answer.Fail(e.stopped)
		return answer.Result()
	}
	printed := split(e.output)
	if err := r.read(ctx, printed); err != nil {
		return backends.Result{}, err
	}
	r.addStatus(e)
	r.addDoubts(e, printed)
	r.addAlteration(e.altered)
	return answer.Result()
}

// addStatus adds the meaning of the exit status.
func (r *reading) addStatus(e runResult) {
	outcomes := r.table.outcomes(e.code)
	if e.signal != 0 || outcomes[0].unlisted && len(outcomes) == 1 && isShellSignal(e.code) {
		r.answer.Fail(&backends.Failure{Category: backends.Interrupted, Code: r.code, Text: r.table.messagef("%s", killed(e)), Died: true})
		return
	}
	_, listed := r.table.exit[e.code]
	for _, o := range outcomes {
		if o.asks && r.explains(o) || r.has(o.category) {
			continue
		}
		if o.asks && o.category.IsFailure() && listed && r.ok && e.code == 0 {
			o.category = backends.OK // ok_regex matched; any status other than 0 means trouble
		}
		r.answer.Add(o.category, r.code, r.describe(o, e))
	}
}

// explains reports whether the lines decide a status with "?". Only a detection explains
// a status that means virus or suspicious: an encrypted member beside it, real or forged,
// does not make it harmless. The same applies to an unlisted status, which may mean that
// the program failed.
func (r *reading) explains(o outcome) bool {
	if o.unlisted || o.category == backends.Virus || o.category == backends.Suspicious {
		return r.malicious
	}
	return r.meantSomething()
}

// meantSomething reports whether any line meant something.
func (r *reading) meantSomething() bool { return r.found || len(r.failures) > 0 }

// describe returns the detail for a status.
func (r *reading) describe(o outcome, e runResult) string {
	first, _, _ := strings.Cut(strings.TrimSpace(string(e.output)), "\n")
	switch {
	case !o.category.IsFailure():
		return bounded(string(e.output))
	case o.unlisted:
		return r.table.messagef("ended with exit status %d, which is not listed in exit: %s", e.code, quoted(first))
	}
	return r.table.messagef("ended with exit status %d, which means %s in exit: %s", e.code, o.category, quoted(first))
}

// addDoubts adds a failure for whatever is not understood in the output.
func (r *reading) addDoubts(e runResult, printed text) {
	fail := func(format string, args ...any) {
		r.answer.Add(backends.SWErr, r.code, r.table.messagef(format, args...))
	}
	if e.truncated {
		fail("printed more than %d bytes and the rest was ignored; raise max_output", len(e.output))
	}
	if printed.long {
		fail("printed a line of more than %d bytes, whose rest was ignored", maxLine)
	}
	if r.table.trusts(e.code) {
		return // the site trusts this status
	}
	switch {
	case r.unknownLines > 1:
		fail("ended with exit status %d and printed %d lines that no key explains (error_regex, ignore_regex): %s", e.code, r.unknownLines, quoted(r.unknown))
	case r.unknownLines == 1:
		fail("ended with exit status %d and printed a line that no key explains (error_regex, ignore_regex): %s", e.code, quoted(r.unknown))
	case printed.binary:
		fail("ended with exit status %d and printed binary data", e.code)
	case r.table.ok != nil && !r.ok && !r.silent && r.answer.Category() == backends.OK:
		fail("ended with exit status %d, but printed nothing that means clean (ok_regex)", e.code)
	}
}

// addAlteration adds what the program did to its file. mdatp and others remove infected
// files, sometimes without saying so, hence suspicious. If the file was shared, other
// engines may have scanned nothing.
func (r *reading) addAlteration(a alteration) {
	if a.text == "" {
		return
	}
	r.answer.Add(backends.Suspicious, r.code, a.text)
	if a.shared {
		r.answer.Add(backends.SWErr, r.code, r.table.messagef(
			"altered a file that other engines share (%s); set copy = %q", a.text, copyFull))
	}
}

func killed(e runResult) string {
	if e.signal != 0 {
		return fmt.Sprintf("was killed by signal %d (%s)", int(e.signal), e.signal)
	}
	return fmt.Sprintf("ended with exit status %d: killed by signal %d", e.code, e.code-128)
}

// messagef formats a message about the program.
func (t *table) messagef(format string, args ...any) string {
	return bounded(t.program + " " + fmt.Sprintf(format, args...))
}
