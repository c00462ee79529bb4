package backends

// Abilities is what a kind of engine can tell at all, for the table of engines in
// the manual and for `polyclam check`, which sets it beside what the test files
// really gave.
type Abilities struct {
	Virus, Suspicious, Encrypted, Partial bool
	Names                                 bool // the names of signatures
	Version                               bool // of the engine
	DatabaseAge                           bool // when the signatures were made
	// Source is where the mapping of answers comes from, and how far it can be
	// trusted: the engine itself tried here, the vendor's documents, or other
	// projects that drive it.
	Source string
	// Tested is how: "real engine", "recorded bytes" or "composed bytes".
	Tested string
}
