package extended

import "time"

// The last words of the records.
const (
	WordEngine  = "ENGINE"
	WordSummary = "SUMMARY"
	WordServer  = "SERVER"
	WordNode    = "NODE"
)

// Version is the version of the record format in this package. A SUMMARY with another
// version may have another meaning: reject it.
const Version = 1

// NoCode is the code of an engine that reports none.
const NoCode = 999

// Engine is an ENGINE record: what one engine reported.
type Engine struct {
	Engine    string        // its name in the configuration
	Category  string        // the strongest one, after the rules
	Action    string        // ok, quarantine or tempfail
	Code      int           // the engine's own, or NoCode
	Elapsed   time.Duration // to the millisecond
	Names     []string      // what it found, the strongest first; polyclam writes at most eight
	NameCount int64         // total number of names, at least len(Names)
	Failure   string        // the category of a failure in addition to the finding
	Passed    []Passed      // findings that a rule let pass; polyclam writes at most eight
	Node      string        // the address of the node that was asked last
	Message   string        // the engine's message and the text of its error
	Required  bool          // true if missing
	Counts    bool          // the verdict depends on it; true if missing
	Cancelled bool          // cancelled because it could no longer change the verdict
}

// Passed is a finding that a rule let pass.
type Passed struct {
	Name string
	Rule string // its regular expression
}

func (e *Engine) fields() []field {
	return []field{
		text("engine", &e.Engine),
		text("category", &e.Category),
		text("action", &e.Action),
		code(&e.Code),
		seconds("elapsed", &e.Elapsed),
		names(&e.Names),
		count("names", 1, &e.NameCount),
		text("failure", &e.Failure),
		passed(&e.Passed),
		text("node", &e.Node),
		text("msg", &e.Message),
		flag("required", &e.Required, "", "no"),
		flag("counts", &e.Counts, "", "no"),
		flag("cancelled", &e.Cancelled, "yes", ""),
	}
}

// Record returns e as a record about object.
func (e Engine) Record(object string) Record { return write(object, WordEngine, e.fields()) }

// Engine reads an ENGINE record. The error wraps [ErrSyntax] if the code is missing
// or not a number; the other fields are set anyway.
func (r Record) Engine() (Engine, error) {
	var e Engine
	err := read(r, e.fields())
	e.NameCount = max(e.NameCount, int64(len(e.Names)))
	return e, err
}

// names are written as name, also, also ...
func names(p *[]string) field {
	return field{
		write: func(r *Record) {
			key := "name"
			for _, n := range *p {
				if n != "" {
					r.add(key, n)
					key = "also"
				}
			}
		},
		read: func(r Record) error {
			for _, f := range r.Fields {
				if (f.Key == "name" || f.Key == "also") && f.Value != "" {
					*p = append(*p, f.Value)
				}
			}
			return nil
		},
	}
}

// passed are written as pairs of passed and rule.
func passed(p *[]Passed) field {
	return field{
		write: func(r *Record) {
			for _, x := range *p {
				r.add("passed", x.Name)
				r.add("rule", x.Rule)
			}
		},
		read: func(r Record) error {
			for _, f := range r.Fields {
				switch n := len(*p); {
				case f.Key == "passed":
					*p = append(*p, Passed{Name: f.Value})
				case f.Key == "rule" && n > 0:
					(*p)[n-1].Rule = f.Value
				}
			}
			return nil
		},
	}
}

// Summary is a SUMMARY record: the verdict.
type Summary struct {
	Category string
	Action   string
	Code     int
	Engine   string // the engine whose result is the verdict
	ActionBy string // the engine that required the action, if it is another one
	Engines  int64  // how many ENGINE records belong to it
	Failed   int64  // how many of them failed
	Version  int64
}

func (s *Summary) fields() []field {
	return []field{
		text("category", &s.Category),
		text("action", &s.Action),
		code(&s.Code),
		text("engine", &s.Engine),
		text("action_by", &s.ActionBy),
		number("engines", &s.Engines),
		number("failed", &s.Failed),
		number("version", &s.Version),
	}
}

// Record returns s as a record about object.
func (s Summary) Record(object string) Record { return write(object, WordSummary, s.fields()) }

// Summary reads a SUMMARY record. The error wraps [ErrSyntax] if the code is missing
// or not a number; the other fields are set anyway.
func (r Record) Summary() (Summary, error) {
	var s Summary
	err := read(r, s.fields())
	return s, err
}
