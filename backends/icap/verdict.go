package icap

import (
	"regexp"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// Limits on what is kept of one answer.
const (
	maxName   = 512
	maxDetail = 512
)

// verdict collects the findings and failures in the header fields of an answer.
type verdict struct {
	answer     *backends.Answer
	code       int // the status of ICAP
	errorCodes map[string]backends.Category

	decided   bool // a field had a finding or a failure
	clean     bool // a field means that nothing was found
	blocked   bool // a field means that the object was blocked
	explained bool // an error code gave the reason for a missing verdict
	described string
	info      string              // an undocumented action
	names     []string            // of findings
	named     []backends.Category // of names
	reasons   []reason            // for finish
}

// reason is why an object was blocked, in the server's words.
type reason struct {
	category backends.Category
	text     string
}

// read parses the header fields with findings, X-Infection-Found first, because it gives
// a type to a name that other fields repeat.
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

// add adds a category without a name.
func (v *verdict) add(c backends.Category, text string) {
	v.answer.Add(c, v.code, text)
}

// fail adds a failure.
func (v *verdict) fail(c backends.Category, text string) {
	v.decided = true
	v.answer.Add(c, v.code, text)
}

// failed adds a failure by an ICAP or HTTP status.
func (v *verdict) failed(status int, c backends.Category, text string) {
	v.answer.Fail(&backends.Failure{Category: c, Code: v.code, Text: text[:min(len(text), maxDetail)], Busy: wire.IsBusy(status)})
}

// found adds a finding. A repeated name keeps its first category, for example the one
// from X-Infection-Found.
func (v *verdict) found(c backends.Category, name, text string) {
	v.decided = true
	name = cut(name, maxName)
	if slices.Contains(v.names, name) {
		return
	}
	if len(v.names) < maxNames {
		v.names = append(v.names, name)
	}
	if c == backends.Virus {
		c = backends.NameCategory(name)
	}
	v.named = append(v.named, c)
	v.answer.Found(c, v.code, name, cut(text, maxDetail))
}

// maxNames limits the number of names that are compared.
const maxNames = 100

// addReason adds a block reason, which counts only after all names, see finish.
func (v *verdict) addReason(c backends.Category, text string) {
	v.decided = true
	v.reasons = append(v.reasons, reason{c, text})
}

// finish adds each reason as a name, unless a named finding has the same category.
func (v *verdict) finish() {
	for _, r := range v.reasons {
		switch {
		case slices.Contains(v.named, r.category):
		case r.category == backends.Partial:
			v.add(r.category, r.text)
		default:
			v.found(r.category, r.text, r.text)
		}
	}
	v.reasons = nil
}

// failUnclear adds a failure for an unknown action or an error description, which rules
// out clean.
func (v *verdict) failUnclear() {
	if v.info != "" {
		v.fail(backends.SWErr, "X-Response-Info: "+cut(v.info, maxDetail)+": not a word that means clean")
	}
	if isErrorText(v.described) {
		v.fail(backends.SWErr, "X-Response-Desc: "+cut(v.described, maxDetail))
	}
	v.info = ""
}

// isDetection reports whether a virus or something suspicious was found.
func (v *verdict) isDetection() bool {
	c := v.answer.Category()
	return c == backends.Virus || c == backends.Suspicious
}

// trendError matches the text of Trend's scan errors, which ends in a code: "Too many
// files in the zip. (-69)".
var trendError = regexp.MustCompile(`^[A-Za-z0-9 .,]{1,200} \((-[0-9]{1,4})\)$`)

// explain parses the page of a server error, and reports whether it has a known error
// code.
func (v *verdict) explain(page []byte) bool {
	m := trendError.FindStringSubmatch(strings.TrimSpace(string(page)))
	if m == nil {
		return false
	}
	c, ok := v.errorCodes[m[1]]
	if ok {
		v.addCode(c, m[1], m[0])
	}
	return ok
}

// addCode adds an error code under its category.
func (v *verdict) addCode(c backends.Category, code, text string) {
	v.decided, v.explained = true, true
	switch {
	case c.IsFailure():
		v.fail(c, text)
	case c == backends.Virus, c == backends.Suspicious:
		v.found(c, code, text)
	default:
		v.add(c, text)
	}
}
