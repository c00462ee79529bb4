package backends

// NoCode is the code of a result or failure for which the engine has none, as
// MIMEDefang uses it.
const NoCode = 999

// Finding is one thing an engine reported: a category and usually a name.
type Finding struct {
	Name     string   // raw, as the engine sent it: escape before showing; empty: none
	Category Category // what the name says, see [NameCategory]
}

// Result is what one engine found. The zero Result is not valid: its category
// is empty, which the policy takes for a failure.
type Result struct {
	// Category is what the answer as a whole amounts to.
	Category Category
	// Code is the engine's own code: exit status, SSSP number, 1 for clamd's
	// FOUND and 0 for its OK, NoCode where there is none.
	Code int
	// Findings are the names reported, in the engine's order.
	Findings []Finding
	// Detail is the engine's own message, raw, for log and extended replies.
	Detail string
}

// Clean is the result of an engine that scanned every byte and found nothing.
func Clean(code int) Result { return Result{Category: OK, Code: code} }

// Found is the result of an engine that reports by name. Each name gets its
// category from the table of names that all backends share, and the result the
// strongest of these. Found without a name is a Virus.
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
