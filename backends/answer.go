package backends

import (
	"errors"
	"slices"
)

// Bounds on what an [Answer] keeps of one answer.
const (
	maxFindings  = 1000 - 4 // room for one without a name of each category
	maxName      = 1 << 10
	maxNameBytes = 32 << 10 // of all names
	maxFailures  = 100
	maxDetail    = 512
)

// An Answer collects what one engine says about one object, line by line, in any
// order. Findings and failures are kept side by side, so that an encrypted member
// never hides a failure; [Stronger] is the only order among them. Nothing a caller
// adds can make the answer weaker. The zero Answer is ready to use: it has no
// verdict, which is a failure. An Answer is not safe for concurrent use.
type Answer struct {
	category Category // the strongest that is not a failure; empty: none yet
	code     int
	detail   string
	findings []Finding
	names    int // bytes of all names
	failures Failures
	others   []error // what the engine did not say itself
	refused  bool
}

// Add takes a line without a name. A category of failure is the engine's own word
// that it failed, an unknown category a failure too. OK means that the engine says
// it scanned the whole object: a line that only fails to report anything is not OK.
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

// Found takes the name of what was found. For a Virus the name has a say, see
// [NameCategory]; any other category stays as it is. The name may be empty.
func (a *Answer) Found(c Category, code int, name, detail string) {
	if c == Virus && name != "" {
		c = NameCategory(name)
	}
	a.Named(c, code, name, detail)
}

// Named is Found with a category that the name does not change: for engines that
// report a category of their own, and for names that a sender can choose.
func (a *Answer) Named(c Category, code int, name, detail string) {
	if c.IsFailure() || c == OK {
		a.Add(c, code, detail)
		return
	}
	a.find(Finding{Name: name, Category: c})
	a.verdict(c, code, detail)
}

// Refuse records the engine's documented refusal of an object of this size: Partial,
// since no retry helps. It is the only answer without a detection that may come before
// the whole object was sent.
func (a *Answer) Refuse(code int, detail string) {
	a.Add(Partial, code, detail)
	a.refused = true
}

// Fail takes an error that ended the answer. Nil is none.
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

// Early says that the answer began before the engine had been given the last byte
// of the object. Such an answer may say virus or suspicious. Anything else in it is
// dropped, and counts as a failure of the engine.
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

// Category is the strongest so far that is not a failure; empty if there is none.
func (a *Answer) Category() Category { return a.category }

// Failed reports whether a failure was added.
func (a *Answer) Failed() bool { return len(a.failures) > 0 || len(a.others) > 0 }

// Result returns everything that was added: what was found, and the failures as an
// error beside it. An OK beside a failure is none. Without a verdict it is a failure.
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

// err is all failures in one error: the only one as it is, several as [Failures],
// lest one hides the category of another.
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

// named is the list of findings. One that has no name and adds nothing to the
// category of the whole is left out.
func (a *Answer) named() []Finding {
	for _, f := range a.findings {
		if f.Name != "" || f.Category != a.category {
			return a.findings
		}
	}
	return nil
}

// verdict keeps the strongest, and the first of equals.
func (a *Answer) verdict(c Category, code int, detail string) {
	if a.category == "" || Stronger(c, a.category) {
		a.category, a.code, a.detail = c, code, clip(detail)
	}
}

// find keeps a finding. Beyond the bounds names are dropped, but never a category.
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

// fail keeps a failure. Beyond the bound only new categories are kept.
func (a *Answer) fail(f *Failure) {
	same := func(o *Failure) bool { return o.category() == f.category() }
	if len(a.failures) < maxFailures || !slices.ContainsFunc(a.failures, same) {
		a.failures = append(a.failures, f)
	}
}

// isDetection reports whether c says that the engine has seen something bad.
func isDetection(c Category) bool { return c == Virus || c == Suspicious }

func clip(s string) string { return s[:min(len(s), maxDetail)] }
