package sssp

import (
	"errors"
	"fmt"
	"strings"

	"polyclam/backends"
)

// Bounds on one answer.
const (
	maxLines  = 100_000 // an archive has a line for each locked member
	maxNames  = 100
	maxName   = 256
	maxDetail = 512
)

var (
	errNoDone  = errors.New("the answer ends without DONE")
	errTooLong = errors.New("the answer has too many lines")
)

// answer collects the block of lines that answers a scan.
type answer struct {
	names    []string // of the VIRUS lines
	nameless bool     // a virus without one
	virus    string   // the first line that says so
	events   []string // names of "EVENT VIRUS" lines, which come beside VIRUS lines

	worst finding // of the other lines
	done  bool
	odd   bool // there was a line that is not in the protocol
}

// finding is what one line amounts to.
type finding struct {
	category backends.Category
	code     int
	line     string
	hint     string
}

// readAnswer reads lines up to the empty one that ends the block. A REJ in place of
// a block is a *rejection.
func readAnswer(request string, next func() (string, error)) (answer, error) {
	a := answer{worst: finding{category: backends.OK}}
	for n := 0; n < maxLines; n++ {
		line, err := next()
		if err != nil {
			return a, err
		}
		if line == "" {
			if !a.done {
				return a, errNoDone
			}
			return a, nil
		}
		if r, ok := parseRejection(request, line); ok && n == 0 {
			return a, r
		}
		a.add(line)
	}
	return a, errTooLong
}

// add takes a line into account. DONE is the last one.
func (a *answer) add(line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case word == "VIRUS":
		a.addVirus(line, rest)
	case a.done:
		a.irregular(line)
	case word == "OK" || word == "FAIL":
		a.addStatus(line, word, rest)
	case word == "DONE":
		a.done = true
		status, rest, _ := strings.Cut(rest, " ")
		if status != "OK" && status != "FAIL" {
			a.irregular(line)
			return
		}
		a.addStatus(line, status, rest)
	case word == "EVENT":
		if name, ok := strings.CutPrefix(rest, "VIRUS "); ok && len(a.events) < maxNames {
			name, _, _ = strings.Cut(name, " ")
			a.events = append(a.events, name)
		}
	case word == "TYPE" || word == "FILE":
	default:
		a.irregular(line)
	}
}

// addVirus takes "NAME PATH". A name has no blanks, a path may; of data it is empty.
func (a *answer) addVirus(line, rest string) {
	if a.virus == "" {
		a.virus = line
	}
	name, _, _ := strings.Cut(rest, " ")
	switch {
	case name == "":
		a.nameless = true
	case len(a.names) < maxNames:
		a.names = append(a.names, name[:min(len(name), maxName)])
	}
}

// addStatus takes "CODE PATH" or "CODE TEXT".
func (a *answer) addStatus(line, status, rest string) {
	digits, _, _ := strings.Cut(rest, " ")
	category, code, hint := lookup(status, digits)
	if category == backends.Virus {
		if a.virus == "" {
			a.virus = line
		}
		return
	}
	if code == codeOK && category == backends.OK {
		return
	}
	a.note(finding{category, code, line, hint})
}

func (a *answer) irregular(line string) {
	a.odd = true
	a.note(finding{backends.SWErr, backends.NoCode, line, "unexpected line"})
}

// note keeps the strongest, and the first of equals.
func (a *answer) note(f finding) {
	if a.worst.line == "" || strength(f.category) > strength(a.worst.category) {
		a.worst = f
	}
}

// strength is the order within one answer of one engine. In it a failure counts more
// than a part that cannot be scanned: a retry may find a virus.
func strength(c backends.Category) int {
	switch c {
	case backends.Virus:
		return 5
	case backends.Suspicious:
		return 4
	case backends.Encrypted:
		return 3
	case backends.Partial:
		return 1
	case backends.OK:
		return 0
	}
	return 2
}

// amounts gives the result or the failure that the answer amounts to.
func (a *answer) amounts() (backends.Result, error) {
	w := a.worst
	if r, ok := a.found(); ok && strength(r.Category) >= strength(w.category) {
		return r, nil
	}
	if w.category.IsFailure() {
		text := bounded(w.line)
		if w.hint != "" {
			text += " (" + w.hint + ")"
		}
		return backends.Result{}, &backends.Failure{Category: w.category, Code: w.code, Text: text}
	}
	r, _ := a.found()
	r.Category, r.Code, r.Detail = w.category, w.code, bounded(w.line)
	return r, nil
}

// found is the result of the VIRUS lines, if there are any. A progress line about a
// virus without a verdict about it is taken at its word.
func (a *answer) found() (backends.Result, bool) {
	names := a.names
	if len(names) == 0 && !a.nameless {
		for _, name := range a.events {
			names = append(names, name[:min(len(name), maxName)])
		}
	}
	if a.virus == "" && len(names) == 0 {
		return backends.Result{}, false
	}
	r := backends.Found(codeVirus, names...)
	if a.nameless {
		r.Category = backends.Virus
	}
	r.Detail = bounded(a.virus)
	if a.worst.line != "" {
		r.Detail = bounded(strings.TrimPrefix(r.Detail+"; ", "; ") + a.worst.line)
	}
	return r, true
}

// bounded is text cut to what a detail may have.
func bounded(text string) string {
	text = strings.TrimRight(text, " ")
	return text[:min(len(text), maxDetail)]
}

// unexpected is the error of a line that is not in the protocol.
func unexpected(request, line string) error {
	return fmt.Errorf("%s: unexpected answer %.200q", request, line)
}
