package icap

import (
	"slices"
	"strings"

	"polyclam/backends"
)

// Bounds on what is kept of one answer.
const (
	maxSayings = 100
	maxName    = 512
	maxDetail  = 512
)

// verdict collects what the parts of an answer say.
type verdict struct {
	sayings []saying
	clean   bool // a field says that nothing was found
	blocked bool // a field says that something was
}

// saying is one statement: a category, the name of a signature if there is one, and
// the server's words.
type saying struct {
	category   backends.Category
	name, text string
}

// precedence within one answer, strongest first; failures that are not here count
// as SWErr.
var precedence = []backends.Category{
	backends.Virus, backends.Suspicious, backends.Encrypted, backends.SWErr, backends.Partial, backends.OK,
}

func rank(c backends.Category) int {
	if i := slices.Index(precedence, c); i >= 0 {
		return i
	}
	return slices.Index(precedence, backends.SWErr)
}

// read takes the header fields that say what was found. X-Infection-Found comes
// first, because it says what kind of name it is that others repeat.
func (v *verdict) read(fields []field) {
	for _, f := range fields {
		if f.name == "x-infection-found" {
			infection(v, f.value)
		}
	}
	for _, f := range fields {
		if read, ok := verdictFields[f.name]; ok && f.name != "x-infection-found" {
			read(v, f.value)
		}
	}
}

// say adds a statement. A name that was said already keeps what was said first: a
// name that X-Infection-Found gave a type, say. Of too many, the strongest stay.
func (v *verdict) say(c backends.Category, name, text string) {
	name = cut(name, maxName)
	s := saying{c, name, cut(text, maxDetail)}
	if name != "" && slices.ContainsFunc(v.sayings, func(o saying) bool { return o.name == name }) {
		return
	}
	if len(v.sayings) < maxSayings {
		v.sayings = append(v.sayings, s)
		return
	}
	if rank(c) < rank(v.strongest().category) {
		v.sayings[maxSayings-1] = s
	}
}

// strongest is the first of the strongest statements; the zero value if there is
// none.
func (v *verdict) strongest() saying {
	if len(v.sayings) == 0 {
		return saying{}
	}
	best := v.sayings[0]
	for _, s := range v.sayings[1:] {
		if rank(s.category) < rank(best.category) {
			best = s
		}
	}
	return best
}

// found reports whether anything was said but that nothing was found.
func (v *verdict) found() bool {
	return slices.ContainsFunc(v.sayings, func(s saying) bool { return s.category != backends.OK })
}

// stands reports whether the verdict holds though the rest of the answer is missing:
// nothing is stronger than what was found.
func (v *verdict) stands() bool {
	c := v.strongest().category
	return c == backends.Virus || c == backends.Suspicious
}

// result makes a result of it, or an error. code is the status of ICAP.
func (v *verdict) result(code int) (backends.Result, error) {
	best := v.strongest()
	switch {
	case best.category == "":
		return backends.Result{}, &backends.Failure{Category: backends.SWErr, Code: code, Text: "an answer without a verdict"}
	case best.category.IsFailure():
		return backends.Result{}, &backends.Failure{Category: best.category, Code: code, Text: best.text}
	case best.category == backends.OK:
		return backends.Clean(code), nil
	}
	return backends.Result{Category: best.category, Code: code, Findings: v.findings(best), Detail: best.text}, nil
}

// findings are the names of what was found. What has no name gets the server's words
// for it, or one of ours.
func (v *verdict) findings(best saying) []backends.Finding {
	var all []backends.Finding
	named := best.category == backends.Partial // needs no name
	for _, s := range v.sayings {
		if s.name == "" || s.category.IsFailure() || s.category == backends.OK {
			continue
		}
		all = append(all, backends.Finding{Name: s.name, Category: s.category})
		named = named || s.category == best.category
	}
	if named {
		return all
	}
	name := best.text
	if name == "" || strings.HasPrefix(name, "X-") {
		name = blockedName
	}
	return append([]backends.Finding{{Name: name, Category: best.category}}, all...)
}
