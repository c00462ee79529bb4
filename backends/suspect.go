package backends

import (
	"context"
	"errors"
)

type suspectKey struct{}

// WithSuspect returns a context for the scan of an object that the engine has died of. Its
// backend sends it on a new connection, and only once: a kept connection that breaks would
// leave open whether the object is to blame, and sending it again would be another death.
func WithSuspect(ctx context.Context) context.Context {
	return context.WithValue(ctx, suspectKey{}, true)
}

// IsSuspect reports whether ctx is from [WithSuspect].
func IsSuspect(ctx context.Context) bool { return ctx.Value(suspectKey{}) != nil }

// Twice returns the error of a scan that broke a kept connection, and then broke a new one
// with err. The text is that of err.
func Twice(err error) error { return &twice{err} }

type twice struct{ error }

// Unwrap returns the error of the second connection.
func (t *twice) Unwrap() error { return t.error }

// IsTwice reports whether err is from [Twice].
func IsTwice(err error) bool { return errors.As(err, new(*twice)) }

// Deaths returns how often the engine died during a scan that ended with err, see [Died].
func Deaths(err error) int {
	switch {
	case !Died(err):
		return 0
	case IsTwice(err):
		return 2
	}
	return 1
}
