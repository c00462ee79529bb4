package backends

import "slices"

// A Category classifies the outcome of a scan.
type Category string

// The categories in the default precedence, strongest first. Names from the 2003 feature
// request to MIMEDefang are unchanged.
const (
	Virus         Category = "virus"          // known malware
	Suspicious    Category = "suspicious"     // heuristic, macro, PUA or policy hit
	Encrypted     Category = "encrypted"      // nothing found, but a part is encrypted; a retry never helps
	Partial       Category = "partial"        // nothing found, but a part was not scanned for a permanent reason
	SWErr         Category = "swerr"          // the engine failed; a retry may help
	Interrupted   Category = "interrupted"    // timeout, signal, client or engine gone half-way
	CannotExecute Category = "cannot-execute" // engine unreachable, connection refused, permission denied
	NotInstalled  Category = "not-installed"  // binary or socket does not exist
	OK            Category = "ok"             // every byte scanned, nothing found
)

var categories = []Category{
	Virus, Suspicious, Encrypted, Partial, SWErr, Interrupted, CannotExecute, NotInstalled, OK,
}

// Categories returns all categories in the default precedence, strongest first.
func Categories() []Category { return slices.Clone(categories) }

// Valid reports whether c is one of the nine categories.
func (c Category) Valid() bool { return slices.Contains(categories, c) }

// IsFailure reports whether c means that an engine did not finish its scan. A category
// that is not valid is a failure.
func (c Category) IsFailure() bool {
	switch c {
	case Virus, Suspicious, Encrypted, Partial, OK:
		return false
	}
	return true
}

// Stronger reports whether a precedes b in the default precedence. An unknown category
// counts as SWErr. This is the order of severity within one engine's answer, see
// [Answer]; between engines the site's precedence decides.
func Stronger(a, b Category) bool { return rank(a) < rank(b) }

func rank(c Category) int {
	if i := slices.Index(categories, c); i >= 0 {
		return i
	}
	return slices.Index(categories, SWErr)
}
