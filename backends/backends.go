// Package backends is the contract between polyclam and the anti-virus engines it asks.
//
// A [Backend] adapts one kind of engine. Its only method, Scan, returns what the engine
// found (a [Result]) and why it did not finish (an error). Both may be set, and then both
// count. Each backend has its own package below this one; package registry lists them
// all. A minimal backend, for an engine that reads a path and answers with a line:
//
//	func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
//		path, err := o.Path()
//		if err != nil {
//			return backends.Result{}, err
//		}
//		line, err := b.ask(ctx, path)
//		if err != nil {
//			return backends.Result{}, err
//		}
//		return parse(line)
//	}
//
//	// parse is the answer table. Anything that is not in it is an error.
//	func parse(line string) (backends.Result, error) {
//		var a backends.Answer
//		switch code, text, _ := strings.Cut(line, ":"); code {
//		case "0":
//			a.Add(backends.OK, 0, "")
//		case "1":
//			a.Found(backends.Virus, 1, text, line)
//		default:
//			a.Fail(fmt.Errorf("unknown answer %q", line))
//		}
//		return a.Result()
//	}
//
// # Results and errors
//
// An [Answer] collects everything that an engine says about one object, and ranks it by
// severity. Only [CategoryOf] turns an error into a [Category]. An answer that is not in
// an engine's table is an error, never OK.
//
// # Optional interfaces
//
// A Backend may implement more. Callers find out by type assertion:
//
//	AllMatcher    ScanAll       reports every match instead of the first
//	Versioner     Version       versions of the engine and its signatures
//	Reloader      Reload        makes the engine load its signatures again
//	SelfChecker   SelfCheck     are the loaded signatures the newest?
//	PathReader    ReadsPaths    does the engine read the object's file itself?
//	SideEffects                 a scan may change the object or report it elsewhere
//	io.Closer     Close         closes idle connections when the engine is removed
//
// An [Object] may also be [Named] or [Placed].
//
// The package imports only the standard library and logs nothing.
package backends

import "context"

// A Backend scans objects with one anti-virus product.
type Backend interface {
	// Scan reports what the engine found. It may return findings together with an
	// error, and then both count: for example, the engine found an encrypted member and
	// then timed out. With an error, a Result without a category means that nothing was
	// found. Scan is safe for concurrent use and returns soon after ctx is done. The
	// object belongs to the caller: Scan neither closes nor keeps it.
	Scan(ctx context.Context, o Object) (Result, error)
}

// Func adapts a function to a Backend, for tests and small adapters.
type Func func(ctx context.Context, o Object) (Result, error)

// Scan implements [Backend].
func (f Func) Scan(ctx context.Context, o Object) (Result, error) { return f(ctx, o) }

// Config holds a backend's keys in an [[engine]] table: a pointer to a struct with toml
// tags, filled with defaults. An int64 field is a size, such as "100MiB"; other numbers
// are ints.
type Config interface {
	// Open checks the keys and returns the backend for the node at address
	// ("unix:/path", "tcp:host:port", or empty for an engine without one). It does not
	// connect: the engine may start later. It returns a [KeyError] for each wrong key,
	// joined with errors.Join.
	Open(address string) (Backend, error)
}

// HostConfig is a Config of backends that use the host name of a node for more than to
// connect: for its certificate, or in the head of a request.
type HostConfig interface {
	Config
	// UsesHost reports whether the backends use the host name.
	UsesHost() bool
	// OpenAt is Open for a node that was found by name: address has its IP address, and host
	// is the name with the port, "clamd.example:3310".
	OpenAt(address, host string) (Backend, error)
}
