package backends

import "slices"

// Category is what a scan amounts to.
type Category string

// The categories, strongest first in the default precedence. The names are the
// ones of the request of 2003 to MIMEDefang, where there is one.
const (
	Virus         Category = "virus"          // known malware
	Suspicious    Category = "suspicious"     // heuristic, macro, PUA or policy hit
	Encrypted     Category = "encrypted"      // nothing found, but a part is encrypted; no retry helps
	Partial       Category = "partial"        // nothing found, but a part was not scanned for a permanent reason
	SWErr         Category = "swerr"          // the engine failed; a retry may help
	Interrupted   Category = "interrupted"    // timeout, signal, client or engine gone in the middle
	CannotExecute Category = "cannot-execute" // engine not reachable, refused, permission
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

// IsFailure reports whether c says that an engine did not come to an answer. A
// category that is not valid is a failure.
func (c Category) IsFailure() bool {
	switch c {
	case Virus, Suspicious, Encrypted, Partial, OK:
		return false
	}
	return true
}

// Stronger reports whether a precedes b in the default precedence. An unknown
// category counts as SWErr. It is the only order of severity within one engine's
// answer, see [Answer]; between engines the site's precedence decides.
func Stronger(a, b Category) bool { return rank(a) < rank(b) }

func rank(c Category) int {
	if i := slices.Index(categories, c); i >= 0 {
		return i
	}
	return slices.Index(categories, SWErr)
}
