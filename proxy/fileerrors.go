package proxy

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"unicode"
	"unicode/utf8"

	"polyclam/proxy/files"
	"polyclam/proxy/spool"
)

// Words for scans that ended early.
const (
	timedOut    = "Exceeded time limit ERROR"
	interrupted = "Scan interrupted ERROR"
)

// pathError returns clamd 1.4.6's words for why a path could not be scanned.
func pathError(err error) string {
	var open *files.OpenError
	var stuck *files.StuckError
	var errno syscall.Errno
	switch {
	case errors.As(err, &stuck):
		return stuckError(err)
	case errors.Is(err, files.ErrOutside):
		return "Access denied. ERROR"
	case errors.Is(err, files.ErrSpecial):
		return "Not supported file type ERROR"
	case errors.Is(err, spool.ErrQuota), errors.Is(err, spool.ErrStorage):
		return "Error writing to temporary file ERROR"
	case errors.Is(err, files.ErrNotReadable), errors.Is(err, files.ErrNotRegular), errors.Is(err, io.ErrUnexpectedEOF):
		return "Can't read file ERROR"
	case errors.As(err, &open) && !open.Dir && errors.Is(err, fs.ErrPermission):
		return "Access denied. ERROR"
	case errors.As(err, &open) && !open.Dir:
		return "Can't open file or directory ERROR"
	case errors.As(err, &errno):
		return "File path check failure: " + strerror(errno) + ". ERROR"
	}
	return "File path check failure: Input/output error. ERROR"
}

// descriptorError returns clamd's words for why a descriptor could not be scanned.
func descriptorError(err error) string {
	var stuck *files.StuckError
	switch {
	case errors.As(err, &stuck):
		return stuckError(err)
	case errors.Is(err, spool.ErrQuota), errors.Is(err, spool.ErrStorage):
		return "Error writing to temporary file ERROR"
	}
	return "Can't read file ERROR"
}

// stuckError returns the words for a file system that did not answer in time.
func stuckError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return timedOut
	}
	return interrupted
}

// strerror is the C library's text of errno, which starts with a capital letter where
// Go's does not.
func strerror(errno syscall.Errno) string {
	text := errno.Error()
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}
