// Package file names the files of objects for engines that read them by themselves.
package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"polyclam/backends"
)

// Path returns the name under which an engine is to find the object: the real one of
// a regular file that has the object's size. Engines answer for links, and for what
// is on /proc, without a scan (clamd 1.4.6 says OK; up to 1.4.4 it answers with the
// real path), and /proc/self is another file for another process.
//
// An error is a [backends.ObjectError].
func Path(o backends.Object) (string, error) {
	path, err := o.Path()
	if err != nil {
		return "", failed(fmt.Errorf("it has no file: %w", err))
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", failed(err)
	}
	fi, err := os.Lstat(path)
	switch {
	case err != nil:
	case fi.Mode().Type() != 0 || !filepath.IsAbs(path):
		err = fmt.Errorf("%q is not a regular file: %s", path, fi.Mode().Type())
	case strings.HasPrefix(path, "/proc/"):
		err = fmt.Errorf("%q is on /proc, and another file for another process", path)
	case fi.Size() != o.Size():
		err = fmt.Errorf("%q has %d bytes, the object has %d", path, fi.Size(), o.Size())
	}
	if err != nil {
		return "", failed(err)
	}
	return path, nil
}

// maxPath is the longest name that old daemons have room for.
const maxPath = 512

// plain are the characters of a plain path beside letters and digits.
const plain = "/._-+@,=~"

// PlainPath is [Path] without any character that one of the line protocols could take
// for something else. Not all of their servers understand quoting.
func PlainPath(o backends.Object) (string, error) {
	path, err := Path(o)
	if err != nil {
		return "", err
	}
	if len(path) > maxPath || strings.ContainsFunc(path, isOdd) {
		return "", failed(fmt.Errorf("%.100q: want at most %d letters, digits, or characters of %q; see [spool]", path, maxPath, plain))
	}
	return path, nil
}

func isOdd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(plain, r)
}

func failed(err error) error {
	return &backends.ObjectError{Doing: "path of the object", Err: err}
}
