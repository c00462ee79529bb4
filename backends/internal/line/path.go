package line

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/file"
)

// maxPath is what the daemons of old have room for.
const maxPath = 512

// Path is [file.Path] of the content, with nothing in it that any of the protocols
// could take for something else. These have no quoting that all of their servers
// understand.
func Path(c backends.Content) (string, error) {
	path, err := file.Path(c)
	if err != nil {
		return "", err
	}
	if len(path) > maxPath || strings.ContainsFunc(path, isUnsafe) {
		return "", &backends.ObjectError{Doing: "path of the object", Err: fmt.Errorf("%.100q: want at most %d letters, digits, or characters of %q; see [spool]", path, maxPath, safe)}
	}
	return path, nil
}

// safe are the characters of a path beside letters and digits.
const safe = "/._-+@,=~"

func isUnsafe(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(safe, r)
}
