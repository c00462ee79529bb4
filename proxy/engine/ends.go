package engine

import (
	"context"
	"errors"

	"polyclam/backends"
)

// ended returns the error of a scan that ctx ended: the cause, followed by the backend's
// error unless that repeats it. An error reported by the engine itself is returned
// unchanged.
func ended(ctx context.Context, err error) error {
	var failure *backends.Failure
	cause := context.Cause(ctx)
	e := &endError{text: cause.Error(), end: ctx.Err(), cause: cause}
	switch {
	case errors.As(err, &failure):
		return err
	case err != nil && errors.Is(err, cause):
		e.text = err.Error()
	case cause == context.Canceled:
		e.text = "called off"
	case cause == context.DeadlineExceeded:
		e.text = "no time left"
	}
	if err != nil && backends.CategoryOf(err) != backends.Interrupted && !errors.Is(err, cause) {
		e.text += ": " + err.Error()
	}
	return e
}

// Ended returns the error of a scan that was interrupted by the end of ctx, in plain words.
func Ended(ctx context.Context) error { return ended(ctx, nil) }

// endError replaces Go's text for the end of a context.
type endError struct {
	text  string
	end   error // context.Canceled or context.DeadlineExceeded
	cause error
}

func (e *endError) Error() string { return e.text }

// Unwrap keeps the cause for errors.Is, unless the cause has its own category: the
// category of an ended scan is always Interrupted.
func (e *endError) Unwrap() []error {
	var failure *backends.Failure
	if errors.As(e.cause, &failure) {
		return []error{e.end}
	}
	return []error{e.end, e.cause}
}

// Overdue is the cause of a context that is canceled because the engine takes longer than
// its caller waits. Unlike [CalledOff] it counts as a timeout of the node.
type Overdue string

// Error implements error.
func (o Overdue) Error() string { return string(o) }

// Is implements the interface of errors.Is.
func (Overdue) Is(target error) bool { return target == context.Canceled }

// CalledOff is the cause of a canceled context. It is context.Canceled for errors.Is.
type CalledOff string

// Error implements error.
func (c CalledOff) Error() string { return string(c) }

// Is implements the interface of errors.Is.
func (CalledOff) Is(target error) bool { return target == context.Canceled }
