package line

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"polyclam/backends"
)

// maxPath is what the daemons of old have room for.
const maxPath = 512

// Path is the name under which an engine is to find the content: the real one of a
// regular file, with nothing in it that any of the protocols could take for
// something else. These have no quoting that all of their servers understand.
func Path(c backends.Content) (string, error) {
	path, err := c.Path()
	if err != nil {
		return "", ours("no path of the content", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", ours("path of the content", err)
	}
	fi, err := os.Lstat(path)
	switch {
	case err != nil:
		return "", ours("path of the content", err)
	case fi.Mode().Type() != 0 || !filepath.IsAbs(path):
		return "", ours("path of the content", fmt.Errorf("%q is not a regular file: %s", path, fi.Mode().Type()))
	case strings.HasPrefix(path, "/proc/"):
		return "", ours("path of the content", fmt.Errorf("%q is another file for another process", path))
	case fi.Size() != c.Size():
		return "", ours("path of the content", fmt.Errorf("%q has %d bytes, the content has %d", path, fi.Size(), c.Size()))
	case len(path) > maxPath || strings.ContainsFunc(path, isUnsafe):
		return "", ours("path of the content", fmt.Errorf("%.100q: want at most %d letters, digits, or characters of %q; see [spool]", path, maxPath, safe))
	}
	return path, nil
}

// safe are the characters of a path beside letters and digits.
const safe = "/._-+@,=~"

func isUnsafe(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(safe, r)
}

// ours is an error of our own side. It hides the cause from [backends.CategoryOf]:
// that a file of ours does not exist does not mean that the engine does not.
func ours(what string, err error) error {
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: what + ": " + err.Error()}
}
