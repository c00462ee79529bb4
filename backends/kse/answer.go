package kse

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// answers is what the engine's words mean. The texts are those of its manual,
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
// MailScanner reports it.
const (
	withMacro = " AND CONTAINS OFFICE MACRO"
	macroName = "OFFICE MACRO"
)

// add takes what was said of one object: the words, the names that were elsewhere,
// and whether macros were reported elsewhere.
func add(a *backends.Answer, words, names string, macro bool, detail string) {
	text, suffixed := strings.CutSuffix(words, withMacro)
	category, named, ok := lookup(text)
	if macro || suffixed {
		a.Found(backends.Suspicious, backends.NoCode, macroName, detail)
	}
	switch {
	case !ok:
		a.Fail(fmt.Errorf("%w: %.200q", errNoAnswer, words))
	case category == backends.Virus:
		found(a, named+","+names, detail)
	case names != "":
		// A name without a verdict that goes with it: whatever it means, not ok.
		a.Fail(fmt.Errorf("%w: %.100q with the name %.100q", errNoAnswer, words, names))
	case category == backends.OK:
		a.Add(category, backends.NoCode, "")
	default:
		a.Add(category, backends.NoCode, detail)
	}
}

// found takes the names of a list.
func found(a *backends.Answer, list, detail string) {
	none := true
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			a.Found(backends.Virus, backends.NoCode, name, detail)
			none = false
		}
	}
	if none {
		a.Found(backends.Virus, backends.NoCode, "", detail)
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

// addText takes an answer of protocol 1, which is one line. Several lines are not an
// answer: what they found counts, but beside a failure.
func addText(a *backends.Answer, body string) {
	text := strings.TrimSuffix(strings.TrimSuffix(body, "\n"), "\r")
	lines := strings.SplitN(text, "\n", 100)
	if len(lines) > 1 {
		a.Fail(fmt.Errorf("%w: more than one line: %.200q", errNoAnswer, body))
	}
	for _, l := range lines {
		l = strings.TrimSuffix(l, "\r")
		add(a, l, "", false, l)
	}
}

// addJSON takes an answer of protocol 3 about object.
func addJSON(a *backends.Answer, body []byte, object string) {
	value, err := wire.JSON(body)
	if err != nil {
		a.Fail(fmt.Errorf("%w: %w: %.200q", errNoAnswer, err, body))
		return
	}
	root, ok := value.(map[string]any)
	if !ok {
		a.Fail(fmt.Errorf("%w: %.200q", errNoAnswer, body))
		return
	}
	if problem, ok := root["error"]; ok {
		text, _ := wire.Scalar(problem)
		a.Add(backends.SWErr, backends.NoCode, "error: "+text)
		if _, more := root["scanResult"]; !more {
			return
		}
	}
	if about, _ := root["object"].(string); !strings.EqualFold(about, object) {
		a.Fail(fmt.Errorf("%w: it is about %.100q, not %.100q", errNoAnswer, about, object))
		return
	}
	addObject(a, root)
}

// addObject takes one object with its parts. What is wrong with one of them does not
// hide what another is.
func addObject(a *backends.Answer, o map[string]any) {
	words, ok := o["scanResult"].(string)
	if !ok {
		a.Fail(fmt.Errorf("%w: no scanResult", errNoAnswer))
	} else {
		addResult(a, o, words)
	}
	parts, ok := o["subObjectsScanResults"].([]any)
	if !ok && o["subObjectsScanResults"] != nil {
		a.Fail(fmt.Errorf("%w: subObjectsScanResults", errNoAnswer))
	}
	for _, p := range parts {
		part, ok := p.(map[string]any)
		if !ok {
			a.Fail(fmt.Errorf("%w: subObjectsScanResults", errNoAnswer))
			continue
		}
		addObject(a, part)
	}
}

// addResult takes what is said of an object itself.
func addResult(a *backends.Answer, o map[string]any, words string) {
	// Version 3.1 may send the reason in a separate field.
	if reason, ok := o["reason"].(string); ok && words == "NON_SCANNED" {
		words += " (" + strings.ToUpper(reason) + ")"
	}
	name, err := textOf(o, "detectionName")
	a.Fail(err)
	macro, err := textOf(o, "containsOfficeMacro")
	a.Fail(err)
	if err == nil && macro != "" && macro != "true" && macro != "false" {
		a.Fail(fmt.Errorf("%w: containsOfficeMacro is %.50q", errNoAnswer, macro))
	}
	about, _ := o["object"].(string)
	add(a, words, name, macro == "true", strings.TrimSpace(words+" "+name)+" "+about)
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
