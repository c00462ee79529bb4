package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrNoReply is wrapped by a backend whose engine closed or reset the connection
// before it had sent one byte of its answer: CannotExecute. An answer that
// breaks off in the middle is a plain error: SWErr.
var ErrNoReply = errors.New("connection closed without a reply")

// A Failure is an engine's own word that it could not come to an answer.
type Failure struct {
	Category Category // one for which IsFailure is true; anything else counts as SWErr
	Code     int      // the engine's own code, or NoCode
	Text     string   // the engine's own words, raw: escape before showing
	Died     bool     // the program that scanned was killed, see [Died]
	Busy     bool     // the engine says that it has too much to do, see [Busy]
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// Failures are several failures in one answer. None of them hides another: see
// [CategoriesOf].
type Failures []*Failure

// Error implements error.
func (fs Failures) Error() string {
	var b strings.Builder
	for i, f := range fs {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.Text)
	}
	return b.String()
}

// Unwrap returns the strongest failure, the first of equals, so that errors.As
// finds it.
func (fs Failures) Unwrap() error {
	if len(fs) == 0 {
		return nil
	}
	strongest := fs[0]
	for _, f := range fs[1:] {
		if Stronger(f.category(), strongest.category()) {
			strongest = f
		}
	}
	return strongest
}

func (f *Failure) category() Category {
	if f.Category.Valid() && f.Category.IsFailure() {
		return f.Category
	}
	return SWErr
}

// A ConnError is our own conclusion about a node, as opposed to the engine's words:
// it cannot be connected to, does not greet in time, or is not trusted.
type ConnError struct {
	Category Category // CannotExecute if empty
	Text     string   // what happened, for how long, and the key that changes it
	Err      error    // may be nil
}

// Error implements error.
func (e *ConnError) Error() string {
	if e.Err == nil {
		return e.Text
	}
	if e.Text == "" {
		return e.Err.Error()
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// A KeyError is an error of one key of the configuration. [Config].Open returns it for
// each key that is wrong, several of them joined with errors.Join, so that the caller
// can point at the line of the key.
type KeyError struct {
	Key string // as written in the table: "connect_timeout", "exit.2", "hashes[0]"
	Err error  // what is wrong with its value, and what would be right; does not repeat the key
}

// Error implements error.
func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// KeyErrorf returns a [KeyError] with the text of fmt.Errorf.
func KeyErrorf(key, format string, args ...any) error {
	return &KeyError{key, fmt.Errorf(format, args...)}
}

// A ChoiceError is the cause of a KeyError whose value is none of a few words. The
// caller may add which of them was probably meant.
type ChoiceError struct {
	Value   string
	Choices []string
}

// Error implements error.
func (e *ChoiceError) Error() string {
	return fmt.Sprintf("%q is unknown; write one of %s", e.Value, strings.Join(e.Choices, ", "))
}

// OneOf returns a [KeyError] unless the value of a key is one of choices.
func OneOf[T ~string](key string, value T, choices ...T) error {
	if slices.Contains(choices, value) {
		return nil
	}
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = string(c)
	}
	return &KeyError{key, &ChoiceError{string(value), words}}
}

// An ObjectError says that we could not read or name the object ourselves. It says
// nothing about the engine, and hides its cause from [CategoryOf]: a missing file of
// ours is not a missing engine.
type ObjectError struct {
	Doing string // e.g. "reading the object"
	Err   error
}

// Error implements error.
func (e *ObjectError) Error() string { return e.Doing + ": " + e.Err.Error() }

// A TimeoutError is the cause of a context that ends at a limit of the
// configuration. It is a context.DeadlineExceeded for errors.Is.
type TimeoutError struct {
	After time.Duration
	Key   string // of the configuration
}

// Error implements error.
func (e *TimeoutError) Error() string {
	return "no answer within " + e.After.String() + " (key " + e.Key + ")"
}

// Is implements the interface of errors.Is.
func (e *TimeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// CategoryOf says what the error of a scan amounts to. It is the one place
// where errors become categories:
//
//	a *Failure, the strongest of Failures      its own category
//	a *ConnError                              its own category, or CannotExecute
//	an *ObjectError                           SWErr
//	cancelled; a connection closed by us      Interrupted
//	no socket, no program                     NotInstalled
//	not reachable: refused, permission, DNS,
//	no connection in time                     CannotExecute
//	a program that cannot be started          CannotExecute
//	closed without a reply, see ErrNoReply    CannotExecute
//	deadline over, program killed by a signal Interrupted
//	anything else                             SWErr
//
// A reset or end of a connection is SWErr unless the backend says ErrNoReply:
// only it knows whether there was a beginning of an answer. A missing file is
// NotInstalled only where something was to be connected to or started, so that a
// content that has gone does not look like an engine that is not there.
//
// A nil error has no category; CategoryOf(nil) is SWErr, so that a forgotten
// result can never pass for OK.
func CategoryOf(err error) Category {
	var failure *Failure
	var object *ObjectError
	var conn *ConnError
	switch {
	case errors.As(err, &failure):
		return failure.category()
	case errors.As(err, &object):
		return SWErr
	case errors.As(err, &conn):
		if conn.Category.Valid() && conn.Category.IsFailure() {
			return conn.Category
		}
		return CannotExecute
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return Interrupted
	case errors.Is(err, exec.ErrNotFound):
		return NotInstalled
	case errors.Is(err, fs.ErrNotExist) && !isOpen(err):
		return NotInstalled
	case isDial(err), isStart(err):
		// Before the deadlines: an engine that cannot be connected to in time
		// cannot be reached, whoever set the time.
		return CannotExecute
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, ErrNoReply):
		return CannotExecute
	case isTimeout(err), isKilled(err):
		return Interrupted
	}
	return SWErr
}

// CategoriesOf returns the categories of all failures in err, strongest first and
// each once. For anything but [Failures] it is CategoryOf alone.
func CategoriesOf(err error) []Category {
	var fs Failures
	if !errors.As(err, &fs) || len(fs) == 0 {
		return []Category{CategoryOf(err)}
	}
	var all []Category
	for _, f := range fs {
		if c := f.category(); !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Category) int { return rank(a) - rank(b) })
	return all
}

