package kse

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// answers maps the engine's texts to categories, according to "Format of a response to a
// scan POST request" in its manual. Version 1.0 sends DETECTED. Any other text is a
// failure, including NON_SCANNED without a reason.
var answers = []struct {
	text     string
	category backends.Category
	names    bool // names may follow
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

// withMacro is appended to the text about an object with macros. MailScanner reports the
// same name.
const (
	withMacro = " AND CONTAINS OFFICE MACRO"
	macroName = "OFFICE MACRO"
)

// add adds the text about one object, and its names and macros from other fields.
func add(a *backends.Answer, result, names string, macro bool, detail string) {
	text, suffixed := strings.CutSuffix(result, withMacro)
	category, named, ok := lookup(text)
	if macro || suffixed {
		a.Found(backends.Suspicious, backends.NoCode, macroName, detail)
	}
	switch {
	case !ok:
		a.Fail(fmt.Errorf("%w: %.200q", errNoAnswer, result))
	case category == backends.Virus:
		found(a, named+","+names, detail)
	case names != "":
		// A name contradicts the text, so this is never OK.
		a.Fail(fmt.Errorf("%w: %.100q with the name %.100q", errNoAnswer, result, names))
	case category == backends.OK:
		a.Add(category, backends.NoCode, "")
	default:
		a.Add(category, backends.NoCode, detail)
	}
}

// found adds a list of names.
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

// lookup finds the row of a text, and the names after its verb.
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

// addText adds an answer of protocol 1, which is one line. Several lines are a failure,
// but their findings count too.
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

// addJSON adds an answer of protocol 3 about object.
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

// addObject adds an object and its parts. A failure of one does not hide a finding in
// another.
func addObject(a *backends.Answer, o map[string]any) {
	result, ok := o["scanResult"].(string)
	if !ok {
		a.Fail(fmt.Errorf("%w: no scanResult", errNoAnswer))
	} else {
		addResult(a, o, result)
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

// addResult adds the result of one object without its parts.
func addResult(a *backends.Answer, o map[string]any, result string) {
	// Version 3.1 may send the reason in a separate field.
	if reason, ok := o["reason"].(string); ok && result == "NON_SCANNED" {
		result += " (" + strings.ToUpper(reason) + ")"
	}
	name, err := textOf(o, "detectionName")
	a.Fail(err)
	macro, err := textOf(o, "containsOfficeMacro")
	a.Fail(err)
	if err == nil && macro != "" && macro != "true" && macro != "false" {
		a.Fail(fmt.Errorf("%w: containsOfficeMacro is %.50q", errNoAnswer, macro))
	}
	about, _ := o["object"].(string)
	add(a, result, name, macro == "true", strings.TrimSpace(result+" "+name)+" "+about)
}

// textOf returns a field that may be missing or null.
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
