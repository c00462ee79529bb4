package record

import "polyclam/backends"

// Reported is everything that one engine reported about an object, before the rules: what
// the verdict by another policy depends on. It is kept only if the category, the names and
// the failure of the engine's result do not say it already.
type Reported struct {
	Findings []backends.Finding
	LeftOut  int // further findings
	// Whole is the category of the answer as a whole, if no finding has it.
	Whole    backends.Category
	Failures []backends.Category
}
