package proxy

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"polyclam/proxy/files"
	"polyclam/proxy/spool"
)

// absolute is the path that a client named: clamd's working directory as a daemon is /.
func absolute(path string) string {
	if path != "" && !filepath.IsAbs(path) {
		return "/" + path
	}
	return path
}

// openError words why an object could not be opened, as clamd 1.4.6 does.
func openError(err error) string {
	var open *files.OpenError
	var stuck *files.StuckError
	var errno syscall.Errno
	switch {
	case errors.As(err, &stuck):
		return stuckWords(err)
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

// stuckWords words that a file system did not answer in time.
func stuckWords(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "Exceeded time limit ERROR"
	}
	return "Scan interrupted ERROR"
}

// strerror is the C library's text of errno, which differs from Go's in its first
// letter.
func strerror(errno syscall.Errno) string {
	text := errno.Error()
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}

// trimPath makes of the path of a command the two forms that replies echo: the OK
// line keeps leading slashes as sent, every other line has one; trailing slashes are
// gone from both.
func trimPath(path string) (okPath, other string) {
	for len(path) > 1 && strings.HasSuffix(path, "/") {
		path = path[:len(path)-1]
	}
	other = path
	for strings.HasPrefix(other, "//") {
		other = other[1:]
	}
	return path, other
}
