package kse

import (
	"fmt"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// answers is what the engine's words amount to. The texts are those of its manual,
// "Format of a response to a scan POST request"; version 1.0 writes DETECTED. What
// is not here is a failure, a bare NON_SCANNED included: the reason is unknown.
var answers = []struct {
	text     string
	category backends.Category
	names    bool // of what was found may follow
}{
	{"CLEAN", backends.OK, false},
	{"DETECT", backends.Virus, true},
	{"DETECTED", backends.Virus, true},
	{"DISINFECTED", backends.Virus, true},
	{"DELETED", backends.Virus, true},
	{"NON_SCANNED (PASSWORD PROTECTED)", backends.Encrypted, false},
	{"NON_SCANNED (CORRUPTED)", backends.Partial, false},
	{"NON_SCANNED (SKIPPED)", backends.Partial, false},
	{"NON_SCANNED (CANCELED)", backends.Interrupted, false},
	{"NON_SCANNED (ACCESS DENIED)", backends.SWErr, false},
	{"SERVER_ERROR", backends.SWErr, false},
}

// withMacro is appended to the words for an object with macros. The name is how
// MailScanner tells it.
const (
	withMacro = " AND CONTAINS OFFICE MACRO"
	macroName = "OFFICE MACRO"
)

// order is the one within an engine's answer, strongest first.
var order = []backends.Category{
	backends.Virus, backends.Suspicious, backends.Encrypted, backends.SWErr, backends.Interrupted, backends.Partial, backends.OK,
}

// Bounds on what is kept of one answer.
const (
	maxNames     = 1000
	maxName      = 1 << 10
	maxNameBytes = 32 << 10 // of all names
)

// verdict is what the engine said of an object, its parts included.
type verdict struct {
	category backends.Category
	findings []backends.Finding
	bytes    int    // of names
	detail   string // of what decided
}

// amounts turns it into a result or an error.
func (v verdict) amounts() (backends.Result, error) {
	if v.category.IsFailure() {
		return backends.Result{}, &backends.Failure{Category: v.category, Code: backends.NoCode, Text: v.detail}
	}
	r := backends.Result{Category: v.category, Code: backends.NoCode, Findings: v.findings}
	if v.category != backends.OK {
		r.Detail = v.detail
	}
	return r, nil
}

// add takes what was said of one object: the words, the names that stood elsewhere,
// and whether macros were told elsewhere.
func (v *verdict) add(words, names string, macro bool, detail string) error {
	text, suffixed := strings.CutSuffix(words, withMacro)
	category, named, ok := lookup(text)
	if !ok {
		return fmt.Errorf("%w: %.200q", errNoAnswer, words)
	}
	if category == backends.Virus {
		category = v.found(named + "," + names)
	} else if names != "" {
		// A name without a verdict that goes with it: whatever it means, not ok.
		return fmt.Errorf("%w: %.100q with the name %.100q", errNoAnswer, words, names)
	}
	if macro = macro || suffixed; macro && !category.IsFailure() && category != backends.Virus {
		category = backends.Suspicious
		v.keep(backends.Finding{Name: macroName, Category: backends.Suspicious})
	}
	if v.category == "" || slices.Index(order, category) < slices.Index(order, v.category) {
		v.category, v.detail = category, wire.Clip(detail, wire.MaxDetail)
	}
	return nil
}

// found keeps the names of a list and says what they amount to.
func (v *verdict) found(list string) backends.Category {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && len(names) < maxNames {
			names = append(names, wire.Clip(name, maxName))
		}
	}
	r := backends.Found(backends.NoCode, names...)
	for _, f := range r.Findings {
		v.keep(f)
	}
	return r.Category
}

func (v *verdict) keep(f backends.Finding) {
	if len(v.findings) < maxNames && v.bytes+len(f.Name) <= maxNameBytes {
		v.findings = append(v.findings, f)
		v.bytes += len(f.Name)
	}
}

