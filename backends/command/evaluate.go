package command

import (
	"context"
	"fmt"

	"polyclam/backends"
)

// evaluate makes the answer of a run. What is not in the table is a failure.
func (t *table) evaluate(ctx context.Context, e ending) (backends.Result, error) {
	r, err := t.read(ctx, e.output)
	if err != nil {
		return backends.Result{}, err
	}
	category, detail := t.judge(e, r)
	if category.IsFailure() {
		return backends.Result{}, &backends.Failure{Category: category, Code: e.number(), Text: detail}
	}
	result := backends.Result{Category: category, Code: e.number(), Detail: detail}
	if category != backends.OK {
		result.Findings = r.findings
	}
	return result, nil
}

// judge weighs what the lines say against the exit status.
func (t *table) judge(e ending, r *reading) (backends.Category, string) {
	o, listed := t.outcome(e.code)
	disliked := weight(r.worst) >= weight(backends.Suspicious)
	if e.signal != 0 || !listed && killedBelow(e.code) {
		if disliked {
			return r.worst, r.detail
		}
		return backends.Interrupted, killed(e)
	}
	worst, detail := r.worst, r.detail
	switch {
	case !o.asks && weight(o.category) >= weight(worst), o.asks && !t.explains(o, listed, r):
		if worst = o.category; detail == "" || worst != r.worst {
			detail = bounded(string(e.output))
		}
	case worst == "":
		worst = backends.OK // as ok_regex says
	}
	if weight(worst) >= weight(backends.Suspicious) {
		return worst, detail
	}
	switch {
	case e.truncated:
		return backends.SWErr, fmt.Sprintf("exit status %d and more than %d bytes of output", e.code, len(e.output))
	case r.overlong:
		return backends.SWErr, fmt.Sprintf("exit status %d and a line of more than %d bytes", e.code, mostLine)
	case worst == backends.OK && t.ok != nil && !r.ok:
		return backends.SWErr, bounded(fmt.Sprintf("exit status %d, but nothing says that the content is clean: %s", e.code, detail))
	case worst.IsFailure():
		return worst, bounded(fmt.Sprintf("exit status %d: %s", e.code, detail))
	}
	return worst, detail
}

// explains reports whether the lines say what a "?" asks for. A status that says
// virus is explained by the name of one only: an encrypted member beside it, real
// or forged, does not make it harmless.
func (t *table) explains(o outcome, listed bool, r *reading) bool {
	if weight(o.category) >= weight(backends.Suspicious) {
		return r.disliked
	}
	return r.worst != "" || r.ok && listed
}

func killed(e ending) string {
	if e.signal != 0 {
		return fmt.Sprintf("killed by signal %d (%s)", int(e.signal), e.signal)
	}
	return fmt.Sprintf("exit status %d: killed by signal %d", e.code, e.code-128)
}
