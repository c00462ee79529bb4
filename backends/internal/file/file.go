// Package file names the files of contents for engines that read them by themselves.
package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"polyclam/backends"
)

// Path returns the name under which an engine is to find the content: the real one of
// a regular file that has the content's size. Engines answer for links, and for what
// is on /proc, without a scan (clamd 1.4.6 says OK; up to 1.4.4 it answers with the
// real path), and /proc/self is another file for another process.
//
// An error is a failure of our own side, see [Ours].
func Path(c backends.Content) (string, error) {
	path, err := c.Path()
	if err != nil {
		return "", Ours("no path of the content", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", Ours("path of the content", err)
	}
	fi, err := os.Lstat(path)
	switch {
	case err != nil:
	case fi.Mode().Type() != 0 || !filepath.IsAbs(path):
		err = fmt.Errorf("%q is not a regular file: %s", path, fi.Mode().Type())
	case strings.HasPrefix(path, "/proc/"):
		err = fmt.Errorf("%q is on /proc, and another file for another process", path)
	case fi.Size() != c.Size():
		err = fmt.Errorf("%q has %d bytes, the content has %d", path, fi.Size(), c.Size())
	}
	if err != nil {
		return "", Ours("path of the content", err)
	}
	return path, nil
}

// Ours is an error of our own side. It hides the cause from [backends.CategoryOf]:
// that a file of ours does not exist does not mean that the engine does not.
func Ours(what string, err error) error {
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: what + ": " + err.Error()}
}
