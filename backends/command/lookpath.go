package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// defaultPath is the PATH in which programs are found and run. The daemon's own PATH is
// not used: what runs must not depend on who started the daemon.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookPath finds a program. It returns a name with a slash unchanged.
func lookPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	err := exec.ErrNotFound
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, name)
		info, statErr := os.Stat(file)
		if statErr != nil || !info.Mode().IsRegular() {
			continue
		}
		if info.Mode()&0o111 != 0 {
			return file, nil
		}
		err = fs.ErrPermission
	}
	return "", &exec.Error{Name: name, Err: err}
}

// startError is why a program did not start, in the operator's words.
type startError struct {
	text string
	err  error
}

// Error implements error.
func (e *startError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *startError) Unwrap() error { return e.err }

// newStartError converts an error of lookPath or run. key is the configuration key of the
// program.
func newStartError(program, path, key string, err error) error {
	var start *fs.PathError
	var look *exec.Error
	reason := err.Error()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		reason = "not found in PATH (" + path + "); install it or set its full path"
	case errors.As(err, &look):
		reason = look.Err.Error()
	case errors.As(err, &start):
		reason = start.Err.Error()
	}
	return &startError{fmt.Sprintf("cannot start %s: %s (key %s)", program, reason, key), err}
}
