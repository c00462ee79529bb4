package proxy

import (
	"slices"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/proxy/printable"
	"polyclam/proxy/record"
)

// reportedFields adds what the engine reported before the rules, if that is kept. With it a
// log line is enough to judge the scan by another policy, as "polyclam policy" does:
//
//	findings          category and name of each finding
//	findings_left_out how many more there were
//	reported          the category of the answer as a whole, if no finding has it
//	failures          the categories of the failures
func reportedFields(d *zerolog.Event, r *record.Reported) *zerolog.Event {
	if r == nil {
		return d
	}
	if len(r.Findings) > 0 {
		list := zerolog.Arr()
		for _, f := range r.Findings {
			list = list.Dict(zerolog.Dict().Str("category", string(f.Category)).Str("name", printable.Escape(f.Name, maxLoggedName)))
		}
		d = d.Array("findings", list)
	}
	if r.LeftOut > 0 {
		d = d.Int("findings_left_out", r.LeftOut)
	}
	if r.Whole != "" {
		d = d.Str("reported", string(r.Whole))
	}
	if len(r.Failures) > 0 {
		words := make([]string, len(r.Failures))
		for i, c := range r.Failures {
			words[i] = string(c)
		}
		d = d.Strs("failures", words)
	}
	return d
}

// reportedBy returns everything in a report on which a verdict may depend, as
// [policy.Policy.Merge] reads it. It returns nil if the category, the names and the failure
// of j say it already, as they do for almost every scan: then each name is a finding of that
// category, and the engine reported nothing else.
func reportedBy(j *policy.Judged) *record.Reported {
	if j.Err == nil && len(j.Result.Findings) == 0 && j.Result.Category == j.Category {
		return nil // the usual case
	}
	var r record.Reported
	if j.Err != nil {
		r.Failures = backends.CategoriesOf(j.Err)
	}
	if j.Err == nil || j.Result.Category != "" || len(j.Result.Findings) > 0 {
		r.Whole = knownCategory(j.Result.Category)
	}
	for _, f := range j.Result.Findings {
		if f.Category = knownCategory(f.Category); f.Category == j.Result.Category {
			r.Whole = ""
		}
		r.Findings = append(r.Findings, f)
	}
	if isPlain(j, &r) && len(r.Findings) <= maxLoggedList {
		return nil
	}
	if n := len(r.Findings) - maxLoggedList; n > 0 {
		oneOfEachFirst(r.Findings)
		r.Findings, r.LeftOut = r.Findings[:maxLoggedList], n
	}
	return &r
}

// oneOfEachFirst moves the first finding of each category to the front, so that none is among
// those that are left out.
func oneOfEachFirst(findings []backends.Finding) {
	seen := map[backends.Category]bool{}
	for i, f := range findings {
		if !seen[f.Category] {
			copy(findings[len(seen)+1:i+1], findings[len(seen):i])
			findings[len(seen)] = f
			seen[f.Category] = true
		}
	}
}

func knownCategory(c backends.Category) backends.Category {
	if c.Valid() {
		return c
	}
	return backends.SWErr
}

// isPlain reports whether the category, the names and the failure of j say all that is in r.
func isPlain(j *policy.Judged, r *record.Reported) bool {
	other := func(c backends.Category) bool { return c != j.Category }
	unnamed := func(f backends.Finding) bool { return f.Name == "" }
	switch {
	case len(j.Ruled) > 0, r.Whole != "" && other(r.Whole):
		return false
	case j.Category.IsFailure():
		return len(r.Findings) == 0 && !slices.ContainsFunc(r.Failures, other)
	case j.Category == backends.OK && len(r.Findings) > 0:
		return false // the names of what is ok are not among those of j
	case slices.ContainsFunc(r.Findings, func(f backends.Finding) bool { return other(f.Category) }):
		return false
	case len(j.Names) > 0 && slices.ContainsFunc(r.Findings, unnamed):
		return false // it remains if a rule lets all names pass
	}
	return len(r.Failures) == 0 || len(r.Failures) == 1 && r.Failures[0] == j.Failure
}
