// Package file returns the paths of objects for engines that read files themselves.
package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"polyclam/backends"
)

// Path returns the real path of the object: a regular file with the object's size. It
// resolves symbolic links, because engines may answer for them without a scan (clamd
// 1.4.6 says OK; up to 1.4.4 it answers with the real path). It refuses /proc, because
// /proc/self is another file in another process.
//
// Its errors are of type [backends.ObjectError].
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
		err = fmt.Errorf("%q is on /proc, where it is another file for another process", path)
	case fi.Size() != o.Size():
		err = fmt.Errorf("%q has %d bytes, the object has %d", path, fi.Size(), o.Size())
	}
	if err != nil {
		return "", failed(err)
	}
	return path, nil
}

// maxPath is the longest path that old daemons accept.
const maxPath = 512

// plain are the characters of a plain path besides letters and digits.
const plain = "/._-+@,=~"

// PlainPath is [Path], but refuses characters with a meaning in any of the line
// protocols. Not every server supports quoting.
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