// lookup finds the row of a text, and the names behind its verb.
func lookup(text string) (category backends.Category, names string, ok bool) {
	verb, rest, more := strings.Cut(text, " ")
	for _, a := range answers {
		if text == a.text {
			return a.category, "", true
		}
		if a.names && more && verb == a.text {
			return a.category, rest, true
		}
	}
	return "", "", false
}

// parseText parses an answer of protocol 1, which is one line. Of several lines none
// is the answer, unless one of them tells a virus.
func parseText(body string) (verdict, error) {
	var v verdict
	var first error
	text := strings.TrimSuffix(strings.TrimSuffix(body, "\n"), "\r")
	lines := strings.SplitN(text, "\n", 100)
	for _, l := range lines {
		l = strings.TrimSuffix(l, "\r")
		if err := v.add(l, "", false, l); err != nil && first == nil {
			first = err
		}
	}
	if len(lines) > 1 && v.category != backends.Virus {
		return verdict{}, fmt.Errorf("%w: more than one line: %.200q", errNoAnswer, body)
	}
	if first != nil && v.category != backends.Virus {
		return verdict{}, first
	}
	return v, nil
}

// parseJSON parses an answer of protocol 3 about object.
func parseJSON(body []byte, object string) (verdict, error) {
	value, err := wire.JSON(body)
	if err != nil {
		return verdict{}, fmt.Errorf("%w: %w: %.200q", errNoAnswer, err, body)
	}
	root, ok := value.(map[string]any)
	if !ok {
		return verdict{}, fmt.Errorf("%w: %.200q", errNoAnswer, body)
	}
	if problem, ok := root["error"]; ok {
		text, _ := wire.Scalar(problem)
		return verdict{}, &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: "error: " + wire.Clip(text, wire.MaxDetail)}
	}
	if about, _ := root["object"].(string); !strings.EqualFold(about, object) {
		return verdict{}, fmt.Errorf("%w: it is about %.100q, not %.100q", errNoAnswer, about, object)
	}
	var v verdict
	err = v.addObject(root)
	if err != nil && v.category != backends.Virus {
		return verdict{}, err
	}
	return v, nil
}

// addObject takes one object with its parts. What is wrong with one of them does
// not hide what was found in another.
func (v *verdict) addObject(o map[string]any) error {
	words, ok := o["scanResult"].(string)
	if !ok {
		return fmt.Errorf("%w: no scanResult", errNoAnswer)
	}
	// Version 3.1 may tell the reason apart.
	if reason, ok := o["reason"].(string); ok && words == "NON_SCANNED" {
		words += " (" + strings.ToUpper(reason) + ")"
	}
	name, err := textOf(o, "detectionName")
	macro, err2 := textOf(o, "containsOfficeMacro")
	if err2 != nil || macro != "" && macro != "true" && macro != "false" {
		err = fmt.Errorf("%w: containsOfficeMacro is %.50q", errNoAnswer, macro)
	}
	about, _ := o["object"].(string)
	detail := strings.TrimSpace(words+" "+name) + " " + about
	if e := v.add(words, name, macro == "true", detail); e != nil {
		err = e
	}
	parts, ok := o["subObjectsScanResults"].([]any)
	if !ok && o["subObjectsScanResults"] != nil {
		return fmt.Errorf("%w: subObjectsScanResults", errNoAnswer)
	}
	for _, p := range parts {
		part, ok := p.(map[string]any)
		if !ok {
			err = fmt.Errorf("%w: subObjectsScanResults", errNoAnswer)
			continue
		}
		if e := v.addObject(part); e != nil {
			err = e
		}
	}
	return err
}

// textOf is a field that may be missing or null.
func textOf(o map[string]any, key string) (string, error) {
	value := o[key]
	if value == nil {
		return "", nil
	}
	text, ok := wire.Scalar(value)
	if !ok {
		return "", fmt.Errorf("%w: %s", errNoAnswer, key)
	}
	return text, nil
}
