package engine

import (
	"fmt"
	"slices"

	"polyclam/backends"
)

// checked validates what a backend returned. An invalid category or a failure becomes an
// error. Findings that come with an error are kept; an ok that comes with an error is
// dropped.
func checked(r backends.Result, err error) (backends.Result, error) {
	switch {
	case err == nil && !r.Category.Valid():
		err = fmt.Errorf("backend answered with category %q", bounded(string(r.Category)))
	case err == nil && r.Category.IsFailure():
		err = &backends.Failure{Category: r.Category, Code: r.Code, Text: r.Detail}
	case r.Category == backends.OK && len(r.Findings) > 0 && backends.Strongest(r.Findings) != backends.OK:
		r.Category = backends.Strongest(r.Findings) // a finding overrides "ok"
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

// isFinding reports whether c means that an engine found something.
func isFinding(c backends.Category) bool {
	return c.Valid() && !c.IsFailure() && c != backends.OK
}

// merged combines the results of two nodes for the same object. It drops nothing; either
// result may be empty.
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
	r.Findings = withCategory(a)
	for _, f := range withCategory(b) {
		if !slices.Contains(r.Findings, f) {
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// withCategory returns the findings of r, plus one for its category if none has it.
func withCategory(r backends.Result) []backends.Finding {
	found := slices.Clone(r.Findings)
	same := func(f backends.Finding) bool { return f.Category == r.Category }
	if isFinding(r.Category) && !slices.ContainsFunc(found, same) {
		found = append(found, backends.Finding{Category: r.Category})
	}
	return found
}

// detected reports whether r is a detection.
func detected(r backends.Result) bool {
	return r.Category == backends.Virus || r.Category == backends.Suspicious
}

// sameResult reports whether a and b are equal.
func sameResult(a, b backends.Result) bool {
	return a.Category == b.Category && a.Code == b.Code && a.Detail == b.Detail && slices.Equal(a.Findings, b.Findings)
}
