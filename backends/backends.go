// Package backends is the contract between polyclam and the engines behind it.
//
// A [Backend] is the adapter to one kind of anti-virus engine. It is one
// method, Scan, plus optional powers found by type assertion: [AllMatcher],
// [Versioner], [Reloader], [SelfChecker] and io.Closer. Every engine protocol has a folder of
// its own below this one; the registry folder names them all.
//
// The rule that everything else rests on: a [Result] says what an engine found, an
// error says that it failed, and one answer may hold both. Backends collect an
// answer in an [Answer], which drops nothing and keeps the one order of severity.
// [CategoryOf] alone gives an error its category. What is not in an engine's answer
// table is an error, never a pass.
//
// The package imports the standard library only and logs nothing.
package backends

import (
	"context"
	"io"
	"os"
	"time"
)

// A Backend scans content with one anti-virus engine.
type Backend interface {
	// Scan reports what the engine found. It may return findings together with an
	// error: then both count (the engine found an encrypted member and timed out).
	// With an error, a Result without a category says that nothing was found. Scan
	// is safe for concurrent use and returns soon after ctx is done. The content is
	// the caller's: Scan neither closes it nor keeps it.
	Scan(ctx context.Context, o Object) (Result, error)
}

// Func makes a Backend of a function, for tests and small adapters.
type Func func(ctx context.Context, o Object) (Result, error)

// Scan implements [Backend].
func (f Func) Scan(ctx context.Context, o Object) (Result, error) { return f(ctx, o) }

// Object is one object to scan, complete and unchanging. Its methods are safe
// for concurrent use, so that every engine reads at its own pace.
type Object interface {
	io.ReaderAt

	// Size is the number of bytes.
	Size() int64

	// File is a descriptor of the whole content, for engines that can be handed
	// one. It belongs to the content: do not close it, and do not rely on or
	// move its offset (use ReadAt).
	File() (*os.File, error)

	// Path is the absolute name of a file with the content, readable for the
	// engines as configured, for engines that only read files. The file lives as
	// long as the content.
	Path() (string, error)
}

// A Named content knows the name of the file that its bytes come from, such as the
// last element of a path that a client asked to scan. Some engines choose by its
// extension how to scan.
//
// The name is hostile input: it may be of any length and contain any byte, line ends,
// quotes and "../" included. A backend that sends it must escape and bound it. It is
// empty if there is none, as for a stream.
type Named interface {
	Name() string
}

// A Placed object is a file that a client named by its path.
type Placed interface {
	// Place says where the file is at this moment.
	//
	// Nothing that another process reads there may decide about the object: the path
	// can lead to another file by then, also if Place says the same before and after.
	Place() (Place, error)
}

// Place is a file at a path, as it was at one moment.
type Place struct {
	Path              string // absolute, without symbolic links
	Device, Inode     uint64
	Size              int64
	Modified, Changed int64 // the times of the file, in nanoseconds
}

// An AllMatcher is a Backend that can go on after the first match.
type AllMatcher interface {
	// ScanAll is Scan with a finding for every match, in the engine's order,
	// repetitions included.
	ScanAll(ctx context.Context, o Object) (Result, error)
}

// A Versioner is a Backend whose engine can tell its version.
type Versioner interface {
	Version(ctx context.Context) (Version, error)
}

// Version is what an engine says of itself.
type Version struct {
	Text         string    // the engine's own words, e.g. "ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026"
	Engine       string    // e.g. "ClamAV 1.4.6"
	Database     string    // number or name of the signature database; empty if unknown
	DatabaseTime time.Time // when the database was made; zero if unknown
}

// A Reloader is a Backend whose engine can be told to load its signatures anew.
type Reloader interface {
	Reload(ctx context.Context) error
}

// A SelfChecker is a Backend whose engine can say whether the signatures it has loaded
// are the newest it has.
type SelfChecker interface {
	// SelfCheck reports that they are, or that the engine is loading newer ones, which
	// the question itself may have made it do. An engine that is too old for the
	// question is an error that wraps [errors.ErrUnsupported].
	SelfCheck(ctx context.Context) (upToDate bool, err error)
}

// A PathReader is a Backend that may have its engine read a content's [Object.Path]:
// there has to be a place for such files.
type PathReader interface {
	// ReadsPaths reports whether it does, as it is configured.
	ReadsPaths() bool
}

// Config holds the keys of one backend in an [[engine]] table of the
// configuration: a pointer to a struct with toml tags, filled with defaults. An int64 in
// it is a size, which the configuration writes as "100MiB"; other numbers are ints.
type Config interface {
	// Open checks the keys and returns the backend for the node at address
	// ("unix:/path", "tcp:host:port", or empty for an engine without one). It
	// dials nothing: an engine may come up later. It returns a [KeyError] for each
	// wrong key, several of them joined with errors.Join.
	Open(address string) (Backend, error)
}

// SideEffects is a Backend whose scan does more than look: it runs a program, which
// may move, repair or report what it is given. Such an object is never given to two
// nodes at the same time.
type SideEffects interface {
	HasSideEffects()
}
