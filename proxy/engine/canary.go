package engine

import (
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
)

// Canary is how a node answered the test objects of its last health check.
type Canary struct {
	Time time.Time `json:"time,omitzero"` // of the answers; zero: never asked
	// Clean is the category of the clean control. A node is up only if it is ok.
	Clean backends.Category `json:"clean,omitempty"`
	// EICAR is the category of the EICAR test file, and Name the name the engine gave it. A
	// node is up only if the category is virus or suspicious. Empty: not asked, because the
	// clean control failed.
	EICAR backends.Category `json:"eicar,omitempty"`
	Name  string            `json:"name,omitempty"`
	// Encrypted is the category of a small encrypted archive: encrypted if the engine
	// reports encryption. For information; empty: not asked.
	Encrypted backends.Category `json:"encrypted,omitempty"`
	// Mail is the category of a mail with EICAR in it. A node that has found it must go on
	// finding it. Empty: not asked.
	Mail  backends.Category `json:"mail,omitempty"`
	Error string            `json:"error,omitempty"` // why a test object was not scanned
}

// proof is what a health check found out.
type proof struct {
	state  health.State // up, down or blind
	reason error        // why it is not up
	alarm  bool         // blind because it calls a harmless text a virus
	canary Canary

	learned         bool // heuristicsFirst is known
	refused         bool // it is not, since the engine itself reports a failure
	heuristicsFirst bool // the node stops at the first heuristic finding

	mail   mailAnswer
	packed bool  // EICAR is found in an archive; known only if it is not found in a mail
	noRoom error // the engine cannot write its temporary files
}

func (p proof) failed(err error) proof {
	p.state, p.reason, p.canary.Error = health.Down, err, shortened(err.Error(), maxReason)
	return p
}

func (p proof) blind(text string) proof {
	p.state, p.reason = health.Blind, untrusted(text)
	return p
}

func (p proof) outcome() health.Outcome {
	return health.Outcome{
		State: p.state, Reason: p.reason, Alarm: p.alarm,
		Answered: p.canary.Error == "", At: p.canary.Time,
	}
}

// untrusted returns the reason for not using a node although it answers.
func untrusted(text string) error {
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: text}
}

// inconclusive is the error of a test object that never reached its node.
type inconclusive struct{ error }

func (e inconclusive) Unwrap() error { return e.error }

func isInconclusive(err error) bool {
	_, ok := err.(inconclusive)
	return ok
}

func categoryOf(r backends.Result, err error) backends.Category {
	if err != nil && !detected(r) {
		return backends.CategoryOf(err)
	}
	return r.Category
}

func firstName(r backends.Result) string {
	for _, f := range r.Findings {
		if f.Name != "" {
			return bounded(f.Name)
		}
	}
	return ""
}

func colonName(r backends.Result) string {
	if name := firstName(r); name != "" {
		return ": " + name
	}
	return ""
}
