package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/proxy/files"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// maxCollected are the bytes of lines collected before they are sent.
const maxCollected = 64 << 10

// line adds what is to be said of a verdict.
func (w *walk) line(path string, v policy.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdict = v
	w.found = w.found || v.Action == policy.Quarantine
	if w.r.extended() {
		w.told = true
		w.add(w.r.line(path, v))
		w.records(path, v)
		w.flush(false)
		return
	}
	if v.Action == policy.OK {
		return // said once, at the end, if nothing else is
	}
	w.told = true
	for _, reply := range w.r.allLines(path, v) {
		w.add(reply)
	}
	w.flush(false)
}

// fail adds that an object could not be scanned.
func (w *walk) fail(path, text string, err error) {
	w.r.notScanned(path, strings.TrimSuffix(text, " ERROR"), err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = true
	var stuck *files.StuckError
	w.stuck = w.stuck || errors.As(err, &stuck)
	w.add(w.r.profile().ClamdError(path, text))
	w.flush(false)
}

// cutOff adds that the walk ended before it had come to everything below path.
// Nobody looked at the rest, so this is an error whatever the policy says of scans
// that are interrupted.
func (w *walk) cutOff(path string) {
	words, reason := w.whyCutOff()
	w.r.notScanned(w.missed, reason, nil)
	v := w.r.unasked(reason)
	reply := w.r.profile().ClamdError(path, words)
	if v.Action == policy.Quarantine {
		reply = w.r.line(path, v)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = true
	w.add(reply)
	if w.r.extended() {
		w.records(path, v)
	}
	w.flush(false)
}

// whyCutOff returns what the client hears of a walk that ended early, and the reason.
func (w *walk) whyCutOff() (words, reason string) {
	const late, interrupted = "Exceeded time limit ERROR", "Scan interrupted ERROR"
	within := w.r.lst.Profile.AnswerWithin
	switch {
	case errors.Is(w.crowded, context.DeadlineExceeded):
		return late, fmt.Sprintf("answer_within, %v, was over while this waited for other walks through directories to end; "+
			"to let more walks run at the same time, raise limits.connections, or limits.client_share for those of one client", within)
	case errors.Is(w.ctx.Err(), context.DeadlineExceeded):
		return late, fmt.Sprintf("answer_within, %v for the whole directory, was over before this and what follows it", within)
	case w.ctx.Err() == nil: // stuck
		return late, "the file system of what came before this and what follows it did not answer"
	case w.r.s.srv.ctx.Err() != nil:
		return interrupted, "the daemon stopped before this and what follows it; shutdown_grace is how long it waits"
	}
	return interrupted, "the client was gone before this and what follows it"
}

// unasked is the verdict of objects that no engine was asked about.
func (r *request) unasked(reason string) policy.Verdict {
	err := &backends.Failure{Category: backends.Interrupted, Code: backends.NoCode, Text: "not asked: " + reason}
	reports := make([]policy.Report, len(r.cfg.Engines))
	for i, u := range r.cfg.Engines {
		reports[i] = policy.Report{Engine: u.Name(), Required: u.Required(), Err: err}
	}
	v := r.lst.Policy.Merge(reports)
	if v.Action == policy.OK {
		v.Action = policy.Tempfail
	}
	return v
}

// records adds the records that follow the status line in replies to polyclam's own
// verbs.
func (w *walk) records(path string, v policy.Verdict) {
	for _, rec := range status.Records(path, v) {
		w.add(status.Reply{Text: rec.String()})
	}
}

func (w *walk) add(reply status.Reply) {
	if reply.Close {
		w.gone = true
		return
	}
	w.lines = append(w.lines, reply.Text)
	w.size += len(reply.Text)
}

// flush sends the lines, unless they are to be sent together and are not too many.
func (w *walk) flush(end bool) {
	if w.gone || len(w.lines) == 0 || !end && w.collect && w.size < maxCollected {
		return
	}
	// The records of polyclam's own verbs stay with the object they are about.
	if w.r.lst.Profile.WorstFirst && !w.r.extended() {
		slices.SortStableFunc(w.lines, func(a, b string) int { return cmp.Compare(badness(b), badness(a)) })
	}
	if w.r.send(w.lines...) != nil {
		w.gone = true
	}
	w.lines, w.size = nil, 0
}

// badness orders lines for clients that read only the first.
func badness(line string) int {
	switch {
	case strings.HasSuffix(line, " FOUND"):
		return 2
	case strings.HasSuffix(line, " ERROR"):
		return 1
	}
	return 0
}

// finish sends what is left, and the one OK if there was nothing else to say.
func (w *walk) finish(okPath string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		w.r.close()
		return
	}
	switch {
	case w.told:
	case w.parallel != nil && w.scanned == 0:
		return // clamd answers MULTISCAN of an empty directory with no byte
	case w.single:
		w.add(w.r.line(okPath, w.verdict))
	default:
		clean := policy.Verdict{Category: backends.OK, Action: policy.OK}
		w.add(w.r.line(okPath, clean))
		if w.r.extended() { // there was nothing to scan, and no engine to speak of
			w.records(okPath, clean)
		}
	}
	if w.r.extended() {
		w.add(status.Reply{Text: "END"})
	}
	w.flush(true)
}
