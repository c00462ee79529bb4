package engine

import (
	"slices"
	"strings"
	"time"

	"polyclam/backends"
)

const (
	heuristicsFirstText   = "stops at the first heuristic finding: encrypted and partial count as suspicious (clamd: HeuristicScanPrecedence yes in clamd.conf)"
	heuristicsUnknownText = "did not answer the archives that show whether it stops at the first heuristic finding: until it does, encrypted and partial count as suspicious"
)

// learnTries is how often a node is asked again if its engine reports an error for the
// archives. It will report that error for similar mail too, so nothing is missed after
// that.
const learnTries = 5

// heuristics records how a node handles heuristic findings.
//
// A node that does not answer the test archives is still up: an engine that hangs on them
// may be fine with anything else. But until it answers, encrypted and partial count as
// suspicious, since they may hide a virus. To keep that time short, the node is asked again
// after 1, 2, 4 ... s, and not only at the next regular check.
type heuristics struct {
	first   bool          // it stops at the first finding
	unknown bool          // it was asked, and did not answer
	tries   int           // how often the engine reported a failure while unknown
	pause   time.Duration // before it is asked again
	refuses bool          // it reports a failure for the archives whenever it is asked
}

// update applies the findings of a successful health check. returns says that the node was
// not up before.
func (h *heuristics) update(found proof, returns bool) {
	if found.learned {
		*h = heuristics{first: found.heuristicsFirst}
		return
	}
	if returns {
		h.unknown, h.tries, h.refuses = true, 0, false // the engine may have been restarted
	}
	if h.unknown && found.refused {
		h.tries++
	}
	if h.tries >= learnTries {
		*h = heuristics{first: h.first, refuses: true}
	}
}

// passable reports whether r may hide a virus if the engine stops at heuristics.
func passable(r backends.Result) bool {
	return r.Category == backends.Encrypted || r.Category == backends.Partial
}

// limitsNamed reports whether r is clamd's finding about its limits. From other engines,
// partial already means that they stopped there.
func limitsNamed(r backends.Result) bool {
	return r.Category == backends.Partial && slices.ContainsFunc(r.Findings, func(f backends.Finding) bool {
		return strings.HasPrefix(f.Name, "Heuristics.Limits.")
	})
}

// suspicious turns heuristic findings into suspicious ones: the engine stopped there, and
// the rest of the object may hold a virus. Partial without a name is not a heuristic
// finding but a refusal.
func suspicious(r backends.Result, why string) backends.Result {
	all := withCategory(r)
	changed := false
	for i, f := range all {
		if f.Category == backends.Encrypted || f.Category == backends.Partial && f.Name != "" {
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
