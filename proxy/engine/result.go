package engine

import (
	"fmt"
	"slices"

	"polyclam/backends"
)

// checked is what r and err really are. What is not a category of an answer is never
// passed on as one. What was found stays beside an error; an ok beside one is none.
func checked(r backends.Result, err error) (backends.Result, error) {
	switch {
	case err == nil && !r.Category.Valid():
		err = fmt.Errorf("backend answered with category %q", bounded(string(r.Category)))
	case err == nil && r.Category.IsFailure():
		err = &backends.Failure{Category: r.Category, Code: r.Code, Text: r.Detail}
	case r.Category == backends.OK && len(r.Findings) > 0 && backends.Strongest(r.Findings) != backends.OK:
		r.Category = backends.Strongest(r.Findings) // a name beside "ok": the name wins
		return checked(r, err)
	}
	if err == nil || isFinding(r.Category) {
		return r, err
	}
	var found []backends.Finding
	for _, f := range r.Findings {
		if isFinding(f.Category) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return backends.Result{}, err
	}
	r.Category, r.Findings = backends.Strongest(found), found
	return r, err
}

// isFinding says whether c is what an engine found.
func isFinding(c backends.Category) bool {
	return c.Valid() && !c.IsFailure() && c != backends.OK
}

// merged is what two nodes found in the same content. Nothing of it is dropped; an
// empty result is nothing.
func merged(a, b backends.Result) backends.Result {
	if a.Category == "" {
		return b
	}
	if b.Category == "" {
		return a
	}
	r := a
	if backends.Stronger(b.Category, a.Category) {
		r = b
	}
	r.Findings = accounted(a)
	for _, f := range accounted(b) {
		if !slices.Contains(r.Findings, f) {
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// accounted are the findings of r, with one for its category if none says it.
func accounted(r backends.Result) []backends.Finding {
	found := slices.Clone(r.Findings)
	says := func(f backends.Finding) bool { return f.Category == r.Category }
	if isFinding(r.Category) && !slices.ContainsFunc(found, says) {
		found = append(found, backends.Finding{Category: r.Category})
	}
	return found
}

// detected says whether r is the find of something bad.
func detected(r backends.Result) bool {
	return r.Category == backends.Virus || r.Category == backends.Suspicious
}

// adjusted is the result of a scan, seen with what is known of the node: one that
// stops at the first heuristic has not seen the rest, and one that does not scan
// large objects has not seen them. The caller has mu.
func (n *node) adjusted(r backends.Result, size int64) backends.Result {
	switch {
	case n.heuristics.first:
		r = suspected(r, heuristicsFirstText)
	case n.heuristics.unknown:
		r = suspected(r, heuristicsUnknownText)
	}
	if r.Category != backends.OK {
		return r
	}
	limit := n.size.limit
	switch {
	case limit != 0 && size > limit:
		return backends.Result{
			Category: backends.Partial,
			Code:     r.Code,
			Findings: []backends.Finding{{Name: "Heuristics.Limits.Exceeded.MaxSize", Category: backends.Partial}},
			Detail:   fmt.Sprintf("%d bytes: above %d bytes %s", size, limit, unscannedText),
		}
	case n.unproven && size > max(unprovenMin, n.trusted):
		return backends.Result{
			Category: backends.Partial,
			Code:     r.Code,
			Detail:   fmt.Sprintf("%d bytes: not proven yet that the engine scans objects of this size (size_check)", size),
		}
	}
	return r
}