// Unreachable reports whether err is our own conclusion that the node does not serve
// us: no connection in time, a refused or reset one, one closed without a reply. The
// engine's own words never are, whatever their category: the node did answer.
func Unreachable(err error) bool {
	var failure *Failure
	var object *ObjectError
	var conn *ConnError
	switch {
	case isExhausted(err):
		return false
	case errors.As(err, &failure), errors.As(err, &object):
		return false
	case errors.As(err, &conn), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true
	}
	c := CategoryOf(err)
	return c == CannotExecute || c == NotInstalled
}

// isExhausted reports whether we lack descriptors or memory for a conversation with an
// engine: that says nothing about the engine.
func isExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ENOBUFS)
}

// Died reports whether err says that the engine ended while it had the object: the
// connection broke before the answer was complete, or the program was killed by a
// signal. That an engine cannot be connected to says nothing about the object.
func Died(err error) bool {
	var failures Failures
	var failure *Failure
	var object *ObjectError
	var conn *ConnError
	switch {
	case errors.As(err, &failures):
		return slices.ContainsFunc(failures, func(f *Failure) bool { return f.Died })
	case errors.As(err, &failure):
		return failure.Died
	case errors.As(err, &object), errors.As(err, &conn), isDial(err), isStart(err):
		return false
	}
	return errors.Is(err, ErrNoReply) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || isKilled(err)
}

// Busy reports whether err is an engine's documented answer that it has too much to do:
// fewer scans at the same time may help.
func Busy(err error) bool {
	var failures Failures
	if errors.As(err, &failures) {
		return slices.ContainsFunc(failures, func(f *Failure) bool { return f.Busy })
	}
	var failure *Failure
	return errors.As(err, &failure) && failure.Busy
}

// isDial reports whether err came from making a connection, DNS included.
func isDial(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	return errors.As(err, &dns)
}

// startOp is the operation in the errors of [os.StartProcess].
const startOp = "fork/exec"

// isStart reports whether err came from starting a program.
func isStart(err error) bool {
	var start *exec.Error
	var path *fs.PathError
	return errors.As(err, &start) || errors.As(err, &path) && path.Op == startOp
}

// isOpen reports whether err came from a file that is neither a socket nor a
// program.
func isOpen(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "open"
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// isKilled reports whether err is the end of a program by a signal.
func isKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}
