package backends

// NoCode is the code of a result or failure without one. MIMEDefang uses the same number.
const NoCode = 999

// A Finding is one thing an engine reported: a category and usually a name.
type Finding struct {
	Name     string   // as the engine sent it, not escaped; may be empty
	Category Category // what the name means, see [NameCategory]
}

// A Result is what one engine found. The zero Result is not valid: the policy treats its
// empty category as a failure.
type Result struct {
	// Category is the category of the whole answer.
	Category Category
	// Code is the engine's own code: an exit status, an SSSP number, 1 for clamd's
	// FOUND and 0 for its OK, or NoCode.
	Code int
	// Findings are the names reported, in the engine's order.
	Findings []Finding
	// Detail is the engine's own message for the log and extended replies, not escaped.
	Detail string
}

// Clean returns the result of an engine that scanned every byte and found nothing.
func Clean(code int) Result { return Result{Category: OK, Code: code} }

// Found returns the result of an engine that found these names. Each finding gets its
// [NameCategory], and the result the strongest of them. Without names it is Virus.
func Found(code int, names ...string) Result {
	r := Result{Code: code}
	for _, n := range names {
		r.Findings = append(r.Findings, Finding{Name: n, Category: NameCategory(n)})
	}
	r.Category = Strongest(r.Findings)
	return r
}

// Strongest returns the strongest category among findings in the default
// precedence, and Virus if there are none.
func Strongest(findings []Finding) Category {
	if len(findings) == 0 {
		return Virus
	}
	c := findings[0].Category
	for _, f := range findings[1:] {
		if Stronger(f.Category, c) {
			c = f.Category
		}
	}
	return c
}
