package backends

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrNoReply means that the engine closed or reset the connection before the first byte
// of its answer: CannotExecute. Backends wrap it. If an answer breaks off later, they
// return another error, which is SWErr.
var ErrNoReply = errors.New("connection closed without a reply")

// A Failure is an engine's own report that its scan failed.
type Failure struct {
	Category Category // SWErr if IsFailure is false for it
	Code     int      // the engine's own code, or NoCode
	Text     string   // the engine's own words, not escaped
	Died     bool     // the program that scanned was killed, see [Died]
	Busy     bool     // the engine is overloaded, see [Busy]
	NoRoom   bool     // the engine cannot write its temporary files, see [NoRoom]
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// Failures are several failures in one answer. [CategoriesOf] returns the categories of
// all of them.
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

// Unwrap returns the strongest failure, the first of equals, for errors.As.
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

// A ConnError means that no conversation with a node started: it cannot be connected to,
// does not send its greeting in time, or is not trusted.
type ConnError struct {
	Category Category // CannotExecute if empty
	Text     string   // what happened, after how long, and the key that changes it
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

// A KeyError is an error in one configuration key. [Config].Open returns one for each
// wrong key, joined with errors.Join, so that the caller can point at the lines.
type KeyError struct {
	Key string // as written in the table: "connect_timeout", "exit.2", "hashes[0]"
	Err error  // what is wrong with its value, and what would be right; does not repeat the key
}

// Error implements error.
func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// KeyErrorf returns a [KeyError] with an error from fmt.Errorf.
func KeyErrorf(key, format string, args ...any) error {
	return &KeyError{key, fmt.Errorf(format, args...)}
}

// A ChoiceError is the cause of a KeyError for a value that is not among the choices. The
// caller may suggest the likely one.
type ChoiceError struct {
	Value   string
	Choices []string
}

// Error implements error.
func (e *ChoiceError) Error() string {
	return fmt.Sprintf("%q is unknown; write one of %s", e.Value, strings.Join(e.Choices, ", "))
}

// OneOf returns a [KeyError] unless value is one of choices.
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

// An ObjectError means that polyclam could not read or name the object. It says nothing
// about the engine, and hides its cause from [CategoryOf]: a missing file is not a
// missing engine.
type ObjectError struct {
	Doing string // e.g. "reading the object"
	Err   error
}

// Error implements error.
func (e *ObjectError) Error() string { return e.Doing + ": " + e.Err.Error() }

// A TimeoutError is the cause of a context whose time limit comes from the configuration.
// It matches context.DeadlineExceeded.
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
