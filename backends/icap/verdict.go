package icap

import (
	"regexp"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// Bounds on what is kept of one answer.
const (
	maxName   = 512
	maxDetail = 512
)

// verdict collects what the header fields of an answer say.
type verdict struct {
	answer     *backends.Answer
	code       int // the status of ICAP
	errorCodes map[string]backends.Category

	said      bool // a field said something: a finding or a failure
	clean     bool // a field says that nothing was found
	blocked   bool // a field says that the object was blocked
	explained bool // an error code says why there is no verdict
	described string
	info      string              // an action that no product documents
	names     []string            // that fields gave
	named     []backends.Category // of these names
	reasons   []reason            // for finish
}

// reason is why something was blocked, in the server's words.
type reason struct {
	category backends.Category
	text     string
}

// read takes the header fields that say what was found. X-Infection-Found comes
// first, because it has the type of a name that others repeat.
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

// add takes a statement without a name.
func (v *verdict) add(c backends.Category, text string) {
	v.answer.Add(c, v.code, text)
}

// fail takes a failure.
func (v *verdict) fail(c backends.Category, text string) {
	v.said = true
	v.answer.Add(c, v.code, text)
}

// failed takes a status of ICAP or HTTP that is a failure.
func (v *verdict) failed(status int, c backends.Category, text string) {
	v.answer.Fail(&backends.Failure{Category: c, Code: v.code, Text: text[:min(len(text), maxDetail)], Busy: wire.IsBusy(status)})
}

// found takes what was found. A name that was given already keeps the category that it
// had first: that of the type in X-Infection-Found, say.
func (v *verdict) found(c backends.Category, name, text string) {
	v.said = true
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

// maxNames bounds the names that are compared.
const maxNames = 100

// because takes a reason. It has a say after the names, see finish.
func (v *verdict) because(c backends.Category, text string) {
	v.said = true
	v.reasons = append(v.reasons, reason{c, text})
}

// finish takes the reasons: as a name where no field gave a name for the same.
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

// settle takes what speaks against a clean answer without being a finding: an unknown
// action, and a description of an error.
func (v *verdict) settle() {
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

// trendError is the text of Trend's scan errors, which ends in its code: "Too many
// files in the zip. (-69)".
var trendError = regexp.MustCompile(`^[A-Za-z0-9 .,]{1,200} \((-[0-9]{1,4})\)$`)

// explain takes the page of a server error, and reports whether it is a text with an
// error code that says why there is no verdict.
func (v *verdict) explain(page []byte) bool {
	m := trendError.FindStringSubmatch(strings.TrimSpace(string(page)))
	if m == nil {
		return false
	}
	c, ok := v.errorCodes[m[1]]
	if ok {
		v.byCode(c, m[1], m[0])
	}
	return ok
}

// byCode takes an error code of this category.
func (v *verdict) byCode(c backends.Category, code, text string) {
	v.said, v.explained = true, true
	switch {
	case c.IsFailure():
		v.fail(c, text)
	case c == backends.Virus, c == backends.Suspicious:
		v.found(c, code, text)
	default:
		v.add(c, text)
	}
}
