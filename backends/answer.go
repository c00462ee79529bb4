package backends

import (
	"errors"
	"slices"
)

// Limits on what an [Answer] keeps.
const (
	maxFindings  = 1000 - 4 // leaves room for a nameless one per category
	maxName      = 1 << 10
	maxNameBytes = 32 << 10 // of all names
	maxFailures  = 100
	maxDetail    = 512
)

// An Answer collects what one engine says about one object, line by line, in any order.
// It keeps findings and failures separately, so that an encrypted member never hides a
// failure. [Stronger] is the only order among them. Adding a line never makes the answer
// weaker. The zero Answer is ready to use. Without a verdict it is a failure. An Answer
// is not safe for concurrent use.
type Answer struct {
	category Category // the strongest that is not a failure, if any
	code     int
	detail   string
	findings []Finding
	names    int // total bytes
	failures Failures
	others   []error // errors other than the engine's own
	refused  bool
}

// Add adds a line without a name. A failure category, or an unknown one, means that the
// engine itself reported a failure. OK means that the engine said it had scanned the
// whole object; a line that merely reports nothing is not OK.
func (a *Answer) Add(c Category, code int, detail string) {
	switch {
	case c.IsFailure():
		a.fail(&Failure{Category: c, Code: code, Text: clip(detail)})
	case c == OK:
		a.verdict(OK, code, detail)
	default:
		a.find(Finding{Category: c})
		a.verdict(c, code, detail)
	}
}

// Found adds the name of what was found. A Virus gets the [NameCategory] of its name;
// any other category is kept. The name may be empty.
func (a *Answer) Found(c Category, code int, name, detail string) {
	if c == Virus && name != "" {
		c = NameCategory(name)
	}
	a.Named(c, code, name, detail)
}

// Named is Found, except that the name never changes the category. Use it for engines
// that report a category, and for names that the sender of the object can choose.
func (a *Answer) Named(c Category, code int, name, detail string) {
	if c.IsFailure() || c == OK {
		a.Add(c, code, detail)
		return
	}
	a.find(Finding{Name: name, Category: c})
	a.verdict(c, code, detail)
}

// Refuse adds the engine's documented refusal of an object of this size: Partial, since
// a retry never helps. It is the only answer without a detection that may arrive before
// the whole object was sent.
func (a *Answer) Refuse(code int, detail string) {
	a.Add(Partial, code, detail)
	a.refused = true
}

// Fail adds the error that ended the answer. It ignores nil.
func (a *Answer) Fail(err error) {
	switch e := err.(type) {
	case nil:
	case *Failure:
		a.fail(e)
	case Failures:
		for _, f := range e {
			a.fail(f)
		}
	default:
		a.others = append(a.others, err)
	}
}

// Early records that the answer began before the last byte of the object was sent. Only
// virus and suspicious count in such an answer. Anything else is dropped and becomes a
// failure.
func (a *Answer) Early() {
	if a.refused || a.category == "" && a.Failed() {
		return
	}
	early := &Failure{Category: SWErr, Code: NoCode, Text: "answered before it had received the whole object"}
	if a.detail != "" {
		early.Text += ": " + a.detail
	}
	a.findings = slices.DeleteFunc(a.findings, func(f Finding) bool { return !isDetection(f.Category) })
	if !isDetection(a.category) {
		a.category, a.code, a.detail = "", NoCode, ""
		a.fail(early)
	}
}

// Category returns the strongest category so far that is not a failure, if any.
func (a *Answer) Category() Category { return a.category }

// Failed reports whether a failure was added.
func (a *Answer) Failed() bool { return len(a.failures) > 0 || len(a.others) > 0 }

// Result returns what was found, and all failures as one error. A failure rules out OK,
// and an answer without a verdict is a failure.
func (a *Answer) Result() (Result, error) {
	err := a.err()
	if a.category == "" && err == nil {
		return Result{}, errors.New("the answer says nothing about the object")
	}
	if a.category == "" || a.category == OK && err != nil {
		return Result{}, err
	}
	return Result{Category: a.category, Code: a.code, Findings: a.named(), Detail: a.detail}, err
}

// err returns a single failure unchanged and several as [Failures], so that none hides
// the category of another.
func (a *Answer) err() error {
	switch {
	case len(a.failures)+len(a.others) == 0:
		return nil
	case len(a.others) == 0 && len(a.failures) == 1:
		return a.failures[0]
	case len(a.others) == 1 && len(a.failures) == 0:
		return a.others[0]
	}
	all := slices.Clone(a.failures)
	for _, err := range a.others {
		for _, c := range CategoriesOf(err) {
			all = append(all, &Failure{Category: c, Code: NoCode, Text: err.Error(), Died: Died(err)})
		}
	}
	return all
}

// named returns the findings, or nil if none of them says more than the category of the
// answer.
func (a *Answer) named() []Finding {
	for _, f := range a.findings {
		if f.Name != "" || f.Category != a.category {
			return a.findings
		}
	}
	return nil
}

// verdict keeps the strongest category; of equals, the first.
func (a *Answer) verdict(c Category, code int, detail string) {
	if a.category == "" || Stronger(c, a.category) {
		a.category, a.code, a.detail = c, code, clip(detail)
	}
}

// find keeps a finding. Beyond the limits it drops names, but never a category.
func (a *Answer) find(f Finding) {
	f.Name = f.Name[:min(len(f.Name), maxName)]
	full := len(a.findings) >= maxFindings || a.names+len(f.Name) > maxNameBytes
	if full {
		f.Name = ""
	}
	same := func(o Finding) bool { return o.Category == f.Category && (o.Name == "" || full) }
	if f.Name == "" && slices.ContainsFunc(a.findings, same) {
		return
	}
	a.findings = append(a.findings, f)
	a.names += len(f.Name)
}

// fail keeps a failure. Beyond the limit it keeps only new categories.
func (a *Answer) fail(f *Failure) {
	same := func(o *Failure) bool { return o.category() == f.category() }
	if len(a.failures) < maxFailures || !slices.ContainsFunc(a.failures, same) {
		a.failures = append(a.failures, f)
	}
}

// isDetection reports whether c means that the engine found something bad.
func isDetection(c Category) bool { return c == Virus || c == Suspicious }

func clip(s string) string { return s[:min(len(s), maxDetail)] }
