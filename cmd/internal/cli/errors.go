package cli

import (
	"errors"
	"fmt"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/suggest"
)

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns a usage error, formatted as by [fmt.Errorf].
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// IsUsage reports whether err is a usage error.
func IsUsage(err error) bool { return errors.As(err, new(usageError)) }

// Message returns the lines to print on stderr for err.
func Message(program string, err error) string {
	var problems config.Problems
	switch {
	case IsUsage(err):
		return fmt.Sprintf("%s: %v\nTry \"%s --help\".", program, err, program)
	case errors.As(err, &problems):
		return err.Error() // begins with FILE:LINE, as compilers do
	}
	return fmt.Sprintf("%s: %v", program, err)
}

// Unknown returns the usage error for an unknown name. kind is what it names, such as a
// command.
func Unknown(kind, name string, known []string) error {
	return Usagef("%s", suggest.Unknown(kind, name, known))
}
