package files

import "errors"

// Errors of opening files.
var (
	// ErrOutside says that a path is not below any of the roots.
	ErrOutside = errors.New("outside of scan_paths")
	// ErrSpecial says that a path leads to neither a file nor a directory, or to a file that
	// the kernel generates when it is read.
	ErrSpecial = errors.New("neither a file nor a directory")
	// ErrGone says that an entry has vanished since it was listed, or that something else,
	// such as a link, has replaced it.
	ErrGone = errors.New("gone since it was listed")
	// ErrNotRegular says that a file is not a regular file, or that its size is wrong,
	// as on /proc.
	ErrNotRegular = errors.New("not a regular file")
	// ErrNotReadable says that a file cannot be read, for example because its
	// descriptor was opened for writing or with O_PATH.
	ErrNotReadable = errors.New("not readable")
)

// A LookupError says that a path leads to nothing that could be opened.
type LookupError struct{ Err error }

// Error implements error.
func (e *LookupError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *LookupError) Unwrap() error { return e.Err }

// An OpenError says that a path leads to a file or directory that cannot be opened.
type OpenError struct {
	Dir bool
	Err error
}

// Error implements error.
func (e *OpenError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *OpenError) Unwrap() error { return e.Err }
