package backends

import (
	"context"
	"time"
)

// An AllMatcher is a Backend that can continue after the first match.
type AllMatcher interface {
	// ScanAll is Scan with a finding for every match, in the engine's order,
	// repetitions included.
	ScanAll(ctx context.Context, o Object) (Result, error)
}

// A Versioner is a Backend whose engine reports its version.
type Versioner interface {
	Version(ctx context.Context) (Version, error)
}

// Version is what an engine reports about itself.
type Version struct {
	Text         string    // the engine's own text, e.g. "ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026"
	Engine       string    // e.g. "ClamAV 1.4.6"
	Database     string    // number or name of the signature database; empty if unknown
	DatabaseTime time.Time // when the database was made; zero if unknown
}

// A Reloader is a Backend whose engine loads its signatures again on request.
type Reloader interface {
	Reload(ctx context.Context) error
}

// A SelfChecker is a Backend whose engine knows whether the signatures it has loaded
// are the newest on its disk.
type SelfChecker interface {
	// SelfCheck reports true if they are, and false if the engine is loading newer
	// ones; the request itself may have started that. The error wraps
	// [errors.ErrUnsupported] if the engine is too old for the request.
	SelfCheck(ctx context.Context) (upToDate bool, err error)
}

// A PathReader is a Backend whose engine may read the file at [Object.Path]. Then the
// spool needs a directory for such files.
type PathReader interface {
	// ReadsPaths reports whether the engine reads paths with this configuration.
	ReadsPaths() bool
}

// A FileReader is a Backend whose engine may be passed the descriptor of [Object.File].
// Objects that no engine reads as files can stay in memory.
type FileReader interface {
	// ReadsFiles reports whether the engine gets descriptors with this configuration.
	ReadsFiles() bool
}

// SideEffects is a Backend whose scan may do more than read the object: it runs a
// program, which may move, repair or report it. Such a backend never scans an object on
// two nodes at the same time.
type SideEffects interface {
	HasSideEffects()
}

// A Deadlined backend talks to its engine over sockets with deadlines. Scan of a [Sealed]
// object returns soon after its context ends, whatever the engine does, and ends neither its
// goroutine nor panics by design. So it may be called without a goroutine that can be
// abandoned. A backend that runs programs, opens files by name or calls a library is not.
type Deadlined interface {
	// ReturnsInTime reports whether that is so with this configuration.
	ReturnsInTime() bool
}

// Abilities says what a kind of engine can report. The manual lists it, and `polyclam
// check` compares it with what the engine reports about test files.
type Abilities struct {
	Virus, Suspicious, Encrypted, Partial bool
	Names                                 bool // names of signatures
	Version                               bool // of the engine
	DatabaseAge                           bool // when the signatures were made
	// Source is where the answer table comes from, and so how far to trust it: the
	// engine itself, as tried here, the vendor's documents, or other projects.
	Source string
	// Tested is what the backend was tested with: "real engine", "recorded bytes" or
	// "composed bytes".
	Tested string
}

// Categories returns the categories that the engine can report besides OK and failures.
func (a Abilities) Categories() []Category {
	var reported []Category
	for _, row := range []struct {
		can bool
		c   Category
	}{{a.Virus, Virus}, {a.Suspicious, Suspicious}, {a.Encrypted, Encrypted}, {a.Partial, Partial}} {
		if row.can {
			reported = append(reported, row.c)
		}
	}
	return reported
}

// A ProgramRunner is a Backend that starts programs.
type ProgramRunner interface {
	// CheckPrograms returns why a program cannot be started, without starting it.
	CheckPrograms() error
}
