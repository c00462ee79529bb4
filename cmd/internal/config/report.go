package config

import (
	"fmt"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/suggest"
)

// report collects the problems in one file.
type report struct {
	file     string
	lines    position.Table
	problems Problems
	warnings Problems
	failed   []position.Path // the paths of problems
}

func (r *report) problem(p position.Path, format string, args []any) Problem {
	return Problem{File: r.file, Line: r.lines.Line(p), Key: p.Name(), Text: fmt.Sprintf(format, args...)}
}

// fail adds a problem at p.
func (r *report) fail(p position.Path, format string, args ...any) {
	r.failed = append(r.failed, p)
	r.problems = append(r.problems, r.problem(p, format, args))
}

// warn adds a warning at p.
func (r *report) warn(p position.Path, format string, args ...any) {
	r.warnings = append(r.warnings, r.problem(p, format, args))
}

// has reports whether the file has p.
func (r *report) has(p position.Path) bool { return r.lines.Has(p) }

// keys returns the keys that the file has in a table, which is given as a struct too.
func (r *report) keys(at position.Path, table any) (names []string) {
	for _, key := range decode.Keys(table) {
		if r.has(at.Key(key)) {
			names = append(names, key)
		}
	}
	return names
}

// isBad reports whether there is a problem at p or below it.
func (r *report) isBad(p position.Path) bool {
	return slices.ContainsFunc(r.failed, func(f position.Path) bool {
		rest, ok := strings.CutPrefix(string(f), string(p))
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// isGood reports whether the file has p, without a problem.
func (r *report) isGood(p position.Path) bool { return r.has(p) && !r.isBad(p) }

// failKeys reports each [backends.KeyError] joined in err at its key in a table, and any
// other error at the table. A key that already has a problem gets no second one.
func (r *report) failKeys(table position.Path, err error) {
	before := report{failed: r.failed}
	r.failEach(table, err, before.isBad)
}

func (r *report) failEach(at position.Path, err error, skip func(position.Path) bool) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			r.failEach(at, one, skip)
		}
		return
	}
	switch err := err.(type) {
	case nil:
	case *backends.KeyError:
		if at = r.keyPath(at, err.Key); !skip(at) {
			r.failEach(at, err.Err, skip)
		}
	case *backends.ChoiceError:
		r.fail(at, "%s", suggest.Unknown("value", err.Value, err.Choices))
	default:
		r.fail(at, "%v", err)
	}
}

// keyPath returns the path of a [backends.KeyError]'s key. An engine's address may be one
// of its addresses, and the key of a map may contain dots: exit."1.5".
func (r *report) keyPath(table position.Path, key string) position.Path {
	if list := table.Key("addresses"); key == "address" && r.has(list) {
		return list
	}
	name, entry, ok := strings.Cut(key, ".")
	if p := table.Key(name).Key(entry); ok && r.has(p) {
		return p
	}
	return table + "." + position.Path(key)
}

// oneOf reports a value at p that is not in known, unless the key is missing or already
// has a problem.
func oneOf[T ~string](r *report, p position.Path, what string, value T, known []T) {
	if r.isBad(p) || value == "" && !r.has(p) || slices.Contains(known, value) {
		return
	}
	words := make([]string, len(known))
	for i, w := range known {
		words[i] = string(w)
	}
	r.fail(p, "%s", suggest.Unknown(what, string(value), words))
}
