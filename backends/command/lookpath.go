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

// defaultPath is the PATH of the programs, and where they are looked for. The
// daemon's own is not asked: what is run shall not depend on who started it.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookPath finds a program. One with a slash in it is left to the kernel.
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

// startError says in an operator's words why a program did not start.
type startError struct {
	text string
	err  error
}

// Error implements error.
func (e *startError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *startError) Unwrap() error { return e.err }

// unstarted describes the error of lookPath or run. key is that of the program.
func unstarted(program, path, key string, err error) error {
	var start *fs.PathError
	var look *exec.Error
	reason := err.Error()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		reason = "it is in no directory of PATH (" + path + "); install it, or give its path"
	case errors.As(err, &look):
		reason = look.Err.Error()
	case errors.As(err, &start):
		reason = start.Err.Error()
	}
	return &startError{fmt.Sprintf("cannot start %s: %s (key %s)", program, reason, key), err}
}
