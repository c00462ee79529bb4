package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

const (
	heuristicsFirstText   = "stops at the first heuristic finding: encrypted and partial count as suspicious (clamd: HeuristicScanPrecedence yes in clamd.conf)"
	heuristicsUnknownText = "did not answer the archives that show whether it stops at the first heuristic finding: until it does, encrypted and partial count as suspicious"
)

// learnTries is how often a node whose engine says that it fails on the archives is
// asked again. Mail like them fails there too, so nothing is missed after that.
const learnTries = 5

// heuristics is what is known of a node's way with heuristic findings.
//
// A node that does not answer the test archives is up all the same, since an engine
// that hangs on them may be fine with anything else; but until it answers, encrypted
// and partial count as suspicious, since they may hide a virus. It is asked again after
// 1, 2, 4 ... s, not at the next regular check, so that this is over soon.
type heuristics struct {
	first   bool          // it stops at the first
	unknown bool          // it was asked, and did not answer
	tries   int           // how often the engine said that it failed, while unknown
	pause   time.Duration // before it is asked again
}

// learned notes what a health check that found n up says of heuristics; returns says
// that n was not up before. The caller has mu.
func (h *heuristics) learned(p proof, returns bool) {
	if p.learned {
		*h = heuristics{first: p.heuristicsFirst}
		return
	}
	if returns {
		h.unknown, h.tries = true, 0 // what was known may be of before a restart
	}
	if h.unknown && p.refused {
		h.tries++
	}
	if h.tries >= learnTries {
		*h = heuristics{first: h.first}
	}
}

// logHeuristics logs what is new about n since it was as before.
func (u *pool) logHeuristics(n *node, before, now heuristics) {
	reason, message := "", ""
	switch {
	case now.first && !before.first:
		reason, message = heuristicsFirstText, "heuristics first"
	case now.unknown && !before.unknown && !now.first:
		reason, message = heuristicsUnknownText, "heuristics unknown"
	default:
		return
	}
	u.log.Warn().Str("node", bounded(n.address)).Str("reason", reason).Msg(message)
}

// askSooner has n's heuristics asked for again before the regular check, while they
// are unknown. The caller has mu.
func (u *pool) askSooner(n *node) {
	h := &n.heuristics
	if !h.unknown {
		return
	}
	h.pause = min(max(2*h.pause, firstPause), u.config().CanaryInterval)
	if due := time.Now().Add(h.pause); due.Before(n.due) {
		n.due = due
		u.rouse()
	}
}

// learn asks n what changes nothing about its being up.
func (u *pool) learn(ctx context.Context, n *node, p *proof) {
	ctx, cancel := context.WithTimeout(ctx, infoTime)
	defer cancel()
	r, err := u.try(ctx, n, "encrypted archive", testfile.Encrypted(), nil)
	p.canary.Encrypted = categoryOf(r, err)
	stops := false
	if detected(r) {
		err = nil
	}
	if err == nil && p.canary.Encrypted == backends.Encrypted {
		stops, err = u.missesEICAR(ctx, n, testfile.LockedThenEICAR(), passable)
	}
	if err == nil && !stops {
		stops, err = u.missesEICAR(ctx, n, testfile.DeepThenEICAR(), limitsNamed)
	}
	if err == nil && stops {
		// Or does it not look into archives at all?
		r, err = u.try(ctx, n, "zipped EICAR", testfile.ZippedEICAR(), nil)
		p.heuristicsFirst = detected(r)
	}
	var failure *backends.Failure
	_, nothing := err.(inconclusive)
	p.learned = err == nil
	p.refused = !nothing && errors.As(err, &failure) && failure.Category != backends.Interrupted
}

// missesEICAR reports whether n answers an archive that has EICAR as its second
// member with what its first member alone would give.
func (u *pool) missesEICAR(ctx context.Context, n *node, archive []byte, first func(backends.Result) bool) (bool, error) {
	r, err := u.try(ctx, n, "archive with EICAR", archive, nil)
	if detected(r) {
		return false, nil
	}
	return err == nil && first(r), err
}

func passable(r backends.Result) bool {
	return r.Category == backends.Encrypted || r.Category == backends.Partial
}

// limitsNamed reports whether r is a finding of clamd's about its limits. Of other
// engines partial says only that they went no further, which is what it is for.
func limitsNamed(r backends.Result) bool {
	return r.Category == backends.Partial && slices.ContainsFunc(r.Findings, func(f backends.Finding) bool {
		return strings.HasPrefix(f.Name, "Heuristics.Limits.")
	})
}

// suspected makes what a heuristic found suspicious: the engine stopped there, and
// the rest may hold a virus. Partial without a name is no heuristic, but a refusal.
func suspected(r backends.Result, why string) backends.Result {
	stopped := func(f backends.Finding) bool {
		return f.Category == backends.Encrypted || f.Category == backends.Partial && f.Name != ""
	}
	all := accounted(r)
	changed := false
	for i, f := range all {
		if stopped(f) {
			all[i].Category, changed = backends.Suspicious, true
		}
	}
	if !changed {
		return r
	}
	r.Findings = all
	if backends.Stronger(backends.Suspicious, r.Category) {
		r.Category = backends.Suspicious
	}
	if r.Detail != "" {
		r.Detail += "; "
	}
	r.Detail += "the engine " + why
	return r
}
