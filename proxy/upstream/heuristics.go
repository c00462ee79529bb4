package upstream

import (
	"context"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/proxy/testfile"
)

const heuristicsFirstText = "stops at the first heuristic finding: encrypted and partial count as suspicious (clamd: HeuristicScanPrecedence yes in clamd.conf)"

// setHeuristics notes whether n stops at heuristics and returns the line to log when
// that is new.
func (u *Upstream) setHeuristics(n *node, p proof) string {
	before := n.heuristicsFirst
	if p.learned {
		n.heuristicsFirst = p.heuristicsFirst
	}
	if n.heuristicsFirst && !before {
		return heuristicsFirstText
	}
	return ""
}

// learn asks n what changes nothing about its being up.
func (u *Upstream) learn(ctx context.Context, n *node, p *proof) {
	ctx, cancel := context.WithTimeout(ctx, infoTime)
	defer cancel()
	r, err := u.try(ctx, n, "encrypted archive", testfile.Encrypted())
	p.canary.Encrypted = categoryOf(r, err)
	stops := false
	err = nil
	if p.canary.Encrypted == backends.Encrypted {
		stops, err = u.missesEICAR(ctx, n, testfile.LockedThenEICAR(), passable)
	}
	if err == nil && !stops {
		stops, err = u.missesEICAR(ctx, n, testfile.DeepThenEICAR(), limitsNamed)
	}
	if err == nil && stops {
		// Or does it not look into archives at all?
		r, err = u.try(ctx, n, "zipped EICAR", testfile.ZippedEICAR())
		p.heuristicsFirst = detected(r)
	}
	p.learned = err == nil
}

// missesEICAR reports whether n answers an archive that has EICAR as its second
// member with what its first member alone would give.
func (u *Upstream) missesEICAR(ctx context.Context, n *node, archive []byte, first func(backends.Result) bool) (bool, error) {
	r, err := u.try(ctx, n, "archive with EICAR", archive)
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
func suspected(r backends.Result) backends.Result {
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
	r.Detail += "the engine " + heuristicsFirstText
	return r
}
