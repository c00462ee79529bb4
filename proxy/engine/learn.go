package engine

import (
	"context"
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine/internal/health"
)

// infoTime bounds questions that are for information only, so that a node that hangs on one
// is still used.
const infoTime = 5 * time.Second

// learn finds out how n treats archives. That does not decide whether n is up.
func (p *pool) learn(ctx context.Context, n *node, found *proof) {
	ctx, cancel := context.WithTimeout(ctx, infoTime)
	defer cancel()
	r, err := p.try(ctx, n, "encrypted archive", testfile.Encrypted(), nil)
	found.canary.Encrypted = categoryOf(r, err)
	stops := false
	if backends.NoRoom(err) {
		found.noRoom = err
	}
	if detected(r) {
		err = nil
	}
	if err == nil && found.canary.Encrypted == backends.Encrypted {
		stops, err = p.missesEICAR(ctx, n, testfile.LockedThenEICAR(), passable)
	}
	if err == nil && !stops {
		stops, err = p.missesEICAR(ctx, n, testfile.DeepThenEICAR(), limitsNamed)
	}
	if err == nil && stops {
		// It may not look into archives at all.
		r, err = p.try(ctx, n, "zipped EICAR", testfile.ZippedEICAR(), nil)
		found.heuristicsFirst = detected(r)
	}
	if backends.NoRoom(err) {
		found.noRoom = err
	}
	var failure *backends.Failure
	found.learned = err == nil
	found.refused = !isInconclusive(err) && errors.As(err, &failure) && failure.Category != backends.Interrupted
}

// missesEICAR reports whether n stops at the first member of an archive whose second member
// is EICAR. isFirst recognizes the result for the first member.
func (p *pool) missesEICAR(ctx context.Context, n *node, archive []byte, isFirst func(backends.Result) bool) (bool, error) {
	r, err := p.try(ctx, n, "archive with EICAR", archive, nil)
	if detected(r) {
		return false, nil
	}
	return err == nil && isFirst(r), err
}

// askSooner schedules a check before the regular one while the heuristics of n are unknown.
// The caller holds mu.
func (p *pool) askSooner(n *node) {
	h := &n.heuristics
	if !h.unknown {
		return
	}
	h.pause = min(max(2*h.pause, health.FirstPause), p.config().CanaryInterval)
	if n.health.DueBy(time.Now().Add(h.pause)) {
		p.wakeRun()
	}
}

// logHeuristics logs what a check has newly found out about n.
func (p *pool) logHeuristics(n *node, before, now heuristics) {
	reason, message := "", ""
	switch {
	case now.first && !before.first:
		reason, message = heuristicsFirstText, "heuristics first"
	case now.unknown && !before.unknown && !now.first:
		reason, message = heuristicsUnknownText, "heuristics unknown"
	default:
		return
	}
	p.log.Warn().Str("node", bounded(n.address)).Str("reason", reason).Msg(message)
}
