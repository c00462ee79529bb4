package line

import (
	"errors"
	"slices"

	"polyclam/backends"
)

// Bounds on what is kept of one answer.
const (
	maxFindings  = 1000
	maxName      = 1 << 10
	maxNameBytes = 32 << 10 // of all names
	maxDetail    = 512
)

// order is the one within an engine's answer, strongest first: a failure tells
// less than a part that is encrypted, and more than a part that was left out.
var order = []backends.Category{
	backends.Virus, backends.Suspicious, backends.Encrypted,
	backends.SWErr, backends.Interrupted, backends.CannotExecute, backends.NotInstalled,
	backends.Partial, backends.OK,
}

// Tally is what the lines of one answer amount to so far: the strongest of them,
// the first of equals.
type Tally struct {
	category backends.Category
	code     int
	detail   string
	findings []backends.Finding
	bytes    int // of names
}

// Add counts a line without a name. An unknown category counts as a failure.
func (t *Tally) Add(category backends.Category, code int, detail string) {
	if !category.Valid() {
		category = backends.SWErr
	}
	if t.category == "" || slices.Index(order, category) < slices.Index(order, t.category) {
		t.category, t.code, t.detail = category, code, clip(detail, maxDetail)
	}
}

// Found counts a line with the name of what was found, Virus or Suspicious. For a
// virus the name has a word in it, see [backends.NameCategory].
func (t *Tally) Found(category backends.Category, code int, name, detail string) {
	if name != "" {
		if category == backends.Virus {
			category = backends.NameCategory(name)
		}
		name = clip(name, maxName)
		if len(t.findings) < maxFindings && t.bytes+len(name) <= maxNameBytes {
			t.findings = append(t.findings, backends.Finding{Name: name, Category: category})
			t.bytes += len(name)
		}
	}
	t.Add(category, code, detail)
}

// Category is the strongest so far; empty if there was no line.
func (t *Tally) Category() backends.Category { return t.category }

// Keeps reports whether the answer must be believed although it breaks off: only a
// virus, of which nothing that is missing can make less.
func (t *Tally) keeps() bool { return t.category == backends.Virus }

// result is what the answer amounts to that ended with err.
func (t *Tally) result(err error) (backends.Result, error) {
	detail := t.detail
	switch {
	case err != nil && t.keeps():
		detail = clip(detail+" (then: "+err.Error()+")", maxDetail)
	case err != nil:
		return backends.Result{}, err
	case t.category == "":
		return backends.Result{}, errors.New("nothing was said about the content")
	case t.category.IsFailure():
		return backends.Result{}, &backends.Failure{Category: t.category, Code: t.code, Text: t.detail}
	}
	return backends.Result{Category: t.category, Code: t.code, Findings: t.findings, Detail: detail}, nil
}

func clip(s string, n int) string { return s[:min(n, len(s))] }
